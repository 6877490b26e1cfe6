"""A token server for docker-registry: the yardstick for what a client says of any registry with tokens.

It knows one account with a right to ``apps/`` and one without, gives anyone
who asks without a name a token for nothing, and refuses a wrong password with
401, as Docker Hub's does. It is written against the specification alone and
shares no line with Sealift's own.

Spec: distribution, spec/auth/token.md, "Requesting a Token".
"""

import base64
import datetime as dt
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey

ISSUER = "yardstick"
SERVICE = "yardstick"


class Signer:
    """A key, and the certificate by which docker-registry knows it."""

    def __init__(self, bundle: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
        self._key = ECKey.import_key(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def token(self, subject: str, access: list[dict[str, Any]]) -> str:
        """A token that lets `subject` do what is in `access`, for five minutes."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": SERVICE,
            "jti": secrets.token_hex(8),
            "nbf": now - 10,
            "iat": now,
            "exp": now + 300,
            "access": access,
        }
        return jwt.encode({"alg": "ES256", "typ": "JWT", "x5c": self._chain}, claims, self._key)


class _Handler(BaseHTTPRequestHandler):
    """GET /token with Basic credentials or none. POST is answered with 404, as by most token servers."""

    signer: ClassVar[Signer]
    passwords: ClassVar[dict[str, str]]
    pushers: ClassVar[frozenset[str]]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        username = self._username()
        if username is None:
            # distribution's own token server gives a detail. Without one docker drops the
            # message, takes the error for a passing one, and repeats a push for a minute.
            problem = {
                "code": "UNAUTHORIZED",
                "message": "authentication required",
                "detail": "wrong password",
            }
            self._answer(401, {"errors": [problem]})
            return
        access = []
        for scope in parse_qs(urlsplit(self.path).query).get("scope", []):
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            held = actions.split(",") if username in self.pushers and name.startswith("apps/") else []
            access.append({"type": kind, "name": name, "actions": held})
        self._answer(200, {"token": self.signer.token(username, access), "expires_in": 300})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(404, {})

    def _username(self) -> str | None:
        """Who asks: "" without a name, None with a wrong password."""
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return ""
        username, _, password = base64.b64decode(encoded).decode().partition(":")
        return username if self.passwords.get(username) == password else None

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name it has in http.server
        """Say nothing."""


@contextmanager
def token_server(signer: Signer, *, passwords: dict[str, str], pushers: frozenset[str]) -> Iterator[str]:
    """Serve on a free loopback port while the block runs; gives the realm."""
    handler = type("Handler", (_Handler,), {"signer": signer, "passwords": passwords, "pushers": pushers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
        server.shutdown()
        thread.join()
