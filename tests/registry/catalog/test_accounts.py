from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealift.registry.catalog import accounts, repository_rows
from sealift.registry.catalog.accounts import (
    Account,
    LastAdmin,
    NameTaken,
    NoSuchAccount,
    NoSuchGrant,
    Standing,
    StillOwns,
)
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.data_directory import DataDirectory


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    data = DataDirectory(tmp_path / "data")
    with data.lock():
        data.prepare()
        with Catalog(data.catalog) as opened:
            yield opened


def _write(catalog: Catalog, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    return catalog.write_now(lambda transaction: work(transaction, *arguments, **named))


def _add(catalog: Catalog, name: str, *, is_admin: bool = False) -> Account:
    made = _write(catalog, accounts.add_account, name=name, password_hash="hash", is_admin=is_admin, now=5)
    assert isinstance(made, Account)
    return made


def _create(catalog: Catalog, name: str) -> None:
    _write(catalog, repository_rows.create_repository, name=name, visibility="private", by="x", now=6)


def test_an_account_is_what_was_added(catalog: Catalog) -> None:
    made = _add(catalog, "ashok")
    assert made == Account(
        id=made.id,
        name="ashok",
        password_hash="hash",
        is_admin=False,
        disabled=False,
        generation=1,
        created_at=5,
    )
    assert accounts.account_by_name(catalog, "ashok") == made
    assert accounts.account_by_id(catalog, made.id) == made
    assert accounts.account_by_name(catalog, "nobody") is None
    assert repr(made) == f"Account(id={made.id}, name='ashok')"


@pytest.mark.parametrize("name", ["ashok", "serviceaccount", "anonymous", "unknown"])
def test_a_name_that_is_taken_or_reserved(catalog: Catalog, name: str) -> None:
    _add(catalog, "ashok")
    with pytest.raises(NameTaken):
        _add(catalog, name)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda transaction: accounts.set_password(transaction, name="ashok", password_hash="new"),
            id="a password",
        ),
        pytest.param(
            lambda transaction: accounts.set_disabled(transaction, name="ashok", disabled=True),
            id="disabling",
        ),
    ],
)
def test_every_change_raises_the_generation(
    catalog: Catalog, change: Callable[[Transaction], Account]
) -> None:
    before = _add(catalog, "ashok")
    after = catalog.write_now(change)
    assert after.generation == before.generation + 1


def test_what_changes_nothing_leaves_the_generation(catalog: Catalog) -> None:
    before = _add(catalog, "ashok")
    assert _write(catalog, accounts.set_disabled, name="ashok", disabled=False) == before


def test_an_account_that_is_opened_again_has_no_token_of_before(catalog: Catalog) -> None:
    before = _add(catalog, "ashok")
    _write(catalog, accounts.set_disabled, name="ashok", disabled=True)
    again = _write(catalog, accounts.set_disabled, name="ashok", disabled=False)
    assert again == replace(before, generation=before.generation + 2)


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda t: accounts.set_password(t, name="nobody", password_hash="x"), id="password"),
        pytest.param(lambda t: accounts.set_disabled(t, name="nobody", disabled=True), id="disable"),
        pytest.param(lambda t: accounts.remove_account(t, name="nobody", transfer_to=None), id="remove"),
        pytest.param(lambda t: accounts.remove_account(t, name="ashok", transfer_to="nobody"), id="an heir"),
        pytest.param(
            lambda t: accounts.add_grant(t, to="nobody", pattern="a/*", actions=["pull"], by="x", now=1),
            id="a grant",
        ),
    ],
)
def test_nobody_of_that_name(catalog: Catalog, work: Callable[[Transaction], object]) -> None:
    _add(catalog, "ashok")
    with pytest.raises(NoSuchAccount):
        catalog.write_now(work)


def test_the_last_admin_stays(catalog: Catalog) -> None:
    _add(catalog, "admin", is_admin=True)
    _add(catalog, "ashok")
    for work in (
        lambda t: accounts.set_disabled(t, name="admin", disabled=True),
        lambda t: accounts.remove_account(t, name="admin", transfer_to=None),
    ):
        with pytest.raises(LastAdmin):
            catalog.write_now(work)
    _add(catalog, "second", is_admin=True)
    _write(catalog, accounts.set_disabled, name="second", disabled=True)
    with pytest.raises(LastAdmin):
        _write(catalog, accounts.remove_account, name="admin", transfer_to=None)
    _write(catalog, accounts.remove_account, name="second", transfer_to=None)


def test_what_was_allowed_for_one_is_not_done_to_who_has_its_name_now(catalog: Catalog) -> None:
    before = _add(catalog, "ashok")
    _create(catalog, "apps/web")
    row = repository_rows.repository_row(catalog, "apps/web")
    assert row is not None
    _write(catalog, accounts.remove_account, name="ashok", transfer_to=None)
    now = _add(catalog, "ashok")
    _write(catalog, repository_rows.delete_repository, repository_id=row.id, now=5)
    _create(catalog, "apps/web")
    with pytest.raises(NoSuchAccount):
        _write(catalog, accounts.set_password, name="ashok", password_hash="x", only_id=before.id)
    assert accounts.account_by_name(catalog, "ashok") == now
    changed = _write(
        catalog, repository_rows.set_visibility, name="apps/web", visibility="public", only_id=row.id
    )
    assert changed is None
    assert not repository_rows.is_public(catalog, "apps/web")


