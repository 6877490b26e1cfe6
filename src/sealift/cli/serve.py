"""``sealift serve``: settings, the data directory, the socket, and the processes that serve."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from sealift.cli.server_settings import Won

log = logging.getLogger(__name__)


def settings_options(command: Any) -> Any:
    """The flags that `sealift serve` and `sealift config` share."""
    for option in reversed(
        (
            click.option("--listen", metavar="HOST:PORT", help="Where to listen.  [127.0.0.1:5000]"),
            click.option("--data", metavar="DIR", help="The data directory.  [~/.local/share/sealift]"),
            click.option("--config", "config_file", metavar="FILE", help="A TOML file with settings."),
            click.option("--tls-cert", metavar="FILE", help="Certificate chain, PEM; taken up when renewed."),
            click.option("--tls-key", metavar="FILE", help="Its key, PEM."),
            click.option(
                "--plain-http",
                is_flag=True,
                default=None,
                help="Serve without TLS beyond loopback, said aloud.",
            ),
            click.option("--external-url", metavar="URL", help="Scheme and host that clients use."),
            click.option("--workers", metavar="N", help="Processes that answer.  [1]"),
            click.option(
                "--trusted-proxies",
                metavar="CIDR,…",
                help="From whom X-Forwarded-Host, -Proto, -For and X-Request-Id count.",
            ),
            click.option(
                "--access-log",
                is_flag=False,
                flag_value="on",
                metavar="[text|json]",
                help="Print a line for each request, without secrets; as --log-format says, or as told here.",
            ),
            click.option("--log-format", metavar="text|json", help="Of all that is logged.  [text]"),
            click.option(
                "--metrics-listen", metavar="HOST:PORT", help="Where Prometheus finds /metrics.  [nowhere]"
            ),
            click.option(
                "--metrics-plain-http",
                is_flag=True,
                default=None,
                help="Metrics beyond loopback: plain HTTP without a login, said aloud.",
            ),
            click.option(
                "--tag-restore-days", metavar="DAYS", help="How far back a tag can be set back.  [30]"
            ),
            click.option("--database", metavar="URL", help="Not in this version."),
            click.option("--storage", metavar="URL", help="Not in this version."),
        )
    ):
        command = option(command)
    return command


def resolved(given: dict[str, Any]) -> dict[str, Won]:
    """Every setting, from the flags that were given, the environment, the file and the defaults."""
    from sealift.cli.server_settings import resolve

    file = given.pop("config_file") or os.environ.get("SEALIFT_CONFIG")
    flags = {name.replace("_", "-"): None if value is None else str(value) for name, value in given.items()}
    return resolve(flags, os.environ, Path(file) if file else None)


@click.command()
@settings_options
def serve(**given: Any) -> None:
    """Serve a private registry."""
    from sealift.cli.server_settings import check

    won = resolved(given)
    check(won)
    _serve(won)


@dataclass(frozen=True, slots=True)
class _Teller:
    """Tells a person at the terminal what goes on; in JSON where everything is."""

    is_json: bool

    def say(self, text: str, *, is_warning: bool = False) -> None:
        """Print a line on standard error."""
        if self.is_json:
            log.log(logging.WARNING if is_warning else logging.INFO, "%s", text)
        else:
            click.echo(f"warning: {text}" if is_warning else text, err=True)


class _CertificateWatch:
    """Looks whether the certificate on the disk is another one than before, and usable."""

    def __init__(self, tls: Any, teller: _Teller) -> None:
        self._tls = tls
        self._teller = teller
        self._stamp = _stamp(tls)

    def changed(self) -> bool:
        """Whether new workers should take it up."""
        from sealift.cli.server_settings import BadSetting, check_certificate

        now = _stamp(self._tls)
        if self._tls is None or now == self._stamp:
            return False
        self._stamp = now
        try:
            check_certificate(self._tls.certificate, self._tls.key)
        except BadSetting as bad:
            self._teller.say(f"{bad}: {bad.why}; the one before stays in use", is_warning=True)
            return False
        self._teller.say("the certificate has changed; it is taken up")
        return True


SERVERS_MEMORY = ("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0")
"""How the HTTP server beneath us, which has an allocator of its own, gives memory back.

