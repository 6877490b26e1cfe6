"""The one gate: no request reaches a handler without passing it.

Who asks is proven by a registry token (Bearer), or by an account's password
(Basic, sent unasked). Only that a token's signature is right may be remembered.
Everything else, generation, disabling, grants, visibility and ownership, is
looked up in the catalog for each request, in each worker: what was taken away
is gone from the next request on.

What is answered where the right is missing:

==================  ==============================================================
shown               answer
==================  ==============================================================
nothing, nonsense   401 with a Bearer challenge
a bad token         401 with ``error="invalid_token"``
a good token        401 with ``error="insufficient_scope"``, the same for a private
                    repository and for one that does not exist
Basic               403 where the caller may see the repository, else 404
==================  ==============================================================

Spec: distribution-spec v1.1.1 end-1; distribution, spec/auth/token.md; RFC 6750,
section 3; R-AUT-1, R-AUT-5, R-AUT-11, R-OCI-13, R-OCI-30.
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final, Literal

from sealift.credentials.credential import SecretText
from sealift.protocol.challenge import Challenge
from sealift.protocol.error_codes import ErrorCode
from sealift.protocol.scope import Scope
from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.passwords import PasswordCheck
from sealift.registry.access.permissions import (
    ALL_ACTIONS,
    NOTHING,
    PULL,
    Grant,
    RepositoryFacts,
    covered,
    parse_pattern,
    rights,
)
from sealift.registry.access.token_issuer import TokenClaims, TokenIssuer, TokenRefused
from sealift.registry.catalog.accounts import Standing, account_by_name, standing
from sealift.registry.catalog.database import Reader
from sealift.registry.catalog.repositories import VisibleRepositories
from sealift.registry.catalog.repository_rows import is_public
from sealift.registry.exchange import ANONYMOUS, Principal
from sealift.registry.refusal import RegistryRefusal

CATALOG: Final = "catalog"
"""The part of the registry that lists repositories: ``registry:catalog:*``."""

MANAGEMENT: Final = "management"
"""The part of the registry that ``/api/v1`` is: ``registry:management:*``. A token
made for a pull does not open it, whoever it was made for."""

ANYTHING: Final = frozenset({"*"})

REGISTRY_PARTS: Final = (CATALOG, MANAGEMENT)

MOST_MOUNT_SOURCES: Final = 16
"""Repositories of one token that are looked through for a blob. Clients name a few."""

Shown = Literal["nothing", "bearer", "basic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a route asks of whoever calls it."""

    repository: str = ""
    """The repository it works on, or empty."""

    actions: frozenset[str] = NOTHING
    """What it does there."""

    registry: str = ""
    """The part of the registry itself that it works on: one of `REGISTRY_PARTS`, or empty."""

    mount_from: str = ""
    """A repository that a blob may be taken from, if the caller may pull there."""

    mounts_any: bool = False
    """Whether a blob may be taken from any repository that the token is for."""

    @property
    def action(self) -> str:
        """What is asked, in a word for the audit trail."""
        return ",".join(sorted(self.actions)) or "use"

    @property
    def place(self) -> str:
        """Where it is asked, for the audit trail."""
        return self.repository or self.scope

    @property
    def scope(self) -> str:
        """The scope that a challenge names, as a client will ask for it."""
        if self.registry:
            return str(Scope(self.registry, ANYTHING, "registry"))
        if not self.repository:
            return ""
        # A client that pushes will look before: one token for both, as everyone's registry asks.
        asked = self.actions | PULL if "push" in self.actions else self.actions
        scope = str(Scope(self.repository, asked))
        if self.mount_from:
            scope += " " + str(Scope(self.mount_from, PULL))
        return scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """That a call may pass, and as whom."""

    principal: Principal
    readable: frozenset[str] = field(default_factory=frozenset)
    """Repositories besides the one worked on that this call may read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who was proven to ask, before anything was asked of them."""

    principal: Principal
    generation: int
    shown: Shown
    token: TokenClaims | None = None
    """What the token limits them to; None where a password was shown."""


