from pathlib import Path

import pytest
from tests.registry.open_registry import Client, basic

from sealift.registry.access.first_account import password_file
from sealift.registry.assembly import Parts, open_registry, prepare
from sealift.registry.catalog.accounts import all_accounts
from sealift.registry.catalog.database import Catalog
from sealift.registry.data_directory import DataDirectory


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path / "data")


async def test_a_first_start_makes_the_first_account_and_a_second_one_keeps_it(data: DataDirectory) -> None:
    with data.lock():
        assert prepare(data)
        first = password_file(data.path).read_text()
        assert not prepare(data)
        assert password_file(data.path).read_text() == first
        async with open_registry(Parts(data=data)) as app:
            reply = await Client(app).ask("GET", "/v2/", auth=basic("admin", first.strip()))
            assert reply.status == 200


def test_a_start_that_was_cut_before_the_account_was_made_is_made_up_for(data: DataDirectory) -> None:
    with data.lock():
        data.prepare()
        password_file(data.path).write_text("of a start that did not get further\n")
        assert prepare(data)
        assert "did not get further" not in password_file(data.path).read_text()


def test_a_registry_with_accounts_gets_no_first_one(data: DataDirectory) -> None:
    with data.lock():
        prepare(data)
        password_file(data.path).unlink()
        assert not prepare(data)
        assert not password_file(data.path).exists()
        with Catalog(data.catalog) as catalog:
            assert [account.name for account in all_accounts(catalog)] == ["admin"]
