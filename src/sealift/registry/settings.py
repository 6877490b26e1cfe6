"""What an operator can set about the registry, one frozen class per concern."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where the registry keeps what it was given."""

    data: Path
    """The data directory. One process tree owns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the registry is reached."""

    host: str = "127.0.0.1"
    port: int = 5000
    """0 lets the system choose."""

    workers: int = 1
    """Processes."""

    external_url: str | None = None
    """Scheme and authority that clients use, such as ``https://registry.example``."""

    plain_http: bool = False
    """Said aloud: serve without TLS on an address other than loopback."""

    tls_certificate: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The registry tokens that the token endpoint hands out."""

    lifetime_seconds: int = 300
    issuer: str = "sealift"
    service: str = "sealift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What becomes of tags that were moved or deleted."""

    restore_days: int = 30
    """How long ago a tag may have ceased to stand for what it is set back to. 0: not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """When content goes that nobody needs."""

    grace_seconds: float = 48 * 3600.0
    """How long a blob stays that no manifest needs. A push of several large layers takes its
    time, and the last of them may come long after the first: longer than `Limits.upload_idle_seconds`."""

    keep_deleted_seconds: float = 7 * 24 * 3600.0
    """How long a deleted manifest can be brought back. After it the grace of its blobs begins."""

    keep_untagged_seconds: float | None = None
    """How long a manifest stays that its last tag has left. None: for ever, as Pods are pinned by digest."""

    every_seconds: float = 600.0
    """How often it is looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one request, upload or principal may take."""

    manifest_bytes: int = 4 * 1024 * 1024
    """Spec: distribution-spec v1.1.1, "Pushing Manifests"; R-OCI-19."""

    repository_name_characters: int = 255
    """Of a repository that is made. Clients refuse longer names."""

    tag_characters: int = 128
    """Of a tag that is set. Spec: distribution-spec v1.1.1, "Pulling manifests"."""

    manifest_references: int = 5_000
    """Blobs and child manifests that one manifest may name."""

    manifest_depth: int = 64
    """Levels of lists and objects in a manifest. Real ones have five."""

    manifest_elements: int = 200_000
    """Values in a manifest, of lists and of objects, all together."""

    blob_bytes: int = 256 * 1024**3
    """One blob, however it is uploaded."""

    open_uploads: int = 1_000
    """Upload sessions that one principal may have open at a time, in all repositories."""

    upload_idle_seconds: int = 24 * 3600
    """An upload to which nothing was added for so long is forgotten."""

    page_entries: int = 1_000
    """Names on one page of a listing, asked for or not; more come by ``Link``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """What clients may hold of one worker before they have asked for anything."""

    most: int = 4096
    """At a time. Beyond it they wait in the socket's queue. Less where fewer files may be open."""

    header_seconds: float = 100.0
    """To the end of the headers of a request, and between two requests of a connection.

    Longer than the 90 s after which clients in Go let go of an idle connection: who closes
    first should be the client, or it may find the connection closed under its next request.
    """

    header_bytes: int = 32 * 1024
    """Of all header lines of one request. The server itself refuses a hundred lines."""