class Guard:
    """Proves who asks and decides whether they may. One per process."""

    def __init__(
        self, catalog: Reader, *, issuer: TokenIssuer, passwords: PasswordCheck, audit: AuditTrail
    ) -> None:
        self._catalog = catalog
        self._issuer = issuer
        self._passwords = passwords
        self._audit = audit

    async def admit(self, authorization: str | None, demand: Demand, *, realm: str) -> Admission:
        """Let a call pass, or say no in the protocol's words.

        Args:
            authorization: The ``Authorization`` header, if there was one.
            demand: What the route needs.
            realm: The URL of the token endpoint, for the challenge.

        Raises:
            RegistryRefusal: It may not pass. The status and the challenge are in it.
            TooManyChecks: A password was shown and cannot be checked now.
        """
        scheme, credentials = _split(authorization)
        if scheme == "bearer":
            return self._admit_bearer(credentials, demand, realm)
        if scheme == "basic":
            return await self._admit_basic(credentials, demand, realm)
        raise self._challenge(demand, realm)

    async def log_in(self, authorization: str | None, *, realm: str) -> Identity:
        """Prove a user name and password for the token endpoint; nothing shown is anonymous.

        Raises:
            RegistryRefusal: 401: something was shown and it is wrong.
            TooManyChecks: It cannot be checked now.
        """
        scheme, credentials = _split(authorization)
        if not scheme:
            return Identity(principal=ANONYMOUS, generation=0, shown="nothing")
        if scheme == "basic":
            pair = _basic(credentials)
            if pair is not None:
                return await self.prove(*pair, realm=realm)
        raise self._wrong_credentials(realm)

    async def prove(self, username: str, password: SecretText, *, realm: str) -> Identity:
        """Prove an account's password.

        Raises:
            RegistryRefusal: 401, the same for an unknown user, a wrong password
                and a disabled account, and after the same work.
            TooManyChecks: It cannot be checked now.
        """
        account = account_by_name(self._catalog, username)
        if account is None:
            await self._passwords.refuse_unknown(password)
            # The name is not written down: people type their password there.
            self._audit.denied("unknown", "login", "", "no such account")
            raise self._wrong_credentials(realm)
        right = await self._passwords.verify(
            password,
            account_id=account.id,
            generation=account.generation,
            password_hash=account.password_hash,
        )
        if not right or account.disabled:
            self._audit.denied(username, "login", "", "account disabled" if right else "wrong password")
            raise self._wrong_credentials(realm)
        principal = Principal(id=account.id, name=account.name, is_admin=account.is_admin)
        return Identity(principal=principal, generation=account.generation, shown="basic")

    def note_denial(self, principal: Principal, action: str, where: str, why: str) -> None:
        """A handler refused somebody whom the gate had let pass: audited as the gate's own denials are."""
        self._audit.denied(principal.name, action, where, why)

    def refuse(self, *, realm: str) -> RegistryRefusal:
        """The 401 for credentials of a kind that nobody has here."""
        return self._wrong_credentials(realm)

    def held(self, principal: Principal, repository: str) -> frozenset[str]:
        """Every action that a principal may take in a repository now. Nothing if the principal has gone."""
        if principal.id is None:
            return PULL if is_public(self._catalog, repository) else NOTHING
        found = standing(self._catalog, principal.id, repository)
        return NOTHING if found is None else _rights(principal, repository, found)

    def visible(self, principal: Principal) -> VisibleRepositories:
        """Which repositories a principal may see now, for a list of them."""
        found = None if principal.id is None else standing(self._catalog, principal.id, "")
        if found is None:
            return VisibleRepositories()
        if found.is_admin:
            return VisibleRepositories(everything=True)
        patterns = [parse_pattern(pattern) for pattern, _ in found.grants]
        return VisibleRepositories(
            prefixes=(found.name + "/", *(pattern.prefix for pattern in patterns)),
            admits=lambda name: bool(self.held(principal, name)),
        )

    def _admit_bearer(self, token: str, demand: Demand, realm: str) -> Admission:
        try:
            claims = self._issuer.read(token)
        except TokenRefused as refused:
            # Clients show a token until it has ended: that is how they find out. It is no denial.
            if not refused.has_ended:
                self._audit.denied("unknown", demand.action, demand.place, "not a token of this registry")
            raise self._challenge(demand, realm, "invalid_token") from None
        given = claims.actions.get(demand.repository, NOTHING)
        if claims.principal_id is None:
            principal = ANONYMOUS
            now = PULL if demand.repository and is_public(self._catalog, demand.repository) else NOTHING
        else:
            found = standing(self._catalog, claims.principal_id, demand.repository)
            if found is None or found.disabled or found.generation != claims.generation:
                who = "unknown" if found is None else found.name
                self._audit.denied(who, demand.action, demand.place, "the token was taken back")
                raise self._challenge(demand, realm, "invalid_token")
            principal = Principal(id=claims.principal_id, name=found.name, is_admin=found.is_admin)
            now = _rights(principal, demand.repository, found) if demand.repository else NOTHING
        if demand.registry and not (
            demand.registry in claims.registry and may_use(principal, demand.registry)
        ):
            raise self._insufficient(principal, demand, realm)
        if not demand.actions <= covered(given, now):
            raise self._insufficient(principal, demand, realm)
        readable: frozenset[str] = frozenset()
        if demand.mount_from and "pull" in covered(
            claims.actions.get(demand.mount_from, NOTHING), self.held(principal, demand.mount_from)
        ):
            readable = frozenset({demand.mount_from})
        elif demand.mounts_any:
            readable = self._readable(principal, claims)
        return Admission(principal=principal, readable=readable)

    def _readable(self, principal: Principal, claims: TokenClaims) -> frozenset[str]:
        """The repositories that a token is for, and that its holder may pull now.

        How long this takes depends on the token, and not on who has the blob.
        """
        named = [path for path, actions in claims.actions.items() if "pull" in covered(PULL, actions)]
        return frozenset(
            path for path in sorted(named)[:MOST_MOUNT_SOURCES] if "pull" in self.held(principal, path)
        )

    async def _admit_basic(self, credentials: str, demand: Demand, realm: str) -> Admission:
        pair = _basic(credentials)
        if pair is None:
            raise self._challenge(demand, realm)
        try:
            identity = await self.prove(*pair, realm=realm)
        except RegistryRefusal:
            raise self._challenge(demand, realm) from None
        principal = identity.principal
        if demand.registry and not may_use(principal, demand.registry):
            self._audit.denied(principal.name, "use", f"registry:{demand.registry}", "not an account")
            raise RegistryRefusal(
                ErrorCode.DENIED, "this is for accounts only", detail={"scope": demand.scope}
            )
        if demand.repository:
            now = self.held(principal, demand.repository)
            if not demand.actions <= now:
                self._audit.denied(
                    principal.name, ",".join(sorted(demand.actions)), demand.repository, "no grant"
                )
                code = ErrorCode.DENIED if now else ErrorCode.NAME_UNKNOWN
                raise RegistryRefusal(code, code.meaning, detail={"name": demand.repository})
        readable: frozenset[str] = frozenset()
        if demand.mount_from and "pull" in self.held(principal, demand.mount_from):
            readable = frozenset({demand.mount_from})
        return Admission(principal=principal, readable=readable)

    def _challenge(self, demand: Demand, realm: str, error: str = "") -> RegistryRefusal:
        """A 401 that says where to get a token, and for what.

        The message is everyone's: clients print it, and people search for it.
        docker, podman and skopeo drop the message of an error without a detail,
        and docker repeats a push for a minute then.
        """
        return RegistryRefusal(
            ErrorCode.UNAUTHORIZED,
            ErrorCode.UNAUTHORIZED.meaning,
            detail={"scope": demand.scope},
            headers={"www-authenticate": self._bearer(realm, demand.scope, error)},
        )

    def _insufficient(self, principal: Principal, demand: Demand, realm: str) -> RegistryRefusal:
        self._audit.denied(principal.name, demand.action, demand.place, "not in the token or not held")
        return self._challenge(demand, realm, "insufficient_scope")

    def _wrong_credentials(self, realm: str) -> RegistryRefusal:
        return RegistryRefusal(
            ErrorCode.UNAUTHORIZED,
            ErrorCode.UNAUTHORIZED.meaning,
            detail="incorrect username or password",
            headers={"www-authenticate": self._bearer(realm, "", "")},
        )

    def _bearer(self, realm: str, scope: str, error: str) -> str:
        parameters: dict[str, str] = {"realm": realm, "service": self._issuer.service}
        if scope:
            parameters["scope"] = scope
        if error:
            parameters["error"] = error
        return str(Challenge("Bearer", parameters))


