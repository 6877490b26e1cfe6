"""``sealift gc``: what nobody needs any more, and letting it go."""

from typing import Any

import click

from sealift.cli.management import ManagementServer, server_options
from sealift.cli.output import human_size

COLUMNS = {
    "GOES": "goes",
    "WHAT": "of",
    "REPOSITORY": "repository",
    "DIGEST": "digest",
    "SIZE": "size",
    "WHY": "why",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, when and why; change nothing.")
@server_options
def gc(*, dry_run: bool, server: ManagementServer) -> None:
    """Free the space of what nobody needs any more.

    The server does this by itself, every ten minutes, while pushes and pulls go
    on; this command is for whoever wants to see it, or does not want to wait.
    What was deleted can be brought back for a while (sealift repo undelete),
    and a blob without a manifest has a grace, since its manifest may be on its
    way: so nothing goes at once.
    """
    if dry_run:
        _show(server.ask("GET", "/garbage", doing="see what would be collected"), server)
        return
    done = server.ask("POST", "/garbage", doing="collect", body={})
    if server.output != "text":
        server.show(done, {})
        return
    if not done.get("finished"):
        click.echo("it goes on; the server's log says what went", err=True)
        return
    gone = [f"{done[kind]} {kind}" for kind in ("manifests", "links", "blobs", "strays") if done.get(kind)]
    click.echo(
        f"collected {', '.join(gone)}: {human_size(done['bytes'])} are free" if gone else "nothing was due"
    )
    if done.get("left"):
        click.echo(f"{done['left']} blobs were being pushed again, and stay", err=True)


def _show(report: dict[str, Any], server: ManagementServer) -> None:
    if server.output != "text":
        server.show(report, {})
        return
    items = report["items"]
    for item in items:
        item["goes"] = "now" if item["due"] else item["dueAt"]
        item["size"] = human_size(item["size"]) if item["of"] != "manifest" else None
    if items:
        server.show(report, COLUMNS)
    if not report["isAll"]:
        click.echo("there are more than are listed here", err=True)
    if report["strays"]:
        size = human_size(report["strayBytes"])
        click.echo(
            f"{report['strays']} files, {size}, that the catalog does not know of: a crash left them",
            err=True,
        )
    click.echo(f"{human_size(report['bytes'])} will be free once all of this has gone", err=True)
