"""How a command reaches a registry: the options that such commands share, and the client made of them."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from sealift.client.keyring import Keyring
from sealift.client.registry_client import RegistryClient
from sealift.transport.http import Transport

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What the shared options say."""

    ca_files: tuple[Path, ...] = ()
    plain_http: bool = False
    insecure: bool = False
    trusted_realms: tuple[str, ...] = ()
    debug: bool = False


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options. It gets what they say as one argument, ``connection``."""

    @wraps(command)
    def gathered(
        *arguments: Any,
        ca_file: tuple[Path, ...],
        plain_http: bool,
        insecure_skip_tls_verify: bool,
        trust_realm: tuple[str, ...],
        debug: bool,
        **rest: Any,
    ) -> Any:
        if insecure_skip_tls_verify:
            click.echo(
                "warning: certificates are not checked: whoever is on the way can read and change everything",
                err=True,
            )
        connection = Connection(
            ca_files=ca_file,
            plain_http=plain_http,
            insecure=insecure_skip_tls_verify,
            trusted_realms=trust_realm,
            debug=debug,
        )
        return command(*arguments, connection=connection, **rest)

    decorated: Callable[..., Any] = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_OPTIONS = (
    click.option(
        "--ca-file",
        type=click.Path(path_type=Path, readable=False),
        multiple=True,
        envvar="SEALIFT_CA_FILE",
        show_envvar=True,
        help="Trust the certificate authorities in this PEM file too. May be repeated.",
    ),
    click.option(
        "--plain-http",
        is_flag=True,
        envvar="SEALIFT_PLAIN_HTTP",
        show_envvar=True,
        help="Allow plain HTTP where the registry does not speak TLS. On loopback it is allowed anyway.",
    ),
    click.option(
        "--insecure-skip-tls-verify",
        is_flag=True,
        help="Do not check certificates. It says so each time.",
    ),
    click.option(
        "--trust-realm",
        metavar="HOST",
        multiple=True,
        envvar="SEALIFT_TRUST_REALM",
        show_envvar=True,
        help="Let this host of another domain be the registry's token server. May be repeated.",
    ),
    click.option(
        "--debug",
        is_flag=True,
        envvar="SEALIFT_DEBUG",
        show_envvar=True,
        help="Show the exchange with the registry. Secrets in it are masked.",
    ),
)


@asynccontextmanager
async def open_transport(connection: Connection) -> AsyncIterator[Transport]:
    """The transport that these options ask for."""
    from sealift.transport.aiohttp_transport import AiohttpTransport
    from sealift.transport.logged_transport import LoggedTransport

    async with AiohttpTransport(
        ca_files=connection.ca_files, verify=not connection.insecure, environment=os.environ
    ) as transport:
        if connection.debug:
            yield LoggedTransport(transport, lambda line: click.echo(f"debug: {line}", err=True))
        else:
            yield transport


@asynccontextmanager
async def open_client(
    connection: Connection, keyring: Keyring | None = None
) -> AsyncIterator[RegistryClient]:
    """A client that these options ask for. Without a keyring it has the logins of this user."""
    from sealift.client.session import SessionOptions
    from sealift.credentials.login_file import LoginKeyring

    options = SessionOptions(
        plain_http=connection.plain_http, trusted_realms=frozenset(connection.trusted_realms)
    )
    async with open_transport(connection) as transport:
        yield RegistryClient(transport, keyring if keyring is not None else LoginKeyring(os.environ), options)


def run(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command's one coroutine on the one loop.

    A SIGTERM ends it as Ctrl-C does, with all that is half-written taken away; the status is then 143.
    """
    try:
        return asyncio.run(_stoppable(coroutine))
    except asyncio.CancelledError:
        raise click.exceptions.Exit(TERMINATED) from None


TERMINATED = 128 + signal.SIGTERM
"""What a shell sees of a program that SIGTERM ended."""


async def _stoppable(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    task = asyncio.current_task()
    ours = threading.current_thread() is threading.main_thread()
    # Who runs this in process and hears the signal already, as the demo does, keeps its ear: the loop
    # would leave the signal's default behind.
    if task is not None and ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await coroutine
