"""Repositories as rows: who owns them, who may see them, making and deleting them.

What is in them is the business of the modules beside this one.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import bindparam, delete, func, insert, select, update

from sealift.registry.catalog.accounts import NameTaken
from sealift.registry.catalog.database import Query, Reader, Row, Transaction
from sealift.registry.catalog.reviews import watch_blobs_of
from sealift.registry.catalog.schema import principal, repository, tag
from sealift.registry.catalog.tags import refuse_to_lose_immutable

Visibility = Literal["private", "public"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRow:
    """One repository, without what is in it."""

    id: int
    name: str
    visibility: Visibility
    owner: str | None
    """The account that owns it, or None where its first path element was nobody's name."""

    owner_id: int | None
    created_at: int
    created_by: str


_IS_PUBLIC = Query(select(repository.c.visibility).where(repository.c.name == bindparam("repository")))
_REPOSITORIES = select(
    repository.c.id,
    repository.c.name,
    repository.c.visibility,
    principal.c.name,
    repository.c.owner_id,
    repository.c.created_at,
    repository.c.created_by,
).join_from(repository, principal, principal.c.id == repository.c.owner_id, isouter=True)
_REPOSITORY = Query(_REPOSITORIES.where(repository.c.name == bindparam("name")))
_NOT_OWNED_UNDER = Query(
    select(repository.c.name)
    .where(
        repository.c.name >= bindparam("first"),
        repository.c.name < bindparam("end"),
        func.coalesce(repository.c.owner_id, 0) != bindparam("owner"),
    )
    .limit(1)
)
_NAME_OWNER = select(principal.c.id).where(
    principal.c.kind == "account", principal.c.name == bindparam("first_element")
)
_CREATE_REPOSITORY = Query(
    insert(repository).values(
        name=bindparam("name"),
        visibility=bindparam("visibility"),
        owner_id=_NAME_OWNER.scalar_subquery(),
        created_at=bindparam("now"),
        created_by=bindparam("by"),
    )
)
_SET_VISIBILITY = Query(
    update(repository)
    .where(
        repository.c.name == bindparam("of"),
        repository.c.id == func.coalesce(bindparam("only_id"), repository.c.id),
    )
    .values(visibility=bindparam("to"))
)

_REMOVE_TAGS = Query(delete(tag).where(tag.c.repository_id == bindparam("of")))
_REMOVE_REPOSITORY = Query(delete(repository).where(repository.c.id == bindparam("of")))


def is_public(reader: Reader, repository_name: str) -> bool:
    """Whether there is a repository of that name which everyone may pull."""
    row = reader.first(_IS_PUBLIC, repository=repository_name)
    return row is not None and row[0] == "public"


def repository_row(reader: Reader, name: str) -> RepositoryRow | None:
    """The repository of that name."""
    row = reader.first(_REPOSITORY, name=name)
    return None if row is None else _repository(row)


def other_owner_under(reader: Reader, name: str, owner_id: int) -> str | None:
    """A repository under the account name `name` that the account `owner_id` does not own, if there is one.

    There are such where somebody else had the name before, or where the
    repository was there before the account.
    """
    row = reader.first(_NOT_OWNED_UNDER, first=name + "/", end=name + "0", owner=owner_id)  # 0 is / plus one
    return None if row is None else str(row[0])


def create_repository(
    transaction: Transaction, *, name: str, visibility: Visibility, by: str, now: int
) -> RepositoryRow:
    """Make a repository, owned by the account that its first path element names.

    Raises:
        NameTaken: It is there already.
    """
    if repository_row(transaction, name) is not None:
        raise NameTaken(f"the repository {name} is there already", hint=f"sealift repo show {name}")
    transaction.run(
        _CREATE_REPOSITORY,
        name=name,
        visibility=visibility,
        first_element=name.partition("/")[0],
        now=now,
        by=by,
    )
    made = repository_row(transaction, name)
    assert made is not None  # noqa: S101 - inserted above, in this transaction
    return made


def set_visibility(
    transaction: Transaction, *, name: str, visibility: Visibility, only_id: int | None = None
) -> RepositoryRow | None:
    """Make a repository public or private; None where there is none of that name.

    With `only_id` none but that one counts, in case it was deleted and another
    has its name since the caller was seen to be allowed to.
    """
    changed = transaction.run(_SET_VISIBILITY, of=name, to=visibility, only_id=only_id)
    return repository_row(transaction, name) if changed else None


def delete_repository(transaction: Transaction, repository_id: int, *, now: int) -> None:
    """Delete a repository with all that is in it. Blobs that nobody has any more are collected later.

    Raises:
        TagImmutable: It has a tag that a rule keeps; the rule has to go first.
    """
    refuse_to_lose_immutable(transaction, repository_id)
    watch_blobs_of(transaction, repository_id, now=now, reason="its repository was deleted")
    transaction.run(_REMOVE_TAGS, of=repository_id)  # they hold on to the manifests they name
    transaction.run(_REMOVE_REPOSITORY, of=repository_id)


def _repository(row: Row) -> RepositoryRow:
    return RepositoryRow(
        id=row[0],
        name=row[1],
        visibility=row[2],
        owner=row[3],
        owner_id=row[4],
        created_at=row[5],
        created_by=row[6],
    )