With its defaults, what two thousand slow clients cost grew from one crowd to the
next, from 140 to 270 MiB; with these it is 140 each time. Giving it back at once
(``dirty_decay_ms:0``) costs a third more CPU for a push. Read once, when granian is loaded.
"""


def _serve(won: dict[str, Won]) -> None:
    """Take the directory and the ports, start the workers, and stay until told to stop."""
    os.environ.setdefault(*SERVERS_MEMORY)  # before the import of granian below

    from sealift.cli.limit_settings import connections_of
    from sealift.registry.access.first_account import password_file
    from sealift.registry.assembly import open_registry, prepare
    from sealift.registry.data_directory import DataDirectory
    from sealift.registry.server.listener import CannotListen, join, listen
    from sealift.registry.server.log_lines import log_to_standard_error
    from sealift.registry.server.metrics_listener import metrics_at
    from sealift.registry.server.supervisor import Grace, Supervisor
    from sealift.registry.server.worker import Tls, work

    log_to_standard_error(won["log-format"].value)
    teller = _Teller(won["log-format"].value == "json")
    os.umask(0o077)  # password hashes and keys are in there
    data = DataDirectory(won["data"].value)
    value = {name: each.value for name, each in won.items()}
    host, port = value["listen"]
    certificate, key = won["tls-cert"].value, won["tls-key"].value
    tls = None if certificate is None else Tls(certificate=certificate, key=key)
    workers = won["workers"].value
    with data.lock() as lock:
        try:
            listening = listen(host, port, workers)
            address = won["metrics-listen"].value
            scraped = (
                None
                if address is None
                else metrics_at(address, workers=workers, data=data, certificate=certificate)
            )
        except CannotListen:
            lock.unmake()
            raise
        made = prepare(data)
        parts = _parts(data, value)
        grace = Grace()

        def ready() -> None:
            first = password_file(data.path)
            if made:
                teller.say(f"made the account admin; its password is in {first}")
            elif first.exists():
                teller.say(
                    f"the first password of admin is still in {first}; "
                    "it goes with: sealift account password admin",
                    is_warning=True,
                )
            if scraped is not None:
                teller.say(f"metrics at {scraped.url}")
            scheme = "http" if tls is None else "https"
            teller.say(f"serving {scheme}://{join(*listening.address)} from {data.path}")

        def work_in(number: int, slot: int | None, say_ready: Callable[[], None]) -> None:
            counting = replace(parts, slot=None if scraped is None else scraped.slot(slot))
            work(
                lambda: open_registry(counting),
                listening.keep_only(number),
                tls=tls,
                stop_seconds=grace.stop_seconds,
                ready=say_ready,
                connections=connections_of(value),
                scraped=scraped,
            )

        def stop_listening() -> None:
            listening.close()
            if scraped is not None:
                scraped.listening.close()

        Supervisor(
            count=workers,
            work=work_in,
            stop_listening=stop_listening,
            changed=_CertificateWatch(tls, teller).changed,
            ready=ready,
            grace=grace,
            board=None if scraped is None else scraped.board,
        ).run()


def _parts(data: Any, value: Mapping[str, Any]) -> Any:
    """What the registry is made with, by the settings."""
    from sealift.cli.collection_settings import collection_of
    from sealift.cli.limit_settings import connections_of, limits_of, patience_of
    from sealift.registry.assembly import Parts
    from sealift.registry.request_head import Door
    from sealift.registry.settings import Tags

    return Parts(
        data=data,
        door=Door(
            external_url=value["external-url"],
            trusted_proxies=value["trusted-proxies"],
            header_bytes=connections_of(value).header_bytes,
        ),
        limits=limits_of(value),
        tags=Tags(restore_days=value["tag-restore-days"]),
        collection=collection_of(value),
        patience=patience_of(value),
        reserve_bytes=value["reserve-free"],
        workers=value["workers"],
        access_log=value["log-format"] if value["access-log"] == "on" else value["access-log"],
    )


def _stamp(tls: Any) -> tuple[tuple[int, int, int], ...]:
    """What tells one version of the certificate's files from another."""
    if tls is None:
        return ()
    stamps = []
    for path in (tls.certificate, tls.key):
        try:
            found = path.stat()
        except OSError:
            continue
        stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(stamps)
