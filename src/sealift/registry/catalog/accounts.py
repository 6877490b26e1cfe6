"""Accounts and grants, as rows.

Functions of a `Reader` ask, functions of a `Transaction` change. Whatever
changes what an account may do, or how it proves itself, raises its `generation`
and so ends every token and every remembered password of it, in every process.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import and_, bindparam, delete, func, insert, literal, select, update

from sealift.errors import SealiftError
from sealift.registry.catalog.database import Query, Reader, Row, Transaction
from sealift.registry.catalog.schema import account, grant, principal, repository

RESERVED_NAMES: Final = frozenset({"serviceaccount", "anonymous", "unknown", "collector"})
"""Names that no account can have: the user name of Kubernetes tokens, the two that the audit trail
has for nobody and for whoever failed to log in, and the one under which the collector deletes."""


class NameTaken(SealiftError):
    """There is an account, a credential, a group or a repository of that name already."""

    exit_status: ClassVar[int] = 2


class NoSuchAccount(SealiftError):
    """No account has that name."""

    exit_status: ClassVar[int] = 3


class NoSuchGrant(SealiftError):
    """No grant has that number."""

    exit_status: ClassVar[int] = 3


class StillOwns(SealiftError):
    """The account cannot go while repositories are its own."""

    exit_status: ClassVar[int] = 2


class LastAdmin(SealiftError):
    """Without this account nobody could manage the registry any more."""

    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, as it stands."""

    id: int
    name: str
    password_hash: str
    is_admin: bool
    disabled: bool
    generation: int
    created_at: int
    """Microseconds since 1970, UTC."""

    quota_bytes: int | None = None
    """The most that its repositories may hold; None is as much as there is room for."""

    def __repr__(self) -> str:
        return f"Account(id={self.id}, name={self.name!r})"  # a hash has no business in a log


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """One grant, as it is written."""

    id: int
    principal: str
    pattern: str
    actions: str
    """Comma-joined and sorted: ``delete,pull,push``."""

    created_at: int
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that a decision about one principal and one repository needs, read in one snapshot."""

    name: str
    kind: str
    generation: int
    disabled: bool
    is_admin: bool
    repository_exists: bool
    public: bool
    owner_id: int | None
    grants: tuple[tuple[str, str], ...]
    """(pattern, actions) of each grant the principal holds."""


def no_such_account(name: str) -> NoSuchAccount:
    """What is raised where no account has a name."""
    return NoSuchAccount(f"there is no account {name!r}", hint="sealift account list")


# ------------------------------------------------------------------ questions

_ACCOUNT_COLUMNS = (
    principal.c.id,
    principal.c.name,
    account.c.password_hash,
    account.c.is_admin,
    principal.c.disabled,
    principal.c.generation,
    principal.c.created_at,
    account.c.quota_bytes,
)
_ACCOUNTS = select(*_ACCOUNT_COLUMNS).join_from(principal, account, account.c.id == principal.c.id)
_BY_NAME = Query(_ACCOUNTS.where(principal.c.name == bindparam("name")))
_BY_ID = Query(_ACCOUNTS.where(principal.c.id == bindparam("id")))
_ALL_ACCOUNTS = Query(_ACCOUNTS.order_by(principal.c.name))
_OTHER_ADMINS = Query(
    select(func.count())
    .select_from(principal.join(account, account.c.id == principal.c.id))
    .where(account.c.is_admin, ~principal.c.disabled, principal.c.id != bindparam("id"))
)
_STANDING = Query(
    select(
        principal.c.name,
        principal.c.kind,
        principal.c.generation,
        principal.c.disabled,
        account.c.is_admin,
        repository.c.visibility,
        repository.c.owner_id,
        grant.c.pattern,
        grant.c.actions,
    )
    .select_from(
        principal.outerjoin(account, account.c.id == principal.c.id)
        .outerjoin(repository, repository.c.name == bindparam("repository"))
        .outerjoin(grant, grant.c.principal_id == principal.c.id)
    )
    .where(principal.c.id == bindparam("id"))
)
_GRANTS = (
    select(
        grant.c.id, principal.c.name, grant.c.pattern, grant.c.actions, grant.c.created_at, grant.c.created_by
    )
    .join_from(grant, principal, principal.c.id == grant.c.principal_id)
    .order_by(grant.c.id)
)
_ALL_GRANTS = Query(_GRANTS)
_GRANTS_OF = Query(_GRANTS.where(principal.c.name == bindparam("name")))
_GRANT_BY_ID = Query(_GRANTS.where(grant.c.id == bindparam("id")))
_OWNED = Query(select(repository.c.name).where(repository.c.owner_id == bindparam("id")).limit(1))


def account_by_name(reader: Reader, name: str) -> Account | None:
    """The account of that name."""
    row = reader.first(_BY_NAME, name=name)
    return None if row is None else _account(row)


def account_by_id(reader: Reader, account_id: int) -> Account | None:
    """The account of that id."""
    row = reader.first(_BY_ID, id=account_id)
    return None if row is None else _account(row)


def all_accounts(reader: Reader) -> list[Account]:
    """Every account, by name. There are as many as somebody typed in."""
    return [_account(row) for row in reader.all(_ALL_ACCOUNTS)]


def standing(reader: Reader, principal_id: int, repository_name: str) -> Standing | None:
    """What the catalog says now of a principal and a repository (``""`` for none), or None if it has gone.

    One statement, so that a principal, its grants and the repository are seen at one moment.
    """
    rows = reader.all(_STANDING, id=principal_id, repository=repository_name)
    if not rows:
        return None
    name, kind, generation, disabled, is_admin, visibility, owner_id, first_pattern, _ = rows[0]
    return Standing(
        name=name,
        kind=kind,
        generation=generation,
        disabled=bool(disabled),
        is_admin=bool(is_admin),
        repository_exists=visibility is not None,
        public=visibility == "public",
        owner_id=owner_id,
        grants=() if first_pattern is None else tuple((row[7], row[8]) for row in rows),
    )


def grants(reader: Reader, *, to: str | None = None) -> list[GrantRow]:
    """Every grant, or those of one principal, oldest first."""
    rows = reader.all(_ALL_GRANTS) if to is None else reader.all(_GRANTS_OF, name=to)
    return [_grant(row) for row in rows]


def grant_by_id(reader: Reader, grant_id: int) -> GrantRow | None:
    """One grant."""
    row = reader.first(_GRANT_BY_ID, id=grant_id)
    return None if row is None else _grant(row)


# ------------------------------------------------------------------ changes

_ADD_PRINCIPAL = Query(
    insert(principal).values(kind="account", name=bindparam("name"), created_at=bindparam("now"))
)
_ADD_ACCOUNT = Query(insert(account), columns=("id", "password_hash", "is_admin"))
_ID_OF = Query(select(principal.c.id, principal.c.kind).where(principal.c.name == bindparam("name")))
_SET_PASSWORD = Query(
    update(account).where(account.c.id == bindparam("of")).values(password_hash=bindparam("hash"))
)
_BUMP = Query(
    update(principal)
    .where(principal.c.id == bindparam("of"))
    .values(generation=principal.c.generation + literal(1))
)
_SET_DISABLED = Query(
    update(principal).where(principal.c.id == bindparam("of")).values(disabled=bindparam("to"))
)
_SET_QUOTA = Query(update(account).where(account.c.id == bindparam("of")).values(quota_bytes=bindparam("to")))
_REMOVE = Query(delete(principal).where(principal.c.id == bindparam("of")))
_TRANSFER = Query(
    update(repository).where(repository.c.owner_id == bindparam("of")).values(owner_id=bindparam("to"))
)
_ADD_GRANT = Query(insert(grant), columns=("principal_id", "pattern", "actions", "created_at", "created_by"))
_SAME_GRANT = Query(
    select(grant.c.id).where(
        and_(grant.c.principal_id == bindparam("of"), grant.c.pattern == bindparam("pattern")),
        grant.c.actions == bindparam("actions"),
    )
)
_REMOVE_GRANT = Query(delete(grant).where(grant.c.id == bindparam("of")))


def add_account(
    transaction: Transaction, *, name: str, password_hash: str, is_admin: bool, now: int
) -> Account:
    """Add an account.

    Raises:
        NameTaken: The name is somebody's, or reserved.
    """
    if name in RESERVED_NAMES:
        raise NameTaken(f"the name {name!r} is reserved", hint="choose another name")
    if transaction.first(_ID_OF, name=name) is not None:
        raise NameTaken(
            f"the name {name!r} is taken", why="accounts, credentials and groups share one set of names"
        )
    transaction.run(_ADD_PRINCIPAL, name=name, now=now)
    row = transaction.first(_ID_OF, name=name)
    assert row is not None  # noqa: S101 - inserted one line above, in this transaction
    transaction.run(_ADD_ACCOUNT, id=row[0], password_hash=password_hash, is_admin=is_admin)
    return named_account(transaction, name)


def set_password(
    transaction: Transaction, *, name: str, password_hash: str, only_id: int | None = None
) -> Account:
    """Give an account another password and end its tokens.

    Args:
        transaction: Where.
        name: Whose.
        password_hash: The new one.
        only_id: The account that the caller was seen to be allowed to change. The
            name may be another's by now: hashing takes time.

    Raises:
        NoSuchAccount: It is not there, or not that one.
    """
    found = named_account(transaction, name)
    if only_id is not None and found.id != only_id:
        raise no_such_account(name)
    transaction.run(_SET_PASSWORD, of=found.id, hash=password_hash)
    transaction.run(_BUMP, of=found.id)
    return named_account(transaction, name)


def set_disabled(transaction: Transaction, *, name: str, disabled: bool) -> Account:
    """Close an account, or open it again, and end its tokens.

    Raises:
        NoSuchAccount: It is not there.
        LastAdmin: Nobody could manage the registry any more.
    """
    found = named_account(transaction, name)
    if disabled:
        _leave_an_admin(transaction, found, "disabled")
    if disabled is not found.disabled:
        transaction.run(_SET_DISABLED, of=found.id, to=disabled)
        transaction.run(_BUMP, of=found.id)
    return named_account(transaction, name)


def set_quota(transaction: Transaction, *, name: str, quota_bytes: int | None) -> Account:
    """Say how much an account's repositories may hold. What they hold already stays, whatever it is.

    Raises:
        NoSuchAccount: It is not there.
    """
    found = named_account(transaction, name)
    transaction.run(_SET_QUOTA, of=found.id, to=quota_bytes)
    return named_account(transaction, name)


def remove_account(transaction: Transaction, *, name: str, transfer_to: str | None) -> Account:
    """Remove an account with its grants; its repositories go to `transfer_to`.

    Raises:
        NoSuchAccount: One of the two is not there.
        StillOwns: It owns repositories and nobody was named to take them.
        LastAdmin: Nobody could manage the registry any more.
    """
    found = named_account(transaction, name)
    _leave_an_admin(transaction, found, "removed")
    owned = transaction.first(_OWNED, id=found.id)
    if transfer_to is not None:
        heir = named_account(transaction, transfer_to)
        if heir.id == found.id:
            raise StillOwns(
                f"{name!r} cannot inherit from itself", hint="name another account to transfer to"
            )
        transaction.run(_TRANSFER, of=found.id, to=heir.id)
    elif owned is not None:
        raise StillOwns(
            f"the account {name!r} still owns repositories, such as {owned[0]}",
            hint=f"sealift account remove {name} --transfer-to NAME, or delete them first",
        )
    transaction.run(_REMOVE, of=found.id)
    return found


def add_grant(
    transaction: Transaction, *, to: str, pattern: str, actions: Iterable[str], by: str, now: int
) -> GrantRow:
    """Give actions in the repositories of a pattern. What is there already is not written twice.

    Raises:
        NoSuchAccount: Nobody has that name.
    """
    row = transaction.first(_ID_OF, name=to)
    if row is None:
        raise no_such_account(to)
    joined = ",".join(sorted(actions))
    same = transaction.first(_SAME_GRANT, of=row[0], pattern=pattern, actions=joined)
    if same is None:
        transaction.run(
            _ADD_GRANT, principal_id=row[0], pattern=pattern, actions=joined, created_at=now, created_by=by
        )
        same = transaction.first(_SAME_GRANT, of=row[0], pattern=pattern, actions=joined)
    assert same is not None  # noqa: S101 - inserted above, in this transaction
    made = grant_by_id(transaction, same[0])
    assert made is not None  # noqa: S101 - as above
    return made


def remove_grant(transaction: Transaction, grant_id: int) -> GrantRow:
    """Take a grant back. Tokens carry no right that is looked up and not found, so none need to end.

    Raises:
        NoSuchGrant: It is not there.
    """
    found = grant_by_id(transaction, grant_id)
    if found is None:
        raise NoSuchGrant(f"there is no grant {grant_id}", hint="sealift grant list")
    transaction.run(_REMOVE_GRANT, of=grant_id)
    return found


def named_account(reader: Reader, name: str) -> Account:
    """The account of that name.

    Raises:
        NoSuchAccount: It is not there.
    """
    found = account_by_name(reader, name)
    if found is None:
        raise no_such_account(name)
    return found


def _leave_an_admin(reader: Reader, found: Account, verb: str) -> None:
    row = reader.first(_OTHER_ADMINS, id=found.id)
    if found.is_admin and not found.disabled and (row is None or row[0] == 0):
        raise LastAdmin(
            f"{found.name!r} is the last admin and cannot be {verb}",
            hint="make another one first: sealift account add NAME --admin",
        )


def _account(row: Row) -> Account:
    return Account(
        id=row[0],
        name=row[1],
        password_hash=row[2],
        is_admin=bool(row[3]),
        disabled=bool(row[4]),
        generation=row[5],
        created_at=row[6],
        quota_bytes=row[7],
    )


def _grant(row: Row) -> GrantRow:
    return GrantRow(
        id=row[0], principal=row[1], pattern=row[2], actions=row[3], created_at=row[4], created_by=row[5]
    )
