"""``sealift grant``: who may do what in which repositories."""

from urllib.parse import quote

import click

from sealift.cli.management import ManagementServer, server_options

COLUMNS = {"ID": "id", "TO": "to", "REPOSITORY": "repository", "ACTIONS": "actions", "BY": "createdBy"}


@click.group()
def grant() -> None:
    """Who may do what in which repositories."""


@grant.command()
@click.option("--to", required=True, metavar="NAME", help="The account that gets the right.")
@click.option(
    "--repo", required=True, metavar="PATTERN", help="apps/web, apps/* (one element), apps/** (more)."
)
@click.option("--actions", required=True, metavar="ACTION,…", help="Of pull, push and delete.")
@server_options
def add(to: str, repo: str, actions: str, *, server: ManagementServer) -> None:
    """Give actions in the repositories of a pattern."""
    wanted = [each.strip() for each in actions.split(",") if each.strip()]
    unknown = [each for each in wanted if each not in {"pull", "push", "delete"}]
    if unknown or not wanted:
        raise click.BadParameter(
            f"{', '.join(unknown) or 'nothing'} is no action; there are pull, push and delete",
            param_hint="--actions",
        )
    made = server.ask(
        "POST",
        "/grants",
        doing=f"give {to} {','.join(wanted)} on {repo}",
        body={"to": to, "repository": repo, "actions": list(dict.fromkeys(wanted))},
    )
    server.show(made, COLUMNS)


@grant.command("list")
@click.option("--to", metavar="NAME", help="Those of one account.")
@server_options
def list_(to: str | None, *, server: ManagementServer) -> None:
    """List the grants that you may see."""
    query = f"?to={quote(to, safe='')}" if to else ""
    server.show(server.ask("GET", f"/grants{query}", doing="list the grants"), COLUMNS)


@grant.command()
@click.argument("id", type=int)
@server_options
def remove(id: int, *, server: ManagementServer) -> None:  # noqa: A002  click names the argument in its usage line
    """Take a grant back. It holds from the next request."""
    server.ask("DELETE", f"/grants/{id}", doing=f"take back the grant {id}")
    click.echo(f"grant {id} removed", err=True)
