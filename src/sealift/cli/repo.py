"""``sealift repo``: repositories, who may see them, and what became of their tags."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import click

from sealift.cli.management import STORAGE, ManagementServer, server_options

COLUMNS = {"NAME": "name", "VISIBILITY": "visibility", "OWNER": "owner", "YOU MAY": "actions"}
RULES = {"IMMUTABLE": "immutable", "EXCEPT": "immutableExcept"}
MOVES = {
    "TIME": "at",
    "TAG": "tag",
    "FROM": "oldDigest",
    "TO": "newDigest",
    "BY": "by",
    "ADDRESS": "address",
}
RESTORED = {"REPOSITORY": "repository", "TAG": "tag", "DIGEST": "digest", "WAS": "was"}

MOST_MOVES: Final = 10_000

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
    """Repositories, their visibility and their tags."""


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
@click.option("--history", is_flag=True, help="Every move of its tags instead, the newest first.")
@click.option("--tag", metavar="TAG", help="With --history: of this tag only.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, MOST_MOVES),
    help="With --history: at most so many moves.  [100]",
)
@server_options
def show(name: str, *, history: bool, tag: str | None, limit: int | None, server: ManagementServer) -> None:
    """Show one repository, and what it holds where you may push to it; or what became of its tags.

    The history has names and addresses of people, and is for those who may push.
    """
    if not history and (tag is not None or limit is not None):
        raise click.UsageError("--tag and --limit go with --history")
    if history:
        server.show(_history(server, name, tag, limit or 100), MOVES)
        return
    found = server.ask("GET", f"/repositories/{quote(name)}", doing=f"show the repository {name}")
    server.show(found, COLUMNS | RULES | STORAGE)


def _history(server: ManagementServer, name: str, tag: str | None, limit: int) -> dict[str, Any]:
    """The newest moves of a repository's tags, page after page, up to `limit`."""
    items: list[Any] = []
    before = ""
    while True:
        fields = {"tag": tag, "before": before}
        query = urlencode({key: value for key, value in fields.items() if value})
        path = f"/tag-history/{quote(name)}" + (f"?{query}" if query else "")
        page = server.ask("GET", path, doing=f"show the history of {name}")
        items += page.get("items", [])
        before = page.get("continue") or ""
        if not before or len(items) >= limit:
            break
    if before or len(items) > limit:
        click.echo(f"older moves are left out; --limit shows more than {limit}", err=True)
    whole = page | {"items": items[:limit]}
    whole.pop("continue", None)
    return whole


@repo.command()
@click.argument("image", metavar="NAME:TAG")
@click.option("--to", metavar="DIGEST", help="What the tag is to stand for again.")
@click.option("--before", metavar="TIME", help="What it stood for just before this time (RFC 3339).")
@server_options
def restore(image: str, *, to: str | None, before: str | None, server: ManagementServer) -> None:
    """Set a tag that was moved or deleted back to what it stood for.

    With neither --to nor --before: to what it stood for before its last move.
    It is itself a move in the history.
    """
    name, colon, tag = image.rpartition(":")
    if not colon or "/" in tag or "@" in name:
        raise click.UsageError(f"{image!r} is not NAME:TAG, such as apps/internal-app:v1")
    if to is not None and before is not None:
        raise click.UsageError("--to and --before do not go together")
    body = {"tag": tag} | ({"to": to} if to else {}) | ({"before": _moment(before)} if before else {})
    restored = server.ask(
        "POST", f"/tag-restores/{quote(name)}", doing=f"restore the tag {tag} of {name}", body=body
    )
    server.show(restored, RESTORED)


def _moment(text: str) -> str:
    """A time as it goes over the wire. Spec: RFC 3339."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise click.UsageError("--before takes a time with its zone, such as 2026-11-24T12:00:00Z")
    return read.isoformat()


@repo.command("set")
@click.argument("name")
@click.option("--visibility", type=VISIBILITY, help="Who may pull.")
@click.option(
    "--immutable",
    metavar="PATTERN",
    multiple=True,
    help="Tags that must not be moved or deleted, such as 'v*'; may be repeated. Replaces those there are.",
)
@click.option(
    "--immutable-except",
    metavar="PATTERN",
    multiple=True,
    help="Tags that may all the same, such as '*-rc*'; may be repeated. Replaces those there are.",
)
@click.option("--no-immutable", is_flag=True, help="Take away every rule and exception for tags.")
@server_options
def set_(
    name: str,
    *,
    visibility: str | None,
    immutable: Sequence[str],
    immutable_except: Sequence[str],
    no_immutable: bool,
    server: ManagementServer,
) -> None:
    """Say who may pull a repository, and which of its tags stay. It holds from the next request."""
    if no_immutable and (immutable or immutable_except):
        raise click.UsageError("--no-immutable does not go with --immutable or --immutable-except")
    body: dict[str, Any] = {}
    if visibility is not None:
        body["visibility"] = visibility
    if immutable or no_immutable:
        body["immutable"] = list(immutable)
    if immutable_except or no_immutable:
        body["immutableExcept"] = list(immutable_except)
    if not body:
        raise click.UsageError(
            "say what to set: --visibility, --immutable, --immutable-except, --no-immutable"
        )
    doing = f"make the repository {name} {visibility}" if visibility else f"change the repository {name}"
    changed = server.ask("PATCH", f"/repositories/{quote(name)}", doing=doing, body=body)
    server.show(changed, COLUMNS | RULES)


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
