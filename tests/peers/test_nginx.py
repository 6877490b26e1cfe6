"""Behind the real nginx, with the very block of docs/how-to/tls-and-proxies.md: TLS there, HTTP here."""

import http.client
import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.peers.clients import Skopeo
from tests.peers.ground import this_machine
from tests.peers.images import sample_image
from tests.peers.programs import require_program
from tests.peers.registries import (
    PASSWORD,
    USERNAME,
    Certificate,
    Registry,
    answers,
    certificate_for,
    free_port,
    start_sealift,
)

pytestmark = pytest.mark.peers

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tls-and-proxies.md"

AROUND = """
daemon off; pid {scratch}/nginx.pid; error_log {scratch}/nginx-error.log;
events {{}}
http {{
    access_log {scratch}/nginx-access.log;
    client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
{block}
}}
"""


@dataclass(frozen=True)
class Fronted:
    """A registry, and the nginx before it."""

    registry: Registry
    """As clients know it."""

    behind: str
    """HOST:PORT that nginx hands requests to."""

    certificate: Certificate
    log: Path
    """What the registry printed."""


def _block(port: int, behind: str, certificate: Certificate) -> str:
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    block = found[1]
    for written, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("server_name registry.example;", "server_name _;"),
        ("/etc/nginx/tls.crt", str(certificate.chain)),
        ("/etc/nginx/tls.key", str(certificate.key)),
        ("http://127.0.0.1:5000", f"http://{behind}"),
    ):
        assert written in block
        block = block.replace(written, here)
    return block


@contextmanager
def _fronted(directory: Path, *options: str, external: bool = False) -> Iterator[Fronted]:
    program = require_program("nginx")
    certificate = certificate_for(directory / "certificate", "127.0.0.1")
    port, behind = free_port(), f"127.0.0.1:{free_port()}"
    address = f"127.0.0.1:{port}"
    with this_machine() as ground:
        configuration = ground.scratch / "nginx.conf"
        configuration.write_text(
            AROUND.format(scratch=ground.scratch, block=_block(port, behind, certificate))
        )
        more = [
            *options,
            "--access-log",
            "json",
            *(["--external-url", f"https://{address}"] if external else []),
        ]
        started = start_sealift(
            ground, listen=behind, name=behind, ready=answers(behind, "/readyz"), workers=2, options=more
        )
        ground.start(program, "-c", str(configuration), ready=lambda: _status(address, certificate) == 200)
        (log,) = [file for file in ground.scratch.glob("*-0.log") if "nginx" not in file.name]
        registry = Registry("sealift behind nginx", address, scheme="https", data=started.data)
        yield Fronted(registry, behind, certificate, log)


def _connect(address: str, certificate: Certificate) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(certificate.authority))
    return http.client.HTTPSConnection(address, context=context, timeout=60)


def _status(address: str, certificate: Certificate) -> int:
    connection = _connect(address, certificate)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _challenge(
    connection: http.client.HTTPConnection, headers: dict[str, str] | None = None
) -> tuple[str, dict[str, str]]:
    """Where the registry sends for a token, and the log line's own words of that request."""
    try:
        connection.request("GET", "/v2/", headers=headers or {})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status == 401
        assert body["requestId"] == answer.headers["x-request-id"]
        realm = re.search('realm="([^"]*)"', str(answer.headers["www-authenticate"]))
        assert realm is not None
        return realm[1], {"id": body["requestId"]}
    finally:
        connection.close()


def _line(fronted: Fronted, request_id: str) -> dict[str, object]:
    for _ in range(600):
        for line in fronted.log.read_text().splitlines():
            if f'"requestId":"{request_id}"' in line:
                found: dict[str, object] = json.loads(line)
                return found
        time.sleep(0.05)
    raise AssertionError(f"no line for {request_id}")


FORGED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.9",
    "X-Request-Id": "chosen",
}


@pytest.mark.parametrize(
    "external", [pytest.param(True, id="--external-url"), pytest.param(False, id="without")]
)
def test_skopeo_pushes_and_pulls_through_it(tmp_path: Path, external: bool) -> None:
    program = require_program("skopeo")
    with _fronted(tmp_path, "--trusted-proxies", "127.0.0.1", external=external) as fronted:
        with this_machine() as ground:
            skopeo = Skopeo(ground, program, tmp_path, {}, insecure=False)
            authorities = tmp_path / "authorities"
            authorities.mkdir()
            (authorities / "ca.crt").write_text(fronted.certificate.authority.read_text())
            login = ("login", "-u", USERNAME, "--password-stdin", "--cert-dir", str(authorities))
            skopeo.run(*login, fronted.registry.address, stdin=PASSWORD).checked()
            image = sample_image(tmp_path / "image", size=5 * 1024 * 1024)
            name = f"docker://{fronted.registry.image('apps/behind-nginx')}"
            skopeo.copy(
                f"oci:{image.layout}:v1", name, "--all", "--dest-cert-dir", str(authorities)
            ).checked()
            skopeo.copy(name, f"dir:{tmp_path}/pulled", "--src-cert-dir", str(authorities)).checked()
            pulled = json.loads((tmp_path / "pulled" / "manifest.json").read_text())
            assert all(
                (tmp_path / "pulled" / layer["digest"].partition(":")[2]).exists()
                for layer in pulled["layers"]
            )
        realm, told = _challenge(_connect(fronted.registry.address, fronted.certificate))
        assert realm == f"https://{fronted.registry.address}/token"
        assert re.fullmatch("[0-9a-f]{32}", told["id"])  # nginx's own
        assert _line(fronted, told["id"])["client"] == "127.0.0.1"


def test_what_a_client_forges_does_not_get_through_a_named_proxy(tmp_path: Path) -> None:
    with _fronted(tmp_path, "--trusted-proxies", "127.0.0.1") as fronted:
        realm, told = _challenge(_connect(fronted.registry.address, fronted.certificate), FORGED)
        assert realm == f"https://{fronted.registry.address}/token"
        assert told["id"] != "chosen"


def test_from_a_proxy_that_is_not_named_nothing_counts(tmp_path: Path) -> None:
    with _fronted(tmp_path, "--trusted-proxies", "192.0.2.0/24") as fronted:
        realm, told = _challenge(_connect(fronted.registry.address, fronted.certificate), FORGED)
        assert realm == f"http://{fronted.registry.address}/token"  # by the Host that nginx passed on
        assert re.fullmatch("[0-9a-f]{16}", told["id"])
        realm, told = _challenge(http.client.HTTPConnection(fronted.behind, timeout=60), FORGED)
        assert (realm, told["id"] == "chosen") == (f"http://{fronted.behind}/token", False)
        assert _line(fronted, told["id"])["client"] == "127.0.0.1"
