"""``sealift repo``: repositories, and who may see them."""

from typing import Any
from urllib.parse import quote

import click

from sealift.cli.management import ManagementServer, server_options

COLUMNS = {"NAME": "name", "VISIBILITY": "visibility", "OWNER": "owner", "YOU MAY": "actions"}

VISIBILITY = click.Choice(["private", "public"])


def all_pages(server: ManagementServer, path: str, *, doing: str) -> dict[str, Any]:
    """A list with the items of all of its pages."""
    whole: dict[str, Any] = {}
    last = ""
    while True:
        query = f"?last={quote(last, safe='')}" if last else ""
        page = server.ask("GET", path + query, doing=doing)
        whole = page | {"items": [*whole.get("items", []), *page.get("items", [])]}
        last = page.get("continue") or ""
        if not last:
            break
    whole.pop("continue", None)
    return whole


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
    server.show(all_pages(server, "/repositories", doing="list the repositories"), COLUMNS)


@repo.command()
@click.argument("name")
@server_options
def show(name: str, *, server: ManagementServer) -> None:
    """Show one repository."""
    found = server.ask("GET", f"/repositories/{quote(name)}", doing=f"show the repository {name}")
    server.show(found, COLUMNS)


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


DELETED = {
    "DIGEST": "digest",
    "TAGS": "tags",
    "DELETED": "deletedAt",
    "BY": "deletedBy",
    "KEPT UNTIL": "keptUntil",
}


@repo.command()
@click.argument("name")
@server_options
def deleted(name: str, *, server: ManagementServer) -> None:
    """List the deleted manifests that can be brought back."""
    found = all_pages(server, f"/deleted/{quote(name)}", doing=f"list what was deleted from {name}")
    server.show(found, DELETED)


@repo.command()
@click.argument("image", metavar="NAME@DIGEST")
@server_options
def undelete(image: str, *, server: ManagementServer) -> None:
    """Bring a deleted manifest back, with its tags.

    A tag that stands for another manifest by now stays where it is.
    """
    name, at, digest = image.partition("@")
    if not at or not digest or not name:
        raise click.UsageError(f"{image} is not NAME@DIGEST: sealift repo deleted NAME lists them")
    body = {"digest": digest}
    restored = server.ask("POST", f"/deleted/{quote(name)}", doing=f"bring {image} back", body=body)
    server.show(restored, {"REPOSITORY": "repository", "DIGEST": "digest", "TAGS": "tags"})
