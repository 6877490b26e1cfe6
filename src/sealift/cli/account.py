"""``sealift account``: who may log in to a registry."""

from pathlib import Path
from urllib.parse import quote

import click

from sealift.cli.management import STORAGE, ManagementServer, ask_new_password, server_options

QUOTA = click.option(
    "--quota", metavar="SIZE|none", required=True, help="The most its repositories may hold, such as 50GiB."
)

COLUMNS = {"NAME": "name", "ADMIN": "admin", "DISABLED": "disabled", "CREATED": "createdAt"}


@click.group()
def account() -> None:
    """Who may log in."""


@account.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="May manage the registry.")
@click.option("--password-stdin", is_flag=True, help="Read the new password from standard input.")
@server_options
def add(name: str, *, admin: bool, password_stdin: bool, server: ManagementServer) -> None:
    """Add an account."""
    password = ask_new_password(from_stdin=password_stdin, whose=name)
    made = server.ask(
        "POST",
        "/accounts",
        doing=f"add the account {name}",
        body={"name": name, "password": password.reveal(), "admin": admin},
    )
    server.show(made, COLUMNS)


@account.command("list")
@server_options
def list_(*, server: ManagementServer) -> None:
    """List the accounts."""
    server.show(server.ask("GET", "/accounts", doing="list the accounts"), COLUMNS)


@account.command()
@click.argument("name")
@server_options
def show(name: str, *, server: ManagementServer) -> None:
    """Show one account, and what its repositories hold."""
    found = server.ask("GET", f"/accounts/{quote(name, safe='')}", doing=f"show the account {name}")
    server.show(found, COLUMNS | STORAGE | {"QUOTA": "quotaBytes"})


@account.command("set")
@click.argument("name")
@QUOTA
@server_options
def set_(name: str, *, quota: str, server: ManagementServer) -> None:
    """Say how much an account's repositories may hold, in bytes, blobs each once."""
    from sealift.cli.setting import read_size

    try:
        most = None if quota == "none" else read_size(quota)
    except ValueError as bad:
        raise click.BadParameter(f"{quota[:100]!r}: {bad}", param_hint="--quota") from None
    changed = server.ask(
        "PATCH",
        f"/accounts/{quote(name, safe='')}",
        doing=f"set the quota of {name}",
        body={"quotaBytes": most},
    )
    server.show(changed, COLUMNS | {"QUOTA": "quotaBytes"})


@account.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the new password from standard input.")
@click.option("--data", metavar="DIR", help="Work on this data directory; its server is stopped.")
@server_options
def password(name: str, *, password_stdin: bool, data: str | None, server: ManagementServer) -> None:
    """Give an account another password. Its tokens end."""
    if data is not None:
        _reset(Path(data), name, from_stdin=password_stdin)
        return
    new = ask_new_password(from_stdin=password_stdin, whose=name)
    changed = server.ask(
        "PUT",
        f"/accounts/{quote(name, safe='')}/password",
        doing=f"change the password of {name}",
        body={"password": new.reveal()},
    )
    server.show(changed, COLUMNS)


@account.command()
@click.argument("name")
@server_options
def disable(name: str, *, server: ManagementServer) -> None:
    """Close an account: its tokens end, and nobody can log in to it."""
    _set_disabled(name, disabled=True, server=server)


@account.command()
@click.argument("name")
@server_options
def enable(name: str, *, server: ManagementServer) -> None:
    """Open a closed account again."""
    _set_disabled(name, disabled=False, server=server)


@account.command()
@click.argument("name")
@click.option("--transfer-to", metavar="NAME", help="The account that gets its repositories.")
@server_options
def remove(name: str, *, transfer_to: str | None, server: ManagementServer) -> None:
    """Remove an account with its grants."""
    query = f"?transferTo={quote(transfer_to, safe='')}" if transfer_to else ""
    server.ask("DELETE", f"/accounts/{quote(name, safe='')}{query}", doing=f"remove the account {name}")
    click.echo(f"account {name} removed", err=True)


def _set_disabled(name: str, *, disabled: bool, server: ManagementServer) -> None:
    changed = server.ask(
        "PATCH",
        f"/accounts/{quote(name, safe='')}",
        doing=f"{'disable' if disabled else 'enable'} the account {name}",
        body={"disabled": disabled},
    )
    server.show(changed, COLUMNS)


def _reset(directory: Path, name: str, *, from_stdin: bool) -> None:
    """Set a password in a data directory whose server is stopped, and open the account if it was closed."""
    import os

    from sealift.registry.access.first_account import forget_first_password
    from sealift.registry.access.passwords import hash_password, refuse_weak
    from sealift.registry.catalog.accounts import account_by_name, no_such_account, set_disabled, set_password
    from sealift.registry.catalog.database import Catalog, Transaction
    from sealift.registry.data_directory import DataDirectory, DataDirectoryRefused

    data = DataDirectory(directory)
    if not os.path.exists(data.catalog):  # noqa: PTH110  Path.exists raises where there is no right to look
        raise DataDirectoryRefused(
            f"{directory} is no data directory of a registry",
            why=f"there is no {data.catalog.name} in it, or no right to look",
            hint="give the directory that sealift serve names when it starts",
        )
    with data.lock():
        data.prepare()
        with Catalog(data.catalog) as catalog:
            if account_by_name(catalog, name) is None:
                raise no_such_account(name)
            new = ask_new_password(from_stdin=from_stdin, whose=name)
            refuse_weak(name, new)
            hashed = hash_password(new)

            def change(transaction: Transaction) -> None:
                set_password(transaction, name=name, password_hash=hashed)
                set_disabled(transaction, name=name, disabled=False)

            catalog.write_now(change)
        forget_first_password(directory, name)
    click.echo(f"the password of {name} is changed", err=True)
