"""Registries to run clients against: Debian's docker-registry in two dresses, and ours.

docker-registry is the yardstick: what a client says when *it* refuses is what
the client says "for any registry that refuses". Once with a password file
(Basic), once with a token server.
"""

import http.client
import json
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme
import yaml
from tests.peers.ground import Enclosure, Ground
from tests.peers.programs import require_program
from tests.peers.token_server import ISSUER, SERVICE, Signer, token_server

USERNAME, PASSWORD = "ashok", "s3cret, with ünïcode"
"""Who may pull and push under ``apps/``."""

STRANGER, STRANGERS_PASSWORD = "sue", "sue's own"
"""Who may log in and has no right to ``apps/``. Only registries with tokens know the difference."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry that wants credentials for everything."""

    name: str
    address: str
    """HOST:PORT, as it stands in an image's name."""

    scheme: str = "http"
    data: Path | None = None
    """Of ours: its data directory. Of docker-registry with passwords: its file tree."""

    def image(self, repository: str, selector: str = ":v1") -> str:
        """The full name of an image here: `selector` begins with a colon or an at sign."""
        return f"{self.address}/{repository}{selector}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate and its key, and the authority that signed it, as PEM files."""

    authority: Path
    chain: Path
    key: Path


def certificate_for(directory: Path, name: str) -> Certificate:
    """A certificate for `name` by an authority that nobody knows."""
    directory.mkdir()
    made = Certificate(directory / "ca.pem", directory / "chain.pem", directory / "key.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(made.authority))
    signed = authority.issue_cert(name)
    for part in signed.cert_chain_pems:
        part.write_to_path(str(made.chain), append=True)
    signed.private_key_pem.write_to_path(str(made.key))
    made.key.chmod(0o600)
    return made


def free_port() -> int:
    """A loopback port that nobody listens on.

    Below those that Linux gives to outgoing connections, so that none of them
    takes it before the daemon does; at random, since other tests look too.
    """
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def answers(address: str, path: str) -> Callable[[], bool]:
    """A probe: whether `path` is answered with anything below 500 at a loopback address."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", path)
            with connection.getresponse() as answer:
                return answer.status < 500
        except OSError:
            return False
        finally:
            connection.close()

    return probe


def _settings(
    directory: Path, address: str, authentication: dict[str, object], certificate: Certificate | None = None
) -> Path:
    name = f"docker-registry-{address.rpartition(':')[2]}"
    http: dict[str, object] = {"addr": address}
    if certificate is not None:
        http["tls"] = {"certificate": str(certificate.chain), "key": str(certificate.key)}
    path = directory / f"{name}.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "version": 0.1,
                "log": {"accesslog": {"disabled": True}, "level": "error"},
                "storage": {
                    "filesystem": {"rootdirectory": str(directory / name)},
                    "delete": {"enabled": True},
                },
                "http": http,
                "auth": authentication,
            }
        )
    )
    return path


def _password_file(ground: Ground) -> dict[str, object]:
    """Authentication by a password file with one user in it."""
    passwords = ground.scratch / "htpasswd"
    # -C 4: the password is no secret, and a costly hash is paid on each request.
    made = ground.run(require_program("htpasswd"), "-iBnC", "4", USERNAME, stdin=PASSWORD).checked()
    passwords.write_text(made.out)
    return {"htpasswd": {"realm": "yardstick", "path": str(passwords)}}


@contextmanager
def docker_registry_with_passwords(ground: Ground) -> Iterator[Registry]:
    """docker-registry with a password file: Basic authentication, every user may do everything."""
    program = require_program("docker-registry")
    address = f"127.0.0.1:{free_port()}"
    settings = _settings(ground.scratch, address, _password_file(ground))
    ground.start(program, "serve", str(settings), ready=answers(address, "/v2/"))
    data = ground.scratch / f"docker-registry-{address.rpartition(':')[2]}"
    yield Registry("docker-registry with passwords", address, data=data)


@contextmanager
def docker_registry_with_tokens(ground: Ground) -> Iterator[Registry]:
    """docker-registry with a token server."""
    program = require_program("docker-registry")
    bundle = ground.scratch / "token-signer.pem"
    passwords = {USERNAME: PASSWORD, STRANGER: STRANGERS_PASSWORD}
    with token_server(Signer(bundle), passwords=passwords, pushers=frozenset({USERNAME})) as realm:
        address = f"127.0.0.1:{free_port()}"
        settings = _settings(
            ground.scratch,
            address,
            {"token": {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}},
        )
        ground.start(program, "serve", str(settings), ready=answers(address, "/v2/"))
        yield Registry("docker-registry with tokens", address)


_MANAGE = """
import base64, http.client, json, ssl, sys
host, authority, password, requests = json.load(sys.stdin)
if authority:
    connection = http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=authority))
