"""``sealift serve``: settings, the data directory, the socket, and the processes that serve."""

import os
from pathlib import Path
from typing import Any

import click

from sealift.cli.server_settings import Won


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
                help="From whom X-Forwarded-For, -Host and -Proto count.",
            ),
            click.option(
                "--access-log",
                is_flag=True,
                default=None,
                help="Print a line for each request, without secrets.",
            ),
            click.option(
                "--tag-restore-days", metavar="DAYS", help="How far back a tag can be set back.  [30]"
            ),
            click.option("--metrics-listen", metavar="HOST:PORT", help="Not in this version."),
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


def _serve(won: dict[str, Won]) -> None:
    """Take the directory and the port, start the workers, and stay until told to stop."""
    import logging

    from sealift.cli.server_settings import BadSetting, check_certificate
    from sealift.registry.access.first_account import password_file
    from sealift.registry.assembly import Parts, open_registry, prepare
    from sealift.registry.data_directory import DataDirectory
    from sealift.registry.request_head import Door
    from sealift.registry.server.listener import CannotListen, join, listen
    from sealift.registry.server.supervisor import Grace, Supervisor
    from sealift.registry.server.worker import Tls, work
    from sealift.registry.settings import Tags

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.umask(0o077)  # password hashes and keys are in there
    data = DataDirectory(won["data"].value)
    host, port = won["listen"].value
    certificate, key = won["tls-cert"].value, won["tls-key"].value
    tls = None if certificate is None else Tls(certificate=certificate, key=key)
    with data.lock() as lock:
        try:
            listening = listen(host, port, won["workers"].value)
        except CannotListen:
            lock.unmake()
            raise
        host, port = listening.address
        scheme = "http" if tls is None else "https"
        made = prepare(data)
        parts = Parts(
            data=data,
            door=Door(
                external_url=won["external-url"].value,
                trusted_proxies=won["trusted-proxies"].value,
                log_requests=won["access-log"].value,
            ),
            tags=Tags(restore_days=won["tag-restore-days"].value),
            workers=won["workers"].value,
        )
        grace = Grace()
        stamp = [_stamp(tls)]

        def changed() -> bool:
            now = _stamp(tls)
            if tls is None or now == stamp[0]:
                return False
            stamp[0] = now
            try:
                check_certificate(tls.certificate, tls.key)
            except BadSetting as bad:
                click.echo(f"warning: {bad}: {bad.why}; the one before stays in use", err=True)
                return False
            click.echo("the certificate has changed; it is taken up", err=True)
            return True

        def ready() -> None:
            first = password_file(data.path)
            if made:
                click.echo(f"made the account admin; its password is in {first}", err=True)
            elif first.exists():
                click.echo(
                    f"warning: the first password of admin is still in {first}; "
                    "it goes with: sealift account password admin",
                    err=True,
                )
            click.echo(f"serving {scheme}://{join(host, port)} from {data.path}", err=True)

        Supervisor(
            count=won["workers"].value,
            work=lambda number, say_ready: work(
                lambda: open_registry(parts),
                listening.keep_only(number),
                tls=tls,
                stop_seconds=grace.stop_seconds,
                ready=say_ready,
            ),
            stop_listening=listening.close,
            changed=changed,
            ready=ready,
            grace=grace,
        ).run()


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