def _rights(principal: Principal, repository: str, found: Standing) -> frozenset[str]:
    return rights(
        principal,
        RepositoryFacts(
            name=repository, exists=found.repository_exists, public=found.public, owner_id=found.owner_id
        ),
        (Grant(parse_pattern(pattern), _actions(actions)) for pattern, actions in found.grants),
    )


def _actions(joined: str) -> frozenset[str]:
    """Read the actions of a grant row. One that this version does not know gives nothing."""
    return ALL_ACTIONS.intersection(joined.split(","))


def may_use(principal: Principal, part: str) -> bool:
    """Whether a part of the registry itself is open to somebody.

    Both are open to every account: management, since each may look after its
    own, and its routes ask for more; the list of repositories, since it shows
    only what the caller may see (`Guard.visible`).
    """
    return part in REGISTRY_PARTS and principal.id is not None


def _split(authorization: str | None) -> tuple[str, str]:
    """The scheme in lower case, and what follows it. Spec: RFC 9110, section 11.4."""
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    return scheme.lower(), credentials.strip()


def _basic(credentials: str) -> tuple[str, SecretText] | None:
    """User name and password of Basic credentials, or None where they cannot be read.

    Spec: RFC 7617, section 2: split at the first colon, UTF-8.
    """
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    username, colon, password = text.partition(":")
    if not colon or not username:
        return None
    return username, SecretText(password)
