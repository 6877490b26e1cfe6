"""``sealift completion``: what a shell has to read so that Tab works."""

import click
from click.shell_completion import get_completion_class

_WHERE = {
    "bash": "~/.local/share/bash-completion/completions/sealift",
    "zsh": "a file _sealift in a directory of $fpath",
    "fish": "~/.config/fish/completions/sealift.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  sealift completion bash > ~/.local/share/bash-completion/completions/sealift
    zsh:   sealift completion zsh > "${fpath[1]}/_sealift"
    fish:  sealift completion fish > ~/.config/fish/completions/sealift.fish
    """  # noqa: D301  click wants the character, not a backslash
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = ctx.find_root()
    click.echo(found(root.command, {}, "sealift", "_SEALIFT_COMPLETE").source())
    click.echo(f"Keep this as {_WHERE[shell]}, then start a new shell.", err=True)
