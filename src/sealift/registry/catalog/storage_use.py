"""How many bytes a repository holds, or all of an account: asked of the links, never counted along.

There is no row that every push of an owner would have to change, and so none
that they would wait for (harbor#18440). The price is that asking reads every
link of the owner's repositories; who asks often remembers the answer for a
moment (`sealift.registry.room`).

A blob counts once, however many repositories of the owner have it. Whether a
stranger has it too is nobody's business but the operator's: who could see that
would learn what is in private repositories.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.sql import Select

from sealift.registry.catalog.database import Query, Reader
from sealift.registry.catalog.schema import account, blob, blob_link, manifest, principal, repository, upload


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUse:
    """Bytes that are held, told apart by who else holds them."""

    unique: int
    """Only here: they are what would be free if all of this went. Manifests are among them."""

    shared: int
    """Blobs that others hold as well."""

    @property
    def total(self) -> int:
        """Both: what a quota is held against."""
        return self.unique + self.shared


_OWNED = select(repository.c.id).where(repository.c.owner_id == bindparam("owner"))
_OWN_DIGESTS = select(blob_link.c.digest).where(blob_link.c.repository_id.in_(_OWNED)).distinct().subquery()
_OWN_BLOBS = select(func.coalesce(func.sum(blob.c.size), 0)).join_from(
    _OWN_DIGESTS, blob, blob.c.digest == _OWN_DIGESTS.c.digest
)
_other = repository.alias("other")
_IS_FOREIGN = (
    exists()
    .where(blob_link.c.digest == _OWN_DIGESTS.c.digest)
    .where(_other.c.id == blob_link.c.repository_id)
    .where(_other.c.owner_id.is_distinct_from(bindparam("owner")))
    .correlate(_OWN_DIGESTS)
)
_ALL_OF_OWNER = Query(_OWN_BLOBS)
_SHARED_OF_OWNER = Query(_OWN_BLOBS.where(_IS_FOREIGN))
_MANIFESTS = select(func.coalesce(func.sum(manifest.c.size), 0))
_MANIFESTS_OF_OWNER = Query(_MANIFESTS.where(manifest.c.repository_id.in_(_OWNED)))

_elsewhere = blob_link.alias("elsewhere")


def _of_repository() -> Select[tuple[int]]:
    return (
        select(func.coalesce(func.sum(blob.c.size), 0))
        .join_from(blob_link, blob, blob.c.digest == blob_link.c.digest)
        .where(blob_link.c.repository_id == bindparam("repository"))
    )


_ALL_OF_REPOSITORY = Query(_of_repository())
_SHARED_OF_REPOSITORY = Query(
    _of_repository().where(
        exists()
        .where(_elsewhere.c.digest == blob_link.c.digest)
        .where(_elsewhere.c.repository_id != bindparam("repository"))
        .correlate(blob_link)
    )
)
_MANIFESTS_OF_REPOSITORY = Query(_MANIFESTS.where(manifest.c.repository_id == bindparam("repository")))

_OWNER_QUOTA = (
    select(account.c.id, principal.c.name, account.c.quota_bytes)
    .join(principal, principal.c.id == account.c.id)
    .where(account.c.quota_bytes.is_not(None))
)
_QUOTA_OF_REPOSITORY = Query(
    _OWNER_QUOTA.join(repository, repository.c.owner_id == account.c.id).where(
        repository.c.name == bindparam("repository")
    )
)
_QUOTA_OF_NAME = Query(_OWNER_QUOTA.where(principal.c.name == bindparam("name")))
_UPLOADS_OF_OWNER = Query(select(upload.c.id).where(upload.c.repository_id.in_(_OWNED)))
_HAS = Query(
    select(blob_link.c.digest)
    .where(blob_link.c.repository_id.in_(_OWNED), blob_link.c.digest == bindparam("digest"))
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most that the repositories of an account may hold."""

    owner_id: int
    owner: str
    most: int
    """Bytes, unique and shared together."""


def quota_over(reader: Reader, repository_name: str) -> Quota | None:
    """The quota that a push to a repository counts against, whether it is there already or not."""
    row = reader.first(_QUOTA_OF_REPOSITORY, repository=repository_name)
    if row is None:
        first_element = repository_name.partition("/")[0]
        row = reader.first(_QUOTA_OF_NAME, name=first_element)
        if row is not None and reader.first(_EXISTS, name=repository_name) is not None:
            return None  # it is there, and somebody else's or nobody's
    return None if row is None else Quota(owner_id=row[0], owner=row[1], most=row[2])


_EXISTS = Query(select(repository.c.id).where(repository.c.name == bindparam("name")))


def total_of_owner(reader: Reader, owner_id: int) -> int:
    """Bytes that the repositories of an account hold, each blob once."""
    return _sum(reader, _ALL_OF_OWNER, owner=owner_id) + _sum(reader, _MANIFESTS_OF_OWNER, owner=owner_id)


def use_of_owner(reader: Reader, owner_id: int) -> StorageUse:
    """The same, told apart by whether anybody else's repository has it."""
    total = total_of_owner(reader, owner_id)
    shared = _sum(reader, _SHARED_OF_OWNER, owner=owner_id)
    return StorageUse(unique=total - shared, shared=shared)


def use_of_repository(reader: Reader, repository_id: int) -> StorageUse:
    """Bytes that one repository holds, told apart by whether any other repository has them."""
    total = _sum(reader, _ALL_OF_REPOSITORY, repository=repository_id) + _sum(
        reader, _MANIFESTS_OF_REPOSITORY, repository=repository_id
    )
    shared = _sum(reader, _SHARED_OF_REPOSITORY, repository=repository_id)
    return StorageUse(unique=total - shared, shared=shared)


def uploads_of_owner(reader: Reader, owner_id: int) -> list[str]:
    """The uploads that are open in an account's repositories, whoever began them."""
    return [upload_id for (upload_id,) in reader.all(_UPLOADS_OF_OWNER, owner=owner_id)]


def owner_has_blob(reader: Reader, owner_id: int, digest: str) -> bool:
    """Whether a blob is in one of an account's repositories already, so that it would cost it nothing."""
    return reader.first(_HAS, owner=owner_id, digest=digest) is not None


def _sum(reader: Reader, query: Query, **parameters: int) -> int:
    row = reader.first(query, **parameters)
    return 0 if row is None else int(row[0])
