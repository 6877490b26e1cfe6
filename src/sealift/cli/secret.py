"""``sealift secret create``: the pull Secret that kubectl would make, byte for byte."""

import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from sealift.credentials.credential import SecretText
from sealift.errors import SealiftError
from sealift.kubernetes.pull_secrets.secret_manifest import (
    DEFAULT_SERVER,
    SecretManifest,
    SecretRefused,
    check_key,
    data_of_login,
    nothing_given,
    parse_source,
    split_sources,
    warnings,
)

MAX_PASSWORD = 64 * 1024
"""Bytes on standard input. A ServiceAccount token has some two thousand."""

MAX_FILE = 64 * 1024 * 1024
"""Bytes of one file. An API server takes one MiB (R-SEC-18); kubectl prints more."""


_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
"""What kubectl reads as a truth value, and nothing else."""


class _KubectlCommand(click.Command):
    """A command whose flags may be written as kubectl's: ``-n=prod`` and ``--append-hash=false``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        takes_value = {
            spelling
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for spelling in option.opts
        }
        return super().parse_args(ctx, _as_click_has_it(args, takes_value))


def _as_click_has_it(args: Sequence[str], takes_value: set[str]) -> list[str]:
    """`args` rewritten, but for the values of flags and what follows ``--``.

    Raises:
        SecretRefused: ``--append-hash`` is given no truth value.
    """
    found: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            return [*found, word, *words]
        flag, equals, value = word.partition("=")
        if word in takes_value:
            found += [word, *([] if (following := next(words, None)) is None else [following])]
        elif flag in {"-n", "-o"} and equals and value:
            found += [flag, value]
        elif flag == "--append-hash" and equals:
            found.append("--append-hash" if _truth(value) else "--no-append-hash")
        else:
            found.append(word)
    return found


def _truth(value: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise SecretRefused(
            f'invalid argument "{value}" for "--append-hash" flag:'
            f' strconv.ParseBool: parsing "{value}": invalid syntax',
            why="the flag is a switch",
            hint="write --append-hash, or leave it out",
        )
    return value in _TRUE


class NotInThisVersion(SealiftError):
    """The contract has it and this version does not."""


@click.group()
def secret() -> None:
    """Make pull Secrets."""


@secret.command(cls=_KubectlCommand)
@click.argument("name")
@click.option(
    "--docker-server",
    metavar="SERVER",
    default=DEFAULT_SERVER,
    show_default=True,
    help="The registry that the login is for; it becomes the key, as it is written.",
)
@click.option("--docker-username", metavar="USER", default="", help="User name at the registry.")
@click.option(
    "--docker-password",
    metavar="PASSWORD",
    help="Password. Others can see it in the list of processes: --password-stdin is better.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--docker-email", metavar="EMAIL", default="", help="Sent to nobody.")
@click.option(
    "--from-file",
    metavar="[KEY=]FILE",
    multiple=True,
    help="Take a config.json that is there already; the --docker flags are then ignored.",
)
@click.option("--append-hash/--no-append-hash", help="End the name with a hash of the content.")
@click.option(
    "-n",
    "--namespace",
    metavar="NS",
    default="",
    help="Write this namespace into the Secret.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json", "name"], case_sensitive=False),
    default="yaml",
    show_default=True,
    help="How to print it.",
)
@click.option("--apply", is_flag=True, help="Not in this version: pipe the output to kubectl apply -f -")
@click.option(
    "--dry-run",
    type=click.Choice(["client"]),
    hidden=True,
    help="As kubectl has it: nothing else is done here.",
)
def create(
    name: str,
    *,
    docker_server: str,
    docker_username: str,
    docker_password: str | None,
    password_stdin: bool,
    docker_email: str,
    from_file: tuple[str, ...],
    append_hash: bool,
    namespace: str,
    output: str,
    apply: bool,
    dry_run: str | None,  # noqa: ARG001  a line copied from kubectl's manual has it
) -> None:
    """Print a Secret that Pods can pull with.

    The output is what kubectl prints for the same flags with --dry-run=client
    (kubectl create secret docker-registry NAME). Hand it to kubectl:

    \b
      sealift secret create regcred --docker-server=registry.example.com \\
        --docker-username=ashok --password-stdin < FILE | kubectl apply -f -
    """  # noqa: D301  click wants the \b as a character
    if apply:
        raise NotInThisVersion(
            "--apply is not in this version",
            why="sealift does not speak to an API server yet",
            hint=f"sealift secret create {name} … | kubectl apply -f -",
        )
    if not name:
        raise SecretRefused(
            "name must be specified",
            why="the name is empty, perhaps by a variable that is not set",
            hint="sealift secret create regcred …",
        )
    sources = tuple(split_sources(from_file))
    if sources:
        data = _from_files(sources)
    else:
        password = _password(docker_username, docker_password, from_stdin=password_stdin)
        if password is None:
            raise nothing_given()
        data = data_of_login(docker_server, docker_username, password, docker_email)
    made = SecretManifest(name=name, namespace=namespace, data=data)
    if append_hash:
        made = made.with_hash()
    printed = _printed(made, output)
    for warning in warnings(made):
        click.echo(f"warning: {warning}", err=True)
    click.echo(printed, nl=False)


def _printed(made: SecretManifest, output: str) -> bytes:
    if output == "json":
        return made.to_json()
    if output == "name":
        return f"secret/{made.name}\n".encode("utf-8", "surrogateescape")
    return made.to_yaml()


def _from_files(sources: tuple[str, ...]) -> dict[str, bytes]:
    """Read the sources in order, and stop where kubectl would."""
    data: dict[str, bytes] = {}
    for source in sources:
        key, path = parse_source(source)
        content = _read(Path(path))
        check_key(key, data)
        data[key] = content
    return data


def _read(path: Path) -> bytes:
    """The content of one file.

    Raises:
        SecretRefused: There is none, or it is a directory.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise SecretRefused(
                "cannot give a key name for a directory path",
                why=f"{path} is a directory, and a pull Secret is made of one file",
                hint=f"sealift secret create NAME --from-file={path / 'config.json'}",
            )
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except PermissionError:
        raise
    except OSError as error:
        raise SecretRefused(
            f"error reading {path}: {(error.strerror or 'unreadable').lower()}",
            why="the file cannot be read",
            hint=f"ls -l {path}",
        ) from None
    if len(content) > MAX_FILE:
        raise SecretRefused(
            f"error reading {path}: too long",
            why=f"at most {MAX_FILE} bytes are read, and an API server takes one MiB",
            hint=f"ls -l {path}",
        )
    return content


def _password(username: str, flag: str | None, *, from_stdin: bool) -> SecretText | None:
    """The password from its flag, standard input, or a prompt; None where there is none."""
    if from_stdin:
        if flag is not None:
            raise SecretRefused(
                "--docker-password and --password-stdin are given both",
                why="there is one password",
                hint="leave --docker-password out",
            )
        return SecretText(_first_line(sys.stdin.buffer.read(MAX_PASSWORD + 1)))
    if flag is not None:
        click.echo("warning: others can see --docker-password in the list of processes", err=True)
        return SecretText(flag)
    if username and sys.stdin.isatty() and sys.stderr.isatty():
        return SecretText(click.prompt("Password", hide_input=True, err=True))
    return None


def _first_line(data: bytes) -> str:
    """What was read, without one line break at its end."""
    if len(data) > MAX_PASSWORD:
        raise SecretRefused(
            "the password on standard input is too long",
            why=f"at most {MAX_PASSWORD} bytes are read",
            hint="sealift secret create NAME … --password-stdin < FILE",
        )
    text = data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
