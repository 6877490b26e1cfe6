"""How `sealift account`, `repo` and `grant` speak to a registry's management API, and show what it says.

The request goes out through the same session as a push: the scheme is settled
first, and a token is asked for that is good for management and nothing else.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, Final

import click

from sealift.cli.connection import Connection, connection_options, open_transport, run
from sealift.cli.last_server import server_from
from sealift.cli.login import MAX_PASSWORD, registry_of
from sealift.cli.output import OutputFormat, human_size, output_option, print_document, print_table
from sealift.cli.setting import write_size
from sealift.client.keyring import Keyring
from sealift.credentials.credential import SecretText
from sealift.errors import SealiftError

_NOUNS: Final = {
    "accounts": "account",
    "repositories": "repo",
    "deleted": "repo",
    "grants": "grant",
    "audit": "audit",
    "tag-history": "repo",
    "tag-restores": "repo",
}
"""The command for each kind of thing in the management API."""

STORAGE: Final = {
    "USED": "storage.usedBytes",
    "UNIQUE": "storage.uniqueBytes",
    "SHARED": "storage.sharedBytes",
}
"""Columns for what something holds. The last two are told to admins only."""

MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer: a page of repositories has a tenth of this."""


class ManagementFailed(SealiftError):
    """The registry said no to a management command, in words of its own."""

    exit_status: ClassVar[int] = 2


class ManagementNotFound(ManagementFailed):
    """There is no such thing there, or not for this login."""

    exit_status: ClassVar[int] = 3


