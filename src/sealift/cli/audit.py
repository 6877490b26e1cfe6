"""``sealift audit``: who did what on a registry and whether it was allowed, and what is done now."""

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import click

from sealift.cli.management import ManagementServer, server_options

COLUMNS: Final = {
    "TIME": "at",
    "WHO": "principal",
    "FROM": "client",
    "OUTCOME": "outcome",
    "ACTION": "action",
    "WHERE": "repository",
    "DETAIL": "detail",
    "REQUEST": "requestId",
}

POLL_SECONDS: Final = 1.0

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.command()
@click.option(
    "--since",
    metavar="AGE|TIME",
    default="24h",
    show_default=True,
    help="How far back: 15m, 24h, 90d, or a time such as 2026-11-24T12:00:00Z.",
)
@click.option("--follow", "-f", is_flag=True, help="Stay, and print what comes; with -o json a line each.")
@server_options
def audit(since: str, *, follow: bool, server: ManagementServer) -> None:
    """Show who did what, and whether it was allowed. For admins.

    REQUEST is the id that the user's error names, and the server's log.
    """
    start = moment_of(since, now=datetime.now(UTC))
    query, after = f"since={quote(start, safe='')}", ""
    if not follow:
        items: list[Mapping[str, Any]] = []
        page: Mapping[str, Any] = {"complete": False}
        while not page["complete"]:
            page = _page(server, query, after)
            items += page["items"]
            after = page["next"]
        server.show({"kind": "AuditList", "items": items}, COLUMNS)
        return
    if server.output == "yaml":
        raise click.UsageError("--follow prints text or JSON lines: -o text, -o json")
    show = _line if server.output == "json" else _row
    while True:
        page = _page(server, query, after)
        for item in page["items"]:
            show(item)
        after = page["next"]
        if page["complete"]:
            time.sleep(POLL_SECONDS)


def moment_of(text: str, *, now: datetime) -> str:
    """The moment that an age or a time names, as RFC 3339.

    Raises:
        click.BadParameter: It is neither.
    """
    age = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    try:
        if age is not None:
            moment = now - timedelta(seconds=int(age[1]) * _UNITS[age[2]])
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither an age such as 24h nor a time such as 2026-11-24T12:00:00Z",
            param_hint="--since",
        ) from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _page(server: ManagementServer, query: str, after: str) -> Mapping[str, Any]:
    # A page may hold nothing yet and say where to go on; the time decides only where the first one begins.
    more = f"&after={after}" if after and after != "0" else ""
    return server.ask("GET", f"/audit?{query}{more}", doing="read the audit trail")


def _line(item: Mapping[str, Any]) -> None:
    click.echo(json.dumps(item, ensure_ascii=True))


def _row(item: Mapping[str, Any]) -> None:
    from sealift.transport.redaction import printable

    cells = [printable(str(item.get(field) or "-"), 500) for field in COLUMNS.values()]
    click.echo("  ".join(cells))
