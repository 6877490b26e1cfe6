"""The table of the management API: every path and method, who answers, and its description in OpenAPI.

It is longer than a module should be because the table is: one entry for each
method of each path, so that nobody has to look in two places for what is open.

Spec: OpenAPI 3.1.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from sealift.errors import SealiftError
from sealift.registry.access.guard import MANAGEMENT, Demand
from sealift.registry.access.passwords import WeakPassword
from sealift.registry.access.permissions import MalformedPattern
from sealift.registry.catalog.accounts import LastAdmin, NameTaken, NoSuchAccount, NoSuchGrant, StillOwns
from sealift.registry.catalog.tag_rules import MalformedTagPattern, TagImmutable
from sealift.registry.catalog.tags import NotInHistory, NotRestorable
from sealift.registry.collector import CollectorBusy
from sealift.registry.exchange import Answer, Call
from sealift.registry.management.account_routes import AccountRoutes
from sealift.registry.management.audit_routes import AuditRoutes
from sealift.registry.management.deleted_routes import DeletedRoutes
from sealift.registry.management.documents import (
    AccountChange,
    AccountDocument,
    AccountList,
    AuditList,
    Closed,
    CollectionReport,
    DeletedList,
    Document,
    GarbageReport,
    GrantDocument,
    GrantList,
    NewAccount,
    NewGrant,
    NewPassword,
    NewRepository,
    Nothing,
    Registry,
    RepositoryChange,
    RepositoryDocument,
    RepositoryList,
    RestoredManifest,
    RestoredTagDocument,
    TagHistory,
    TagRestore,
    Undelete,
    WhoAmI,
    written,
    written_json,
)
from sealift.registry.management.garbage_routes import GarbageRoutes
from sealift.registry.management.grant_routes import GrantRoutes
from sealift.registry.management.refusal import ManagementRefusal
from sealift.registry.management.repository_routes import RepositoryRoutes
from sealift.registry.management.tag_routes import TagRoutes

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementRoute:
    """One method of one path."""

    demand: ClassVar[Demand] = Demand(registry=MANAGEMENT)
    """What the gate asks for, whichever route it is: an account that shows its
    password, or a token that was made for management."""

    method: str
    template: str
    """The path below the prefix; ``{name}`` is one element, ``{name...}`` one or more."""

    summary: str
    handler: Callable[[Call], Awaitable[Answer]]
    answer: type[Document] | None = None
    status: int = 200
    request: type[Closed] | None = None
    query: Sequence[str] = ()
    """What may stand in the query: its name, and behind a blank the regular expression that it is
    to fit, or ``date-time``, which no expression tells whole."""

    is_open: bool = False
    """Whether everyone may ask, so that the gate is not asked. It is for what is the same for everyone."""

    def pattern(self) -> re.Pattern[str]:
        """The regular expression of the paths."""
        text = re.escape(self.template).replace(r"\{", "{").replace(r"\}", "}").replace(r"\.\.\.", "...")
        text = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", text)
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text))


class Management:
    """Finds the route of a request, and describes all of them."""

    def __init__(
        self,
        *,
        accounts: AccountRoutes,
        repositories: RepositoryRoutes,
        tags: TagRoutes,
        deleted: DeletedRoutes,
        grants: GrantRoutes,
        garbage: GarbageRoutes,
        audit: AuditRoutes,
    ) -> None:
        self.routes = (
            *_own_routes(self),
            *_account_routes(accounts),
            *_repository_routes(repositories),
            *_tag_routes(tags),
            *_deleted_routes(deleted),
            *_grant_routes(grants),
            *_garbage_routes(garbage),
            *_audit_routes(audit),
        )
        self._patterns = [(route.pattern(), route) for route in self.routes]

    def find(self, method: str, raw_path: str) -> tuple[ManagementRoute, dict[str, str]]:
        """The route for a request, and the parts of its path.

        Raises:
            ManagementRefusal: 404: there is no such path. 405: not by that method.
        """
        path = raw_path.removeprefix(PREFIX)
        wanted = "GET" if method == "HEAD" else method
        allowed: list[str] = []
        for pattern, route in self._patterns:
            matched = pattern.fullmatch(path)
            if matched is None:
                continue
            if route.method == wanted:
                return route, matched.groupdict()
            allowed += ("GET", "HEAD") if route.method == "GET" else (route.method,)
        if allowed:
            raise ManagementRefusal(
                405,
                "UNSUPPORTED",
                "that path does not take that method",
                hint=f"it takes {', '.join(allowed)}",
                headers={"allow": ", ".join(allowed)},
            )
        raise ManagementRefusal(404, "NOT_FOUND", "there is nothing here", hint=f"see {PREFIX}/openapi.json")

    async def about(self, call: Call) -> Answer:  # noqa: ARG002  one signature for all handlers
        """What stands here: how a client tells that this registry is Sealift."""
        return written(Registry())

    async def openapi(self, call: Call) -> Answer:  # noqa: ARG002  one signature for all handlers
        """The description of all of this."""
        return written_json(self.description())

    def description(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        models = {model for route in self.routes for model in (route.request, route.answer) if model}
        ordered = sorted(models, key=lambda model: model.__name__)
        _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
        for model in ordered:
            if issubclass(model, Closed) and model.changes_something:
                components[model.__name__]["minProperties"] = 1
        paths: dict[str, dict[str, Any]] = {}
        for route in self.routes:
            path = PREFIX + route.template.replace("...", "")
            paths.setdefault(path, {})[route.method.lower()] = _operation(route)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Sealift management",
                "version": "v1alpha1",
                "description": "Accounts, repositories, grants and the audit trail of a Sealift registry. "
                "For accounts only: Basic, or a token for the scope registry:management:* "
                "from the token endpoint.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "basic": {"type": "http", "scheme": "basic"},
                    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                },
                "responses": {
                    "Refusal": {
                        "description": "No, and why: code, message, and in detail a cause and the next step.",
                        "content": {"application/json": {"schema": _REFUSAL}},
                    }
                },
            },
        }


def as_refusal(failure: SealiftError) -> ManagementRefusal | None:
    """The management answer to what the catalog or a check raised, or None for what is none of theirs."""
    if isinstance(failure, ManagementRefusal):
        return failure
    for kind, (status, code) in _STATUSES.items():
        if isinstance(failure, kind):
            return ManagementRefusal(status, code, str(failure), why=failure.why, hint=failure.hint)
    return None


_STATUSES: dict[type[SealiftError], tuple[int, str]] = {
    NameTaken: (409, "CONFLICT"),
    StillOwns: (409, "CONFLICT"),
    LastAdmin: (409, "CONFLICT"),
    NoSuchAccount: (404, "NOT_FOUND"),
    NoSuchGrant: (404, "NOT_FOUND"),
    WeakPassword: (400, "INVALID"),
    MalformedPattern: (400, "INVALID"),
    MalformedTagPattern: (400, "INVALID"),
    NotInHistory: (404, "NOT_FOUND"),
    NotRestorable: (409, "CONFLICT"),
    TagImmutable: (403, "DENIED"),
    CollectorBusy: (409, "CONFLICT"),
}

_NUMBER = "^[0-9]{1,15}$"

_REFUSAL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "detail": {
                        "type": "object",
                        "properties": {"why": {"type": "string"}, "hint": {"type": "string"}},
                    },
                },
            },
        },
        "requestId": {
            "type": "string",
            "description": "As in the header X-Request-Id and in the server's log.",
        },
    },
}


def _operation(route: ManagementRoute) -> dict[str, Any]:
    described: dict[str, Any] = {"summary": route.summary, "responses": {}}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)(?:\.\.\.)?\}", route.template)
    ]
    parameters += [_query_parameter(text) for text in route.query]
    if parameters:
        described["parameters"] = parameters
    if route.request is not None:
        described["requestBody"] = {"required": True, "content": _content(route.request)}
    success: dict[str, Any] = {"description": route.summary}
    if route.answer is not None:
        success["content"] = _content(route.answer)
    described["responses"][str(route.status)] = success
    if not route.is_open:
        described["security"] = [{"basic": []}, {"token": []}]
        described["responses"]["default"] = {"$ref": "#/components/responses/Refusal"}
    return described


def _query_parameter(text: str) -> dict[str, Any]:
    name, _, pattern = text.partition(" ")
    schema = {"type": "string"}
    if pattern:
        schema["format" if pattern == "date-time" else "pattern"] = pattern
    return {"name": name, "in": "query", "schema": schema}


def _content(model: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _own_routes(management: Management) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="",
            summary="What this is.",
            handler=management.about,
            answer=Registry,
            is_open=True,
        ),
        ManagementRoute(
            method="GET",
            template="/",
            summary="What this is.",
            handler=management.about,
            answer=Registry,
            is_open=True,
        ),
        ManagementRoute(
            method="GET",
            template="/openapi.json",
            summary="This description.",
            handler=management.openapi,
            is_open=True,
        ),
    )


def _account_routes(accounts: AccountRoutes) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="/whoami",
            summary="Who the caller is.",
            handler=accounts.whoami,
            answer=WhoAmI,
        ),
        ManagementRoute(
            method="GET",
            template="/accounts",
            summary="Every account; for who is no admin, its own.",
            handler=accounts.list,
            answer=AccountList,
        ),
        ManagementRoute(
            method="POST",
            template="/accounts",
            summary="Add an account.",
            handler=accounts.add,
            request=NewAccount,
            answer=AccountDocument,
            status=201,
        ),
        ManagementRoute(
            method="GET",
            template="/accounts/{name}",
            summary="One account.",
            handler=accounts.show,
            answer=AccountDocument,
        ),
        ManagementRoute(
            method="PATCH",
            template="/accounts/{name}",
            summary="Disable or enable an account, or say how much it may hold.",
            handler=accounts.change,
            request=AccountChange,
            answer=AccountDocument,
        ),
        ManagementRoute(
            method="DELETE",
            template="/accounts/{name}",
            summary="Remove an account; its repositories go to the one named by transferTo.",
            handler=accounts.remove,
            status=204,
            query=("transferTo",),
        ),
        ManagementRoute(
            method="PUT",
            template="/accounts/{name}/password",
            summary="Give an account another password.",
            handler=accounts.password,
            request=NewPassword,
            answer=AccountDocument,
        ),
    )


def _repository_routes(repositories: RepositoryRoutes) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="/repositories",
            summary="The repositories that the caller may see, a page at a time.",
            handler=repositories.list,
            answer=RepositoryList,
            query=("last",),
        ),
        ManagementRoute(
            method="POST",
            template="/repositories",
            summary="Make a repository.",
            handler=repositories.create,
            request=NewRepository,
            answer=RepositoryDocument,
            status=201,
        ),
        ManagementRoute(
            method="GET",
            template="/repositories/{name...}",
            summary="One repository.",
            handler=repositories.show,
            answer=RepositoryDocument,
        ),
        ManagementRoute(
            method="PATCH",
            template="/repositories/{name...}",
            summary="Make a repository public or private, and say which of its tags are immutable.",
            handler=repositories.change,
            request=RepositoryChange,
            answer=RepositoryDocument,
        ),
        ManagementRoute(
            method="DELETE",
            template="/repositories/{name...}",
            summary="Delete a repository with all that is in it.",
            handler=repositories.delete,
            status=204,
        ),
    )


def _tag_routes(tags: TagRoutes) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="/tag-history/{name...}",
            summary="The moves of a repository's tags, or of one, newest first; for who may push there.",
            handler=tags.history,
            answer=TagHistory,
            query=("tag", "before"),
        ),
        ManagementRoute(
            method="POST",
            template="/tag-restores/{name...}",
            summary="Let a tag stand for what it once stood for; for who may push there.",
            handler=tags.restore,
            request=TagRestore,
            answer=RestoredTagDocument,
        ),
    )


def _deleted_routes(deleted: DeletedRoutes) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="/deleted/{name...}",
            summary="What was deleted from a repository and can be brought back, a page at a time.",
            handler=deleted.list,
            answer=DeletedList,
            query=("last",),
        ),
        ManagementRoute(
            method="POST",
            template="/deleted/{name...}",
            summary="Bring a deleted manifest back, with its tags.",
            handler=deleted.undelete,
            request=Undelete,
            answer=RestoredManifest,
        ),
    )


def _garbage_routes(garbage: GarbageRoutes) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="/garbage",
            summary="What would be collected, when and why.",
            handler=garbage.report,
            answer=GarbageReport,
        ),
        ManagementRoute(
            method="POST",
            template="/garbage",
            summary="Collect what is due now; 202 where that goes on.",
            handler=garbage.collect,
            request=Nothing,
            answer=CollectionReport,
        ),
    )


def _grant_routes(grants: GrantRoutes) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="/grants",
            summary="The grants that the caller may see; with to, those of one account.",
            handler=grants.list,
            answer=GrantList,
            query=("to",),
        ),
        ManagementRoute(
            method="POST",
            template="/grants",
            summary="Give actions in the repositories of a pattern.",
            handler=grants.add,
            request=NewGrant,
            answer=GrantDocument,
            status=201,
        ),
        ManagementRoute(
            method="DELETE",
            template="/grants/{id}",
            summary="Take a grant back.",
            handler=grants.remove,
            status=204,
        ),
    )


def _audit_routes(audit: AuditRoutes) -> tuple[ManagementRoute, ...]:
    return (
        ManagementRoute(
            method="GET",
            template="/audit",
            summary="Who did what and whether it was allowed, oldest first, for admins.",
            handler=audit.list,
            answer=AuditList,
            query=("since date-time", f"after {_NUMBER}", f"limit {_NUMBER}"),
        ),
    )
