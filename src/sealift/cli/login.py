"""``sealift login`` and ``logout``: a credential is proved, then kept where docker and podman look."""

import os
import re
import sys

import click

from sealift.cli.connection import Connection, connection_options, open_client, run
from sealift.client.registry_client import RegistryClient
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.errors import SealiftError

MAX_PASSWORD = 64 * 1024
"""Bytes on standard input. A ServiceAccount token has some two thousand."""

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class NotAServer(SealiftError):
    """The argument names no registry."""


class NoCredentialGiven(SealiftError):
    """There is nothing to log in with, or nothing that could be used."""


def registry_of(server: str) -> str:
    """The registry that ``login SERVER`` means, as it stands in references.

    Raises:
        NotAServer: it names no host.
    """
    from sealift.credentials.login_file import hostname, login_key
    from sealift.image import docker_hub

    if login_key(server) == docker_hub.CREDENTIAL_KEY:
        return docker_hub.DOMAIN
    host = hostname(server)
    if "@" in server or _HOST.fullmatch(host) is None:
        raise NotAServer(
            f"{server.rpartition('@')[2]!a} is not a registry",
            why="a registry is a host, with :PORT where it has one",
            hint="sealift login registry.example.com",
        )
    return host


@click.command()
@click.argument("server")
@click.option("-u", "--username", help="User name; asked for where it is missing.")
@click.option(
    "-p", "--password", help="Password. Others can see it in the list of processes; - reads standard input."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@connection_options
def login(
    server: str,
    *,
    username: str | None,
    password: str | None,
    password_stdin: bool,
    connection: Connection,
) -> None:
    """Prove a credential and keep it.

    SERVER is a registry: a host, with its port if it has one. The credential is
    shown to it first, and kept only if it is accepted: in the login file that
    docker and podman read, or with the credential helper that the file names.
    """
    registry = registry_of(server)
    given = _given(username, password, password_stdin=password_stdin)
    run(_login(server, registry, given, connection))


def _given(
    username: str | None, password: str | None, *, password_stdin: bool
) -> tuple[str | None, SecretText | None]:
    """User name and password from the flags, by docker's rules (R-CFG-11)."""
    if password_stdin and password is not None:
        raise click.UsageError("--password and --password-stdin cannot be used together")
    if password == "-":  # noqa: S105  the sign for standard input
        password, password_stdin = None, True
    elif password is not None:
        click.echo(
            "warning: -p shows the password to everyone who can list processes: use --password-stdin",
            err=True,
        )
    if password_stdin and not username:
        raise click.UsageError("--password-stdin needs --username")
    if username is not None and not username:
        raise click.UsageError("the user name is empty")
    if username is not None and ":" in username:
        raise click.UsageError(
            "a user name cannot hold a colon: it ends at the first one wherever it is stored"
        )
    if not password_stdin and password is None:
        return username, None
    text = _standard_input() if password_stdin else password or ""
    if not text:
        raise click.UsageError("the password is empty")
    return username, SecretText(text)


def _standard_input() -> str:
    """A password from standard input, without the one line ending that may end it."""
    data = sys.stdin.buffer.read(MAX_PASSWORD + 1)
    if len(data) > MAX_PASSWORD:
        raise NoCredentialGiven(f"the password on standard input is longer than {MAX_PASSWORD} bytes")
    return data.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


async def _login(
    server: str, registry: str, given: tuple[str | None, SecretText | None], connection: Connection
) -> None:
    from sealift.client.errors import Unauthenticated
    from sealift.credentials.login_file import LoginKeyring, store_login

    async with open_client(connection) as client:
        # The scheme first: nobody types a password for a registry that does not answer.
        await client.ping(registry)
        username, password = given
        suggested = ""
        if username is None and password is None:
            stored = await LoginKeyring(os.environ).credentials_for(registry)
            if stored and await _still_good(client, registry, stored[0]):
                await _after(client, registry)
                return
            suggested = stored[0].username if stored else ""
        credential = _asked_for(server, username, password, suggested)
        try:
            proof = await client.prove(registry, credential)
        except Unauthenticated as error:
            error.hint = "check the user name and the password; nothing was stored"
            raise
        if not proof.asked:
            click.echo(f"warning: {registry} asks for no login, so nothing is proved", err=True)
        kept = await store_login(
            os.environ, server, credential.username, credential.password, identity_token=proof.identity_token
        )
        if kept.kind == "LoginFile":
            click.echo(
                f"warning: it is kept unencrypted in {kept.name}; a credential helper would keep it safer",
                err=True,
            )
        await _after(client, registry)


async def _still_good(client: RegistryClient, registry: str, stored: Credential) -> bool:
    from sealift.client.errors import Unauthenticated

    shown = f" as {stored.username}" if stored.username else ""
    click.echo(f"trying the login that is stored{shown}", err=True)
    try:
        await client.prove(registry, stored)
    except Unauthenticated:
        click.echo("the registry does not accept it any more", err=True)
        return False
    return True


async def _after(client: RegistryClient, registry: str) -> None:
    from sealift.cli.last_server import note_server

    if await client.is_sealift(registry):
        note_server(os.environ, registry)
    click.echo("Login Succeeded")


def _asked_for(server: str, username: str | None, password: SecretText | None, suggested: str) -> Credential:
    if (username is None or password is None) and not sys.stdin.isatty():
        raise NoCredentialGiven(
            f"there is nothing to log in to {server} with",
            why="no user name and password were given, and standard input is no terminal to ask on",
            hint=f"sealift login {server} --username USER --password-stdin < FILE",
        )
    if username is None:
        username = click.prompt("Username", default=suggested or None, err=True)
    if password is None:
        password = SecretText(click.prompt("Password", hide_input=True, err=True))
    return Credential(
        username=username, password=password, source=Source(kind="Flag", name="login"), key=server
    )


@click.command()
@click.argument("server")
def logout(server: str) -> None:
    """Forget a credential.

    SERVER is what the login was made with.
    """
    from sealift.cli.last_server import forget_server
    from sealift.credentials.login_file import erase_login

    registry = registry_of(server)
    if run(erase_login(os.environ, server)):
        click.echo(f"Removing login credentials for {registry}")
    else:
        click.echo(f"not logged in to {registry}", err=True)
    forget_server(os.environ, registry)
