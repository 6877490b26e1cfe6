"""What the management API reads and writes: closed schemas, so that no field can be slipped in.

A request with a field that is not listed here is refused. What is written never
holds a password or a hash of one. Fields are camelCase on the wire.

It is longer than a module should be, and one table: the OpenAPI document is made
of these classes, and who looks for a field finds all of them here.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

import msgspec

from sealift.registry.access.passwords import MIN_PASSWORD_CHARACTERS
from sealift.registry.catalog.accounts import Account, GrantRow
from sealift.registry.catalog.audit_rows import AuditRow
from sealift.registry.catalog.repository_rows import RepositoryRow
from sealift.registry.catalog.storage_use import StorageUse
from sealift.registry.catalog.tag_history import TagMove
from sealift.registry.catalog.tag_rules import MAX_PATTERN_CHARACTERS, MAX_PATTERNS, PATTERN_SHAPE, TagRules
from sealift.registry.exchange import Answer
from sealift.registry.management.refusal import ManagementRefusal

API_VERSION: Final = "sealift.dev/v1alpha1"

MAX_REQUEST_BYTES: Final = 64 * 1024

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")

_COMPONENT: Final = r"[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*"
"""One path component (R-REF-3), for the description. What holds is checked where the value is used."""


def _described_as(*, min_length: int | None = None, **more: Any) -> msgspec.Meta:
    """Limits that are checked here, and those that only the description names: their check says more."""
    return msgspec.Meta(max_length=255, min_length=min_length, extra_json_schema=more)


Name = Annotated[
    str, _described_as(min_length=1, description="One path component (R-REF-3).", pattern=f"^{_COMPONENT}$")
]
Path = Annotated[
    str,
    _described_as(
        min_length=1, description="A repository's path.", pattern=f"^{_COMPONENT}(?:/{_COMPONENT})*$"
    ),
]
RepositoryPattern = Annotated[
    str,
    _described_as(
        min_length=1,
        description="A path where * is one whole element, and a last ** one or more.",
        pattern=f"^(?:(?:{_COMPONENT}|[*])/)*(?:{_COMPONENT}|[*][*]?)$",
    ),
]
Secret = Annotated[
    str,
    msgspec.Meta(
        max_length=4096,
        description="Written in requests only. The first that anyone would try are refused.",
        extra_json_schema={"minLength": MIN_PASSWORD_CHARACTERS, "format": "password", "writeOnly": True},
    ),
]
Action = Literal["pull", "push", "delete"]
Visibility = Literal["private", "public"]
TagPattern = Annotated[
    str,
    msgspec.Meta(
        description="A tag, with * for any characters.",
        # described here and checked by the catalog, whose refusal says what to write instead
        extra_json_schema={"minLength": 1, "maxLength": MAX_PATTERN_CHARACTERS, "pattern": PATTERN_SHAPE},
    ),
]
TagPatterns = Annotated[list[TagPattern], msgspec.Meta(max_length=MAX_PATTERNS)]


class Closed(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A request: what is not listed is refused."""

    changes_something: ClassVar[bool] = False
    """Whether a request without any field is refused, too: the description says so."""


class NewAccount(Closed):
    """An account to be made."""

    name: Name
    password: Secret
    admin: bool = False


class NewPassword(Closed):
    """The password that an account is to have."""

    password: Secret


Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**60, description="Bytes.")]


class AccountChange(Closed):
    """What is to be changed of an account; what is not there stays as it is."""

    changes_something: ClassVar[bool] = True

    disabled: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether it is to be closed."""

    quota_bytes: Bytes | msgspec.UnsetType | None = msgspec.UNSET
    """The most that its repositories may hold; null is as much as there is room for."""


class NewRepository(Closed):
    """A repository to be made."""

    name: Path
    visibility: Visibility = "private"


class RepositoryChange(Closed):
    """How a repository is to be seen, and which of its tags stay. What is null is as it was."""

    visibility: Visibility | None = None
    immutable: TagPatterns | None = None
    immutable_except: TagPatterns | None = None


class TagRestore(Closed):
    """What a tag is to stand for again: `to`, or what it was `before`, or before its last move."""

    tag: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    to: Annotated[str, msgspec.Meta(min_length=1, max_length=256, description="A digest.")] | None = None
    before: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Undelete(Closed):
    """Which manifest is to be brought back."""

    digest: Annotated[
        str,
        msgspec.Meta(
            max_length=255,
            extra_json_schema={"pattern": "^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"},
        ),
    ]


class Nothing(Closed):
    """No fields."""


class NewGrant(Closed):
    """Actions to be given in the repositories of a pattern."""

    to: Name
    repository: RepositoryPattern
    actions: Annotated[list[Action], msgspec.Meta(min_length=1, max_length=3)]


class Document(msgspec.Struct, rename="camel", kw_only=True, tag_field="kind"):
    """An answer; the class's name is its ``kind``."""

    api_version: str = API_VERSION


