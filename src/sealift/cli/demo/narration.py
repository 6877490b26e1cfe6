"""How the demo speaks: numbered steps, the command before what comes of it."""

import click


class Narration:
    """Writes to standard output, at once: what commands print must come where it belongs."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0

    def say(self, text: str = "") -> None:
        """A line of our own."""
        click.echo(text)

    def step(self, title: str, *explanation: str) -> None:
        """Begin the next step."""
        self._step += 1
        click.echo()
        click.secho(f"{self._step}/{self._steps}  {title}", bold=True)
        for line in explanation:
            click.echo(f"     {line}")

    def command(self, text: str) -> None:
        """What a user would type now."""
        click.secho(f"$ {text}", fg="cyan")

    def file(self, path: str, content: str) -> None:
        """A file that was just written."""
        self.command(f"cat {path}")
        click.echo(content, nl=False)
