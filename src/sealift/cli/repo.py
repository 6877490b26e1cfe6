"""``sealift repo``: repositories, and who may see them."""

from typing import Any
from urllib.parse import quote

import click

from sealift.cli.management import STORAGE, ManagementServer, server_options

COLUMNS = {"NAME": "name", "VISIBILITY": "visibility", "OWNER": "owner", "YOU MAY": "actions"}

VISIBILITY = click.Choice(["private", "public"])


@click.group()
def repo() -> None:
    """Repositories and their visibility."""


@repo.command()
@click.argument("name")
@click.option("--visibility", type=VISIBILITY, default="private", help="Who may pull.  [private]")
@server_options
def create(name: str, *, visibility: str, server: ManagementServer) -> None:
    """Make a repository."""
    body = {"name": name, "visibility": visibility}
    made = server.ask("POST", "/repositories", doing=f"make the repository {name}", body=body)
    server.show(made, COLUMNS)


@repo.command("list")
@server_options
def list_(*, server: ManagementServer) -> None:
    """List the repositories that you may see."""
    whole: dict[str, Any] = {}
    last = ""
    while True:
        query = f"?last={quote(last, safe='')}" if last else ""
        page = server.ask("GET", f"/repositories{query}", doing="list the repositories")
        whole = page | {"items": [*whole.get("items", []), *page.get("items", [])]}
        last = page.get("continue") or ""
        if not last:
            break
    whole.pop("continue", None)
    server.show(whole, COLUMNS)


@repo.command()
@click.argument("name")
@server_options
def show(name: str, *, server: ManagementServer) -> None:
    """Show one repository, and what it holds where you may push to it."""
    found = server.ask("GET", f"/repositories/{quote(name)}", doing=f"show the repository {name}")
    server.show(found, COLUMNS | STORAGE)


@repo.command("set")
@click.argument("name")
@click.option("--visibility", type=VISIBILITY, required=True, help="Who may pull.")
@server_options
def set_(name: str, *, visibility: str, server: ManagementServer) -> None:
    """Make a repository public or private. It holds from the next request."""
    changed = server.ask(
        "PATCH",
        f"/repositories/{quote(name)}",
        doing=f"make the repository {name} {visibility}",
        body={"visibility": visibility},
    )
    server.show(changed, COLUMNS)


@repo.command()
@click.argument("name")
@server_options
def delete(name: str, *, server: ManagementServer) -> None:
    """Delete a repository with all that is in it."""
    server.ask("DELETE", f"/repositories/{quote(name)}", doing=f"delete the repository {name}")
    click.echo(f"repository {name} deleted", err=True)
