"""What passes between the application's door and a handler: a `Call` in, an `Answer` out.

The door (`sealift.registry.app`) turns ASGI into a `Call` once the guard has
let it pass, and writes the `Answer`; no handler sees ASGI, a token or a header
that it did not ask for.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking, as the guard proved it. Rights hang on `id`, never on `name`."""

    id: int | None
    """None for whoever shows no credential."""

    name: str
    """``anonymous`` where `id` is None."""

    is_admin: bool = False


ANONYMOUS = Principal(id=None, name="anonymous")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSlice:
    """Bytes of a stored file, from `start` up to, not including, `stop`."""

    path: Path
    start: int
    stop: int


@dataclass(slots=True, kw_only=True)
class Call:
    """One request that the guard has let pass."""

    method: str
    path: Mapping[str, str]
    """The parts that the route named, such as ``name``, ``digest``, ``reference``."""

    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    """Names in lower case; a repeated header is joined with commas."""

    body: AsyncIterator[bytes]
    principal: Principal
    address: str | None = None
    """The IP address of whoever asks, as the door believes it; None where there is none."""

    base_url: str = ""
    """Scheme and authority for absolute locations, or empty: then they are relative."""

    readable: frozenset[str] = field(default_factory=frozenset)
    """Repositories besides this one that the presented token may pull (mount sources)."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """Status, headers and body. `HEAD` is the door's business: handlers answer as for `GET`."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | FileSlice = b""