class StorageDocument(msgspec.Struct, rename="camel", kw_only=True):
    """Bytes that are held: blobs, each once, and manifests."""

    used_bytes: int
    """All of them: what a quota is held against."""

    unique_bytes: int | msgspec.UnsetType = msgspec.UNSET
    """Those that nobody else holds. For admins only: it tells of what others have."""

    shared_bytes: int | msgspec.UnsetType = msgspec.UNSET
    """Those that others hold too. For admins only."""


class AccountDocument(Document, tag="Account"):
    """One account."""

    name: str
    admin: bool
    disabled: bool
    created_at: datetime
    quota_bytes: int | None
    """The most that its repositories may hold; null is as much as there is room for."""

    storage: StorageDocument | msgspec.UnsetType = msgspec.UNSET
    """What its repositories hold, where one account is shown."""


class RepositoryDocument(Document, tag="Repository"):
    """One repository, as the caller may see it."""

    name: str
    visibility: Visibility
    owner: str | None
    actions: list[str]
    """What the caller may do there."""

    immutable: list[str]
    """Patterns of the tags that must not be moved or deleted."""

    immutable_except: list[str]
    """Patterns of tags that may be all the same."""

    created_at: datetime
    created_by: str
    storage: StorageDocument | msgspec.UnsetType = msgspec.UNSET
    """What it holds, where one is shown to who may push to it."""


class TagMoveDocument(Document, tag="TagMove"):
    """One move of one tag."""

    tag: str
    at: datetime
    """To the microsecond, so that it can be given back as ``before``."""

    by: str
    address: str | None
    old_digest: str | None
    """Null: there was no such tag before."""

    new_digest: str | None
    """Null: the tag was deleted."""


class TagHistory(Document, tag="TagHistory"):
    """One page of the moves of tags, the newest first."""

    items: list[TagMoveDocument]
    continue_: str | None = msgspec.field(default=None, name="continue")
    """The ``before`` of the next page, or null at the end."""


class RestoredTagDocument(Document, tag="RestoredTag"):
    """A tag that was set back."""

    repository: str
    tag: str
    digest: str
    was: str | None
    """What it stood for until now; null where there was no such tag."""


class GrantDocument(Document, tag="Grant"):
    """One grant."""

    id: int
    to: str
    repository: str
    actions: list[str]
    created_at: datetime
    created_by: str


class AccountList(Document, tag="AccountList"):
    """Accounts, by name."""

    items: list[AccountDocument]


class RepositoryList(Document, tag="RepositoryList"):
    """One page of repositories, by name."""

    items: list[RepositoryDocument]
    continue_: str | None = msgspec.field(default=None, name="continue")
    """The ``last`` of the next page, or null at the end."""


class GrantList(Document, tag="GrantList"):
    """Grants, oldest first."""

    items: list[GrantDocument]


class DeletedManifestDocument(Document, tag="DeletedManifest"):
    """A manifest that was deleted and can be brought back."""

    digest: str
    media_type: str
    tags: list[str]
    """Those that stood for it."""

    deleted_at: datetime
    deleted_by: str
    kept_until: datetime


class DeletedList(Document, tag="DeletedList"):
    """One page of a repository's deleted manifests, by digest."""

    items: list[DeletedManifestDocument]
    continue_: str | None = msgspec.field(default=None, name="continue")
    """The ``last`` of the next page, or null at the end."""


class RestoredManifest(Document, tag="RestoredManifest"):
    """A manifest that was brought back, and the tags that stand for it again."""

    repository: str
    digest: str
    tags: list[str]


class GarbageItem(Document, tag="GarbageItem"):
    """Something that nobody needs now."""

    of: str
    """``manifest``, ``link`` (a repository's hold on a blob) or ``blob``."""

    repository: str | None
    digest: str
    size: int
    """Bytes of the blob; of a manifest 0."""

    why: str
    due: bool
    due_at: datetime


class GarbageReport(Document, tag="GarbageReport"):
    """What would be collected. Nothing was."""

    items: list[GarbageItem]
    is_all: bool
    bytes: int
    """Bytes that are free once everything listed has gone."""

    strays: int
    """Stored files that the catalog does not know of."""

    stray_bytes: int


class CollectionReport(Document, tag="CollectionReport"):
    """What was collected."""

    finished: bool
    manifests: int
    links: int
    blobs: int
    strays: int
    left: int
    """Blobs that were being pushed again."""

    bytes: int


