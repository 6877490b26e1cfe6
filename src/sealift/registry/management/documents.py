"""What the management API reads and writes: closed schemas, so that no field can be slipped in.

A request with a field that is not listed here is refused. What is written never
holds a password or a hash of one. Fields are camelCase on the wire.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from sealift.registry.catalog.accounts import Account, GrantRow
from sealift.registry.catalog.repository_rows import RepositoryRow
from sealift.registry.catalog.storage_use import StorageUse
from sealift.registry.exchange import Answer
from sealift.registry.management.refusal import ManagementRefusal

API_VERSION: Final = "sealift.dev/v1alpha1"

MAX_REQUEST_BYTES: Final = 64 * 1024

T = TypeVar("T")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, description="One path component (R-REF-3).")]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=255, description="A repository's path.")]
Secret = Annotated[str, msgspec.Meta(max_length=4096, description="Written in requests only.")]
Action = Literal["pull", "push", "delete"]
Visibility = Literal["private", "public"]


class Closed(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A request: what is not listed is refused."""


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

    disabled: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether it is to be closed."""

    quota_bytes: Bytes | msgspec.UnsetType | None = msgspec.UNSET
    """The most that its repositories may hold; null is as much as there is room for."""


class NewRepository(Closed):
    """A repository to be made."""

    name: Path
    visibility: Visibility = "private"


class RepositoryChange(Closed):
    """How a repository is to be seen."""

    visibility: Visibility


class NewGrant(Closed):
    """Actions to be given in the repositories of a pattern."""

    to: Name
    repository: Annotated[str, msgspec.Meta(min_length=1, max_length=255, description="A pattern.")]
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

    created_at: datetime
    created_by: str
    storage: StorageDocument | msgspec.UnsetType = msgspec.UNSET
    """What it holds, where one is shown to who may push to it."""


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


def repository_document(row: RepositoryRow, actions: frozenset[str]) -> RepositoryDocument:
    """A repository, for somebody who may take `actions` in it."""
    return RepositoryDocument(
        name=row.name,
        visibility=row.visibility,
        owner=row.owner,
        actions=sorted(actions),
        created_at=moment(row.created_at),
        created_by=row.created_by,
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


def moment(microseconds: int) -> datetime:
    """A time of the catalog."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC)


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
