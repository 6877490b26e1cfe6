"""Registries to run clients against: Debian's docker-registry in two dresses, and ours.

docker-registry is the yardstick: what a client says when *it* refuses is what
the client says "for any registry that refuses". Once with a password file
(Basic), once with a token server.
"""

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.peers.ground import Ground
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

    def image(self, repository: str, selector: str = ":v1") -> str:
        """The full name of an image here: `selector` begins with a colon or an at sign."""
        return f"{self.address}/{repository}{selector}"


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def answers(address: str, path: str) -> Callable[[], bool]:
    """A probe: whether `path` is answered with anything below 500 at a loopback address."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()

    return probe


def _settings(directory: Path, port: int, authentication: dict[str, object]) -> Path:
    path = directory / f"docker-registry-{port}.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "version": 0.1,
                "log": {"accesslog": {"disabled": True}, "level": "error"},
                "storage": {
                    "filesystem": {"rootdirectory": str(directory / f"docker-registry-{port}")},
                    "delete": {"enabled": True},
                },
                "http": {"addr": f"127.0.0.1:{port}"},
                "auth": authentication,
            }
        )
    )
    return path


@contextmanager
def docker_registry_with_passwords(ground: Ground) -> Iterator[Registry]:
    """docker-registry with a password file: Basic authentication, every user may do everything."""
    program = require_program("docker-registry")
    passwords = ground.scratch / "htpasswd"
    # -C 4: the password is no secret, and a costly hash is paid on each request.
    made = ground.run(require_program("htpasswd"), "-iBnC", "4", USERNAME, stdin=PASSWORD).checked()
    passwords.write_text(made.out)
    port = free_port()
    settings = _settings(ground.scratch, port, {"htpasswd": {"realm": "yardstick", "path": str(passwords)}})
    ground.start(program, "serve", str(settings), ready=answers(f"127.0.0.1:{port}", "/v2/"))
    yield Registry("docker-registry with passwords", f"127.0.0.1:{port}")


@contextmanager
def docker_registry_with_tokens(ground: Ground) -> Iterator[Registry]:
    """docker-registry with a token server."""
    program = require_program("docker-registry")
    bundle = ground.scratch / "token-signer.pem"
    passwords = {USERNAME: PASSWORD, STRANGER: STRANGERS_PASSWORD}
    with token_server(Signer(bundle), passwords=passwords, pushers=frozenset({USERNAME})) as realm:
        port = free_port()
        settings = _settings(
            ground.scratch,
            port,
            {"token": {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(bundle)}},
        )
        ground.start(program, "serve", str(settings), ready=answers(f"127.0.0.1:{port}", "/v2/"))
        yield Registry("docker-registry with tokens", f"127.0.0.1:{port}")
