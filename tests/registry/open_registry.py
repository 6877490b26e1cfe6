"""A whole registry in this process, and a client that speaks ASGI to it: for tests of the door and the gate.

The data directory with its accounts is made once and copied, since a password
costs 20 ms of argon2. The accounts, each with the password `PASSWORD`:

=========  ==================================================================
admin      an admin
ashok      owns what is under ``ashok/``
reader     a grant: pull on ``ashok/*``
writer     a grant: pull and push on ``ashok/*``
stranger   nothing
disabled   a grant like writer's, and the account is disabled
=========  ==================================================================

Repositories: ``ashok/private``, ``ashok/public``; ``ashok/missing`` is not there.
"""

import base64
import json
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

from sealift.credentials.credential import SecretText
from sealift.registry.access.passwords import hash_password
from sealift.registry.access.token_issuer import ensure_signing_key
from sealift.registry.app import App
from sealift.registry.assembly import Parts, open_registry
from sealift.registry.catalog.accounts import add_account, add_grant, set_disabled
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.catalog.repository_rows import create_repository
from sealift.registry.data_directory import DataDirectory

PASSWORD = "correct horse"

HOST = "registry.test:5000"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    def without_its_id(self) -> "Reply":
        """What is the same for two requests that cannot be told apart: all but their ids."""
        headers = {name: value for name, value in self.headers.items() if name != "x-request-id"}
        return Reply(self.status, headers, self.body.replace(self.request_id.encode(), b"ID"))

    @property
    def challenge(self) -> str:
        return self.headers.get("www-authenticate", "")

    @property
    def code(self) -> str:
        """The first error code of the envelope."""
        return str(self.json["errors"][0]["code"])


@dataclass(slots=True)
class Client:
    """Sends requests to an ASGI application in this process."""

    app: App
    headers: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"
    peer: str = "127.0.0.1"

    async def ask(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        auth: str | None = None,
    ) -> Reply:
        """Send one request; `auth` is the Authorization header."""
        path, _, query = target.partition("?")
        sent = {"host": HOST, **self.headers, **(headers or {})}
        if auth is not None:
            sent["authorization"] = auth
        pieces = [] if body is None else [body] if isinstance(body, bytes) else list(body)
        if body is not None:
            sent.setdefault("content-length", str(sum(map(len, pieces))))
        waiting = [
            {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1}
            for place, piece in enumerate(pieces)
        ] or [{"type": "http.request", "body": b"", "more_body": False}]
        answered: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            answered.append(message)

        await self.app(
            {
                "type": "http",
                "method": method,
                "scheme": self.scheme,
                "path": path,
                "raw_path": path.encode("latin-1"),
                "query_string": query.encode("latin-1"),
                "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
                "client": (self.peer, 4711),
                "server": ("127.0.0.1", 5000),
                "http_version": "1.1",
            },
            receive,
            send,
        )
        start = answered[0]
        return Reply(
            status=start["status"],
            headers={name.decode(): value.decode() for name, value in start["headers"]},
            body=b"".join(message.get("body", b"") for message in answered[1:]),
        )

    async def send_json(
        self, method: str, target: str, document: object, *, auth: str | None = None
    ) -> Reply:
        """Send a JSON document."""
        return await self.ask(method, target, body=json.dumps(document).encode(), auth=auth)

    async def token(self, name: str | None, *scopes: str, password: str = PASSWORD) -> str:
        """The Authorization header with a token for an account, or for nobody in particular."""
        query = "&".join(f"scope={quote(scope, safe='')}" for scope in scopes)
        auth = None if name is None else basic(name, password)
        reply = await self.ask("GET", f"/token?service=sealift&{query}", auth=auth)
        assert reply.status == 200, reply.body
        return "Bearer " + str(reply.json["token"])


def basic(name: str, password: str = PASSWORD) -> str:
    """Basic credentials. Spec: RFC 7617."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")


@cache
def _template() -> Path:
    """A data directory with the accounts, made once a process."""
    data = DataDirectory(Path(mkdtemp(prefix="sealift-template-")) / "data")
    with data.lock():
        data.prepare()
    password_hash = hash_password(SecretText(PASSWORD))

    def fill(transaction: Transaction) -> None:
        for name in ("admin", "ashok", "reader", "writer", "stranger", "disabled"):
            add_account(
                transaction, name=name, password_hash=password_hash, is_admin=name == "admin", now=1_000_000
            )
        for name, actions in (
            ("reader", {"pull"}),
            ("writer", {"pull", "push"}),
            ("disabled", {"pull", "push"}),
        ):
            add_grant(transaction, to=name, pattern="ashok/*", actions=actions, by="admin", now=1_000_000)
        create_repository(transaction, name="ashok/private", visibility="private", by="ashok", now=1_000_000)
        create_repository(transaction, name="ashok/public", visibility="public", by="ashok", now=1_000_000)
        set_disabled(transaction, name="disabled", disabled=True)
        ensure_signing_key(transaction, now=1_000_000)

    with Catalog(data.catalog) as catalog:
        catalog.write_now(fill)
    return data.path


def fresh_data(directory: Path) -> DataDirectory:
    """A copy of the data directory described above, in `directory`."""
    shutil.copytree(_template(), directory / "data")
    return DataDirectory(directory / "data")


@asynccontextmanager
async def open_client(directory: Path, **parts: Any) -> AsyncIterator[Client]:
    """A client of a registry with the accounts described above."""
    async with open_registry(Parts(data=fresh_data(directory), **parts)) as app:
        yield Client(app)