def test_ownership_hangs_on_the_id(catalog: Catalog) -> None:
    first = _add(catalog, "ashok")
    _create(catalog, "ashok/web")
    _create(catalog, "apps/web")
    rows = [repository_rows.repository_row(catalog, name) for name in ("apps/web", "ashok/web")]
    owners = {row.name: (row.owner, row.owner_id) for row in rows if row is not None}
    assert owners == {"apps/web": (None, None), "ashok/web": ("ashok", first.id)}
    with pytest.raises(StillOwns, match="ashok/web"):
        _write(catalog, accounts.remove_account, name="ashok", transfer_to=None)
    with pytest.raises(StillOwns):
        _write(catalog, accounts.remove_account, name="ashok", transfer_to="ashok")
    heir = _add(catalog, "heir")
    _write(catalog, accounts.remove_account, name="ashok", transfer_to="heir")
    again = _add(catalog, "ashok")
    assert again.id != first.id
    row = repository_rows.repository_row(catalog, "ashok/web")
    assert row is not None
    assert (row.owner, row.owner_id) == ("heir", heir.id)
    assert repository_rows.other_owner_under(catalog, "ashok", again.id) == "ashok/web"
    assert repository_rows.other_owner_under(catalog, "ashok", heir.id) is None


@pytest.mark.parametrize("name", ["ashok-2/web", "ashok0/web", "ash/web", "ashok.x/web"])
def test_another_name_that_begins_alike_is_another(catalog: Catalog, name: str) -> None:
    account = _add(catalog, "ashok")
    _create(catalog, name)
    assert repository_rows.other_owner_under(catalog, "ashok", account.id) is None


def test_a_standing_is_all_of_one_moment(catalog: Catalog) -> None:
    ashok = _add(catalog, "ashok")
    _create(catalog, "apps/web")
    assert accounts.standing(catalog, ashok.id, "apps/web") == Standing(
        name="ashok",
        kind="account",
        generation=1,
        disabled=False,
        is_admin=False,
        repository_exists=True,
        public=False,
        owner_id=None,
        grants=(),
    )
    for pattern in ("apps/*", "apps/web"):
        _write(
            catalog, accounts.add_grant, to="ashok", pattern=pattern, actions=["push", "pull"], by="x", now=1
        )
    _write(catalog, repository_rows.set_visibility, name="apps/web", visibility="public")
    found = accounts.standing(catalog, ashok.id, "apps/web")
    assert found is not None
    assert (found.public, sorted(found.grants)) == (
        True,
        [("apps/*", "pull,push"), ("apps/web", "pull,push")],
    )
    nowhere = accounts.standing(catalog, ashok.id, "")
    assert nowhere is not None
    assert (nowhere.repository_exists, nowhere.public, len(nowhere.grants)) == (False, False, 2)
    assert accounts.standing(catalog, 999, "apps/web") is None


def test_grants_go_with_their_account(catalog: Catalog) -> None:
    _add(catalog, "ashok")
    _write(catalog, accounts.add_grant, to="ashok", pattern="apps/*", actions=["pull"], by="x", now=1)
    _write(catalog, accounts.remove_account, name="ashok", transfer_to=None)
    assert accounts.grants(catalog) == []


def test_a_grant_that_is_there_already_is_the_same(catalog: Catalog) -> None:
    _add(catalog, "ashok")
    made = [
        _write(catalog, accounts.add_grant, to="ashok", pattern="apps/*", actions=actions, by="x", now=now)
        for now, actions in enumerate((["push", "pull"], ["pull", "push"]))
    ]
    assert made[0] == made[1]
    assert accounts.grants(catalog, to="ashok") == [made[0]]
    _write(catalog, accounts.remove_grant, made[0].id)
    with pytest.raises(NoSuchGrant):
        _write(catalog, accounts.remove_grant, made[0].id)


def test_a_repository_is_made_once(catalog: Catalog) -> None:
    _create(catalog, "apps/web")
    with pytest.raises(NameTaken):
        _create(catalog, "apps/web")


def test_a_failed_change_leaves_nothing(catalog: Catalog) -> None:
    """A change is one transaction: the account is not half-removed where its heir is missing."""
    _add(catalog, "ashok")
    _create(catalog, "ashok/web")
    with pytest.raises(NoSuchAccount):
        _write(catalog, accounts.remove_account, name="ashok", transfer_to="nobody")
    row = repository_rows.repository_row(catalog, "ashok/web")
    assert row is not None
    assert row.owner == "ashok"