class ManagementDenied(ManagementFailed):
    """This login may not do that."""

    exit_status: ClassVar[int] = 5


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that say which registry is meant, and as whom.

    It gets them as one argument, ``server``: a `ManagementServer`.
    """

    @wraps(command)
    def gathered(
        *arguments: Any,
        server: str | None,
        username: str | None,
        password_file: Path | None,
        connection: Connection,
        output: OutputFormat,
        **rest: Any,
    ) -> Any:
        if (username is None) is not (password_file is None):
            raise click.UsageError("--username and --password-file go together")
        chosen = ManagementServer(
            server=registry_of(server_from(os.environ, server)),
            username=username,
            password_file=password_file,
            connection=connection,
            output=output,
        )
        return command(*arguments, server=chosen, **rest)

    decorated: Callable[..., Any] = output_option(connection_options(gathered))
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_OPTIONS = (
    click.option(
        "--server",
        metavar="HOST[:PORT]",
        envvar="SEALIFT_SERVER",
        show_envvar=True,
        help="The registry. Else the Sealift server last logged in to, else 127.0.0.1:5000.",
    ),
    click.option("--username", metavar="USER", help="Be this account, instead of the stored login."),
    click.option(
        "--password-file",
        metavar="FILE",
        type=click.Path(path_type=Path, readable=False),
        help="A file that holds that account's password.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementServer:
    """A registry's management API, as one command sees it."""

    server: str
    """Host and port, as in a reference."""

    username: str | None
    """An account to be, instead of the stored login."""

    password_file: Path | None
    connection: Connection
    output: OutputFormat

    def ask(
        self, method: str, path: str, *, doing: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send one request below ``/api/v1``, and return what it answered; nothing for an empty answer.

        Raises:
            ManagementFailed: The registry said no; the class says which no.
            SealiftError: It was not reached, or knows no such login.
        """
        return run(self._ask(method, path, doing, body))

    def show(self, document: Mapping[str, Any], columns: Mapping[str, str]) -> None:
        """Print a document, or a list of them, as ``-o`` says.

        Args:
            document: What the registry answered.
            columns: Heading of each column of the text, and the field it shows.
        """
        if self.output != "text":
            fields = {key: value for key, value in document.items() if key not in {"apiVersion", "kind"}}
            print_document(str(document.get("kind", "")), fields, self.output)
            return
        items = document.get("items", [document])
        print_table(list(columns), [[_shown(item, field) for field in columns.values()] for item in items])

    async def _ask(
        self, method: str, path: str, doing: str, body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        from sealift.client.session import Call, Session, SessionOptions
        from sealift.protocol.scope import Scope

        options = SessionOptions(
            plain_http=self.connection.plain_http, trusted_realms=frozenset(self.connection.trusted_realms)
        )
        async with open_transport(self.connection) as transport:
            response = await Session(transport, self._keyring(), options).send(
                Call(
                    registry=self.server,
                    path="",
                    method=method,
                    target="/api/v1" + path,
                    doing=doing,
                    scopes=(Scope("management", frozenset({"*"}), "registry"),),
                    headers={} if body is None else {"Content-Type": "application/json"},
                    body=None if body is None else json.dumps(body).encode(),
                    accepted=frozenset({400, 403, 404, 405, 409, 413}),
                    once=method != "GET",  # an answer that was lost must not add a second account
                )
            )
            try:
                answer = await response.read(MAX_ANSWER)
            except ValueError:
                answer = b""
        if response.status >= 400:  # noqa: PLR2004  the class of refusals
            refusal = _refusal(response.status, answer, doing, self.server)
            if refusal.hint is None:
                noun = _NOUNS.get(path.partition("?")[0].split("/")[1], "account")
                known = response.status == 404 and noun != "audit"  # noqa: PLR2004  not found: these are there
                refusal.hint = f"sealift {noun} list" if known else f"sealift {noun} --help"
            raise refusal
        return _read(answer, doing, self.server) if answer else {}

    def _keyring(self) -> Keyring:
        from sealift.client.keyring import SingleCredential
        from sealift.credentials.credential import Credential, Source
        from sealift.credentials.login_file import LoginKeyring

        if self.username is None or self.password_file is None:
            return LoginKeyring(os.environ)
        return SingleCredential(
            self.server,
            Credential(
                username=self.username,
                password=read_password_file(self.password_file),
                source=Source(kind="Flag", name="--username"),
                key=self.server,
            ),
        )


def read_password_file(path: Path) -> SecretText:
    """The password in a file, without one newline at its end.

    Raises:
        SealiftError: The file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as refused:
        kind = NoRightToPassword if isinstance(refused, PermissionError) else UnreadablePassword
        raise kind(
            f"the password file {path} cannot be read",
            why=refused.strerror if isinstance(refused, OSError) else "it is not UTF-8",
            hint=f"ls -l {path}",
        ) from None
    return SecretText(text.removesuffix("\n").removesuffix("\r"))


def ask_new_password(*, from_stdin: bool, whose: str) -> SecretText:
    """A new password: standard input without one newline at its end, or typed twice without echo.

    Raises:
        UnreadablePassword: What stands there is not text.
    """
    if from_stdin:
        try:
            text = sys.stdin.buffer.read(MAX_PASSWORD + 1).decode()
        except UnicodeDecodeError:
            raise UnreadablePassword(
                f"the password for {whose} on standard input cannot be read",
                why="it is not UTF-8",
                hint="iconv -f latin1 -t utf-8 FILE | sealift account …",
            ) from None
        return SecretText(text.removesuffix("\n").removesuffix("\r"))
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password: use --password-stdin")
    return SecretText(
        click.prompt(f"Password for {whose}", hide_input=True, confirmation_prompt=True, err=True)
    )


class UnreadablePassword(SealiftError):
    """A password cannot be read: there is no such file, or it is not text."""


class NoRightToPassword(UnreadablePassword):
    """The file with the password is there, and this user may not read it."""

    exit_status: ClassVar[int] = 8


def _read(answer: bytes, doing: str, server: str) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _stranger(ManagementFailed, doing, f"{server} did not answer as Sealift does")
    return document


def _refusal(status: int, answer: bytes, doing: str, server: str) -> ManagementFailed:
    from sealift.protocol.error_codes import read_errors, read_request_id

    kind = {403: ManagementDenied, 404: ManagementNotFound}.get(status, ManagementFailed)
    errors = read_errors(answer)
    if not errors:
        return _stranger(kind, doing, f"{server} answered {status}, and not as Sealift does")
    detail = errors[0].detail if isinstance(errors[0].detail, dict) else {}
    why, hint = detail.get("why"), detail.get("hint")
    cause = _harmless(why) if isinstance(why, str) else f"{server} answered {status} {errors[0].code}"
    request_id = read_request_id(answer)
    return kind(
        f"cannot {doing}: {errors[0].message}",
        why=f"{cause}, request id {request_id}" if request_id else cause,
        hint=_harmless(hint) if isinstance(hint, str) else None,
    )


def _stranger(kind: type[ManagementFailed], doing: str, why: str) -> ManagementFailed:
    return kind(f"cannot {doing}", why=why, hint="name a Sealift registry with --server")


def _harmless(text: str) -> str:
    return "".join(each if each.isprintable() else "�" for each in text[:300])


def _shown(item: Mapping[str, Any], field: str) -> str:
    """A field of a document, or of one inside it (``storage.usedBytes``), as the text has it."""
    value: Any = item
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if field == "quotaBytes" and isinstance(value, int):
        return write_size(value)  # as it was given, and can be given again
    if field.endswith("Bytes") and isinstance(value, int):
        return human_size(value)
    return _text(value)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return _harmless(str(value))
