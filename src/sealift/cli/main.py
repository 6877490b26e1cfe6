"""The program ``sealift``: finds the command, runs it, and says what went wrong in three parts.

Nothing but click is imported here. A command's module is imported when the
command runs, so that ``sealift --version`` and shell completion stay quick.
"""

import errno
import importlib
import os
import signal
import sys
from contextlib import suppress
from typing import NamedTuple

import click

from sealift import __version__
from sealift.errors import SealiftError


class _Entry(NamedTuple):
    """Where a command lives, and its line in ``sealift --help``."""

    target: str
    help: str


COMMANDS: dict[str, _Entry] = {
    "demo": _Entry("sealift.cli.demo.command:demo", "The story from end to end on this machine."),
    "serve": _Entry("sealift.cli.serve:serve", "Serve a private registry."),
    "config": _Entry("sealift.cli.config:config", "Show or check the registry's settings."),
    "login": _Entry("sealift.cli.login:login", "Prove a credential and keep it."),
    "logout": _Entry("sealift.cli.login:logout", "Forget a credential."),
    "push": _Entry("sealift.cli.image:push", "Send an image to a registry."),
    "pull": _Entry("sealift.cli.image:pull", "Fetch an image into a layout or an archive."),
    "copy": _Entry("sealift.cli.image:copy", "Copy an image with all its platforms."),
    "import": _Entry("sealift.cli.takeover:import_", "Take over all that another registry holds."),
    "tags": _Entry("sealift.cli.image:tags", "List the tags of a repository."),
    "digest": _Entry("sealift.cli.image:digest", "Say what a name points at now."),
    "inspect": _Entry("sealift.cli.image:inspect", "Show what an image is made of."),
    "delete": _Entry("sealift.cli.image:delete", "Delete a tag or a manifest."),
    "account": _Entry("sealift.cli.account:account", "Who may log in."),
    "repo": _Entry("sealift.cli.repo:repo", "Repositories, their visibility and their tags."),
    "grant": _Entry("sealift.cli.grant:grant", "Who may do what in which repositories."),
    "gc": _Entry("sealift.cli.gc:gc", "Free the space of what nobody needs any more."),
    "audit": _Entry("sealift.cli.audit:audit", "Show who did what, and whether it was allowed."),
    "storage": _Entry("sealift.cli.storage:storage", "See that what the registry keeps is whole."),
    "backup": _Entry(
        "sealift.cli.backup:backup", "Copy a registry to a directory or a FILE.tar, also while it serves."
    ),
    "restore": _Entry("sealift.cli.backup:restore", "Make a data directory of a backup."),
    "secret": _Entry("sealift.cli.secret:secret", "Make pull Secrets."),
    "explain": _Entry("sealift.cli.explain:explain", "Say why an image will be pulled, or will not."),
    "node": _Entry("sealift.cli.node:node", "Run Pods through this machine's container runtime."),
    "completion": _Entry("sealift.cli.completion:completion", "Print the completion script of a shell."),
}
"""Every command. A test holds each line against the command's own help."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """All names, in the order of the story."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import the one command that was named."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module_name, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        """List the commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="sealift %(version)s")
def sealift() -> None:
    """Get private images from your registry into your Pods, and learn why when they do not arrive."""


def report(happened: str, why: str | None, hint: str | None) -> None:
    """Print what happened, why, and what to type next, on standard error."""
    lines = (("error", happened), ("  why", why), ("  next", hint))
    with suppress(OSError):  # where nobody can read it, the exit status has to do
        click.echo("\n".join(f"{name}: {text}" for name, text in lines if text), err=True)


def main() -> None:
    """Run the command line and end the process with the contract's exit status."""
    _open_closed_streams()
    status = run(sys.argv[1:])
    # What is done is done, and its status is what counts: a Ctrl-C from here on
    # would only make the interpreter die of it on its way out.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except OSError as error:
        # With a broken pipe, whoever read our output has seen enough (``| head``).
        if not isinstance(error, BrokenPipeError) and status == 0:
            status = _report_os_error(error)
        # The interpreter would complain once more when it closes the stream: give it another.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    try:
        sys.stderr.flush()
    except OSError:
        # Nobody can read it. In some locales what could not be written is still there, and
        # the interpreter would fail with a status of its own when it tried once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(status)


def _open_closed_streams() -> None:
    """Open those of the three standard streams that were closed (``>&-``) when we began.

    Else the next file to be opened, perhaps a database, would be one of them and
    receive our words. Output that was closed is opened so that a write fails: a
    Secret that nobody received is no success. What goes to standard error may be lost.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # it takes the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status (contract, "Conventions").

    Whatever is raised ends here, as three lines on standard error; a traceback
    is printed only where ``SEALIFT_TRACEBACK`` is set, for whoever mends us.
    """
    try:
        status = sealift.main(args=arguments, prog_name="sealift", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        place = error.ctx.command_path if error.ctx is not None else "sealift"
        report(f"this is not how {place} is used", error.format_message(), f"{place} --help")
        return 2
    except click.ClickException as error:
        report("the command cannot be run", error.format_message(), "sealift --help")
        return 2
    except SealiftError as error:
        _show_traceback()
        report(str(error), error.why, error.hint)
        return error.exit_status
    except SystemExit:
        # click's way out, and nobody else's, where the reader of our output has gone: no fault of ours.
        return 0
    except OSError as error:
        _show_traceback()
        return _report_os_error(error)
    except Exception as error:  # noqa: BLE001  the last door: a user never meets a traceback
        _show_traceback()
        report(
            "this command met something that it does not handle",
            f"a {type(error).__name__} in Sealift {__version__}; its text is held back, it may hold a secret",
            "run it again with SEALIFT_TRACEBACK=1 and report what it prints",
        )
        return 2
    return status if isinstance(status, int) else 0


def _show_traceback() -> None:
    if os.environ.get("SEALIFT_TRACEBACK"):
        import traceback

        traceback.print_exc()


def _report_os_error(error: OSError) -> int:
    """A fault of this machine that no command turned into words of its own."""
    place = f": {error.filename}" if error.filename else ""
    if error.errno == errno.EBADF and not place:
        place = ": standard output is closed"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        report(
            f"nothing can be written{place}",
            os.strerror(error.errno),
            "free some space there, then run it again",
        )
        return 7
    hint = f"ls -ld {error.filename}" if error.filename else "send the output somewhere: > FILE"
    report(f"this machine refused{place}", error.strerror or type(error).__name__, hint)
    return 8
