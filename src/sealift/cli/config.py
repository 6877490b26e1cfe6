"""``sealift config``: the settings of `sealift serve`, and where each comes from."""

import json
from pathlib import Path
from typing import Any

import click

from sealift.cli.output import OneOf
from sealift.cli.serve import resolved, settings_options
from sealift.cli.server_settings import Won


@click.group()
def config() -> None:
    """Show or check the registry's settings."""


@config.command()
@settings_options
@click.option("-o", "--output", type=OneOf(["text", "json", "yaml"]), default="text", help="How to print it.")
def show(output: str, **given: Any) -> None:
    """Show each setting, and which source of it won."""
    won = resolved(given)
    if output == "text":
        width = max(len(name) for name in won)
        values = {name: _text(name, each) for name, each in won.items()}
        value_width = max(len(value) for value in values.values())
        for name, each in won.items():
            click.echo(f"{name.ljust(width)}  {values[name].ljust(value_width)}  {each.source}")
        return
    document = {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "ServerSettings",
        "settings": [
            {"name": name, "value": _plain(name, each.value), "source": each.source}
            for name, each in won.items()
        ],
    }
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))


@config.command()
@settings_options
def check(**given: Any) -> None:
    """See that the settings can be read and go together. Nothing is started."""
    from sealift.cli.server_settings import check as check_settings

    check_settings(resolved(given))
    click.echo("the settings are fine", err=True)


def _plain(name: str, value: Any) -> Any:
    """A value as JSON has it: as one would write it in the file."""
    from sealift.cli.server_settings import SETTINGS

    show = {setting.name: setting.show for setting in SETTINGS}[name]
    if show is not None:
        return show(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        host_and_port = len(value) == 2 and isinstance(value[1], int)  # noqa: PLR2004  an address
        if host_and_port:
            from sealift.registry.server.listener import join

            return join(value[0], value[1])
        return [str(each) for each in value]
    return value


def _text(name: str, won: Won) -> str:
    value = _plain(name, won.value)
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)