class AuditEntry(Document, tag="AuditEntry"):
    """One thing that somebody did, or was not let do."""

    id: int
    at: datetime
    principal: str
    """Who it was; of a login that failed, who they said they were. ``unknown`` where nobody is called so."""

    action: str
    repository: str | None
    outcome: str
    """``allowed`` or ``denied``."""

    detail: str
    request_id: str | None
    """As in the answer's ``X-Request-Id``, in its error and in the log."""

    client: str | None
    """The address that it came from."""


class AuditList(Document, tag="AuditList"):
    """One page of the audit trail, oldest first."""

    items: list[AuditEntry]
    next: str
    """The ``after`` of the page that follows, also after the last one."""

    complete: bool
    """Whether nothing follows now."""


class WhoAmI(Document, tag="WhoAmI"):
    """Who the caller is to this registry."""

    name: str
    admin: bool


class Registry(Document, tag="Registry"):
    """What stands at ``/api/v1``: how a client tells that this registry is Sealift.

    It is open to everyone and says nothing else. A client that finds
    ``"product": "sealift"`` here may note the server for its management commands.
    """

    product: str = "sealift"


def storage_document(use: StorageUse, *, apart: bool) -> StorageDocument:
    """What is held; `apart` tells what others hold too, which is for admins."""
    if not apart:
        return StorageDocument(used_bytes=use.total)
    return StorageDocument(used_bytes=use.total, unique_bytes=use.unique, shared_bytes=use.shared)


def account_document(account: Account) -> AccountDocument:
    """An account, for those who may see it."""
    return AccountDocument(
        name=account.name,
        admin=account.is_admin,
        disabled=account.disabled,
        created_at=moment(account.created_at),
        quota_bytes=account.quota_bytes,
    )


def repository_document(row: RepositoryRow, actions: frozenset[str], rules: TagRules) -> RepositoryDocument:
    """A repository, for somebody who may take `actions` in it."""
    return RepositoryDocument(
        name=row.name,
        visibility=row.visibility,
        owner=row.owner,
        actions=sorted(actions),
        immutable=list(rules.immutable),
        immutable_except=list(rules.exceptions),
        created_at=moment(row.created_at),
        created_by=row.created_by,
    )


def tag_move_document(move: TagMove) -> TagMoveDocument:
    """A move of a tag, for those who may push there."""
    return TagMoveDocument(
        tag=move.tag,
        at=_EPOCH + timedelta(microseconds=move.at),
        by=move.principal,
        address=move.address,
        old_digest=move.old_digest,
        new_digest=move.new_digest,
    )


def grant_document(row: GrantRow) -> GrantDocument:
    """A grant, for those who may see it."""
    return GrantDocument(
        id=row.id,
        to=row.principal,
        repository=row.pattern,
        actions=row.actions.split(","),
        created_at=moment(row.created_at),
        created_by=row.created_by,
    )


def audit_document(row: AuditRow) -> AuditEntry:
    """A row of the audit trail, for admins."""
    return AuditEntry(
        id=row.id,
        at=datetime.fromtimestamp(row.at / 1_000_000, UTC),
        principal=row.principal,
        action=row.action,
        repository=row.repository,
        outcome=row.outcome,
        detail=row.detail,
        request_id=row.request_id,
        client=row.client,
    )


def moment(microseconds: int) -> datetime:
    """A time of the catalog."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC)


def microseconds(given: datetime) -> int:
    """A time as the catalog has it."""
    return (given - _EPOCH) // timedelta(microseconds=1)


async def read(body: AsyncIterator[bytes], wanted: type[T]) -> T:
    """Read a request's JSON.

    Raises:
        ManagementRefusal: It is too long, no JSON, or not of the schema; the
            message names the place and never holds a value.
    """
    content = bytearray()
    async for part in body:
        content += part
        if len(content) > MAX_REQUEST_BYTES:
            raise ManagementRefusal(413, "TOO_LARGE", f"the request is longer than {MAX_REQUEST_BYTES} bytes")
    try:
        return msgspec.json.decode(content, type=wanted)
    except msgspec.ValidationError as wrong:
        raise ManagementRefusal(400, "INVALID", f"the request does not fit: {wrong}") from None
    except (msgspec.DecodeError, RecursionError):
        raise ManagementRefusal(400, "INVALID", "the request is not JSON") from None


def written(document: Document, status: int = 200) -> Answer:
    """The answer that holds a document."""
    return Answer(status=status, headers=dict(_HEADERS), body=msgspec.json.encode(document))


def written_json(document: Any) -> Answer:
    """The answer that holds any JSON."""
    return Answer(status=200, headers=dict(_HEADERS), body=msgspec.json.encode(document))


_HEADERS: Final = {"content-type": "application/json", "cache-control": "no-store"}