else:
    connection = http.client.HTTPConnection(host)
headers = {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}
for path, document in requests:
    connection.request("POST", "/api/v1" + path, json.dumps(document), headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    assert answer.status == 201, (path, answer.status, body)
"""


def start_sealift(
    ground: Ground,
    *,
    listen: str,
    name: str,
    ready: Callable[[], bool],
    certificate: Certificate | None = None,
    workers: int = 1,
    options: Sequence[str] = (),
) -> Registry:
    """``sealift serve`` with the same two accounts as the yardstick, made through its management API.

    Args:
        ground: Where it runs.
        listen: HOST:PORT to listen on.
        name: HOST:PORT to know it by.
        ready: Says when it listens.
        certificate: With one it speaks TLS.
        workers: Processes that answer.
        options: More of the command line.
    """
    data = ground.scratch / f"sealift-{listen.rpartition(':')[2]}"
    tls = ["--tls-cert", str(certificate.chain), "--tls-key", str(certificate.key)] if certificate else []
    ground.start(
        *(sys.executable, "-m", "sealift", "serve", "--listen", listen, "--data", str(data)),
        *("--workers", str(workers), *tls, *options),
        ready=ready,
    )
    requests = [
        ("/accounts", {"name": USERNAME, "password": PASSWORD}),
        ("/accounts", {"name": STRANGER, "password": STRANGERS_PASSWORD}),
        ("/grants", {"to": USERNAME, "repository": "apps/**", "actions": ["pull", "push", "delete"]}),
    ]
    password = (data / "admin-password").read_text().strip()
    authority = str(certificate.authority) if certificate else None
    # Inside the ground: its network may be another than ours.
    ground.run(
        sys.executable, "-c", _MANAGE, stdin=json.dumps([name, authority, password, requests])
    ).checked()
    return Registry("sealift", name, scheme="https" if certificate else "http", data=data)


@contextmanager
def sealift_registry(ground: Ground) -> Iterator[Registry]:
    """Ours, on a free loopback port, in plain HTTP, with two workers: a push goes to both of them."""
    address = f"127.0.0.1:{free_port()}"
    yield start_sealift(ground, listen=address, name=address, ready=answers(address, "/readyz"), workers=2)


def sealift_with_tls(ground: Enclosure, name: str, certificate: Certificate) -> Registry:
    """Ours, with a certificate, on an address of the enclosure's network."""
    first = ground.scratch / "sealift-5443" / "admin-password"
    return start_sealift(
        ground,
        listen=f"{ground.address}:5443",
        name=f"{name}:5443",
        # It listens before it has a worker: what is asked in between is answered then.
        ready=lambda: first.exists() and ground.listens(5443),
        certificate=certificate,
    )


def docker_registry_with_tls(ground: Enclosure, name: str, certificate: Certificate) -> Registry:
    """docker-registry with a password file and a certificate, on an address of the enclosure's network."""
    program = require_program("docker-registry")
    address = f"{ground.address}:5000"
    settings = _settings(ground.scratch, address, _password_file(ground), certificate)
    ground.start(program, "serve", str(settings), ready=lambda: ground.listens(5000))
    return Registry("docker-registry with TLS", f"{name}:5000", scheme="https")
