"""The endpoints of the registry protocol: which one a path is, and the paths built.

Spec: distribution-spec v1.1.1, "Endpoints" (end-1 to end-13), and end-14 of
the unreleased main branch. The grammar of names, tags and digests is applied
here and nowhere else: what `match` lets through is well-formed, and a name can
be a part of a file name, a log line or a header.

Paths are matched as they were sent, from the right: the last two segments
decide, so that a repository may be called ``a/manifests/b``.
"""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlencode

from sealift.image.digest import Digest
from sealift.image.reference_grammar import MAX_PATH_LENGTH as MAX_NAME_LENGTH
from sealift.image.reference_grammar import is_path, is_tag
from sealift.protocol.error_codes import ErrorCode

MAX_PATH_LENGTH: Final = 1024
"""Bytes of a path that can be one of ours: a name, a digest of sha512, and the words between."""

_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|sha384:[0-9a-f]{96})", re.ASCII)
_UPLOAD_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.=-]{0,127}", re.ASCII)
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%2[Ff]", re.ASCII)


class Endpoint(Enum):
    """One line of the specification's table, by what it is for."""

    BASE = auto()
    """end-1"""
    GET_BLOB = auto()
    """end-2, GET and HEAD"""
    GET_MANIFEST = auto()
    """end-3, GET and HEAD"""
    START_UPLOAD = auto()
    """end-4a, end-4b, end-11"""
    SEND_CHUNK = auto()
    """end-5"""
    FINISH_UPLOAD = auto()
    """end-6"""
    PUT_MANIFEST = auto()
    """end-7"""
    LIST_TAGS = auto()
    """end-8"""
    DELETE_MANIFEST = auto()
    """end-9, of a tag or of a digest"""
    DELETE_BLOB = auto()
    """end-10"""
    LIST_REFERRERS = auto()
    """end-12"""
    UPLOAD_STATUS = auto()
    """end-13"""
    CANCEL_UPLOAD = auto()
    """end-14"""
    LIST_REPOSITORIES = auto()
    """``/v2/_catalog``, which is distribution's and not in the specification"""


class Match(NamedTuple):
    """An endpoint and the well-formed parts of its path. A part that it does not have is empty."""

    endpoint: Endpoint
    name: str = ""
    reference: str = ""
    """A tag, or a digest: it is one if it holds a colon (R-OCI-1)."""

    digest: str = ""
    """Where the path holds a digest, also as `reference`."""

    upload_id: str = ""

    @property
    def parts(self) -> dict[str, str]:
        """The parts that are there, under the names of the fields."""
        parts = {"name": self.name} if self.name else {}
        if self.reference:
            parts["reference"] = self.reference
        if self.digest:
            parts["digest"] = self.digest
        if self.upload_id:
            parts["upload_id"] = self.upload_id
        return parts


class NoRoute(NamedTuple):
    """No endpoint has such a path: status 404."""


class MethodNotAllowed(NamedTuple):
    """The path is an endpoint's, the method is not: status 405."""

    allowed: tuple[str, ...]
    """For the ``Allow`` header."""


class BadPath(NamedTuple):
    """The path is an endpoint's, but for a name, tag or digest that is none."""

    code: ErrorCode
    message: str
    status: int


Outcome = Match | NoRoute | MethodNotAllowed | BadPath
"""What `match` finds."""

_ROOT_LENGTH: Final = len("/v2/")
_NO_ROUTE: Final = NoRoute()

_MANIFESTS: Final = {
    "GET": Endpoint.GET_MANIFEST,
    "HEAD": Endpoint.GET_MANIFEST,
    "PUT": Endpoint.PUT_MANIFEST,
    "DELETE": Endpoint.DELETE_MANIFEST,
}
_BLOBS: Final = {"GET": Endpoint.GET_BLOB, "HEAD": Endpoint.GET_BLOB, "DELETE": Endpoint.DELETE_BLOB}
_UPLOAD: Final = {
    "GET": Endpoint.UPLOAD_STATUS,
    "HEAD": Endpoint.UPLOAD_STATUS,
    "PATCH": Endpoint.SEND_CHUNK,
    "PUT": Endpoint.FINISH_UPLOAD,
    "DELETE": Endpoint.CANCEL_UPLOAD,
}
_UPLOADS: Final = {"POST": Endpoint.START_UPLOAD}
_TAGS: Final = {"GET": Endpoint.LIST_TAGS, "HEAD": Endpoint.LIST_TAGS}
_REFERRERS: Final = {"GET": Endpoint.LIST_REFERRERS, "HEAD": Endpoint.LIST_REFERRERS}
_BASE: Final = {"GET": Endpoint.BASE, "HEAD": Endpoint.BASE}
_CATALOG: Final = {"GET": Endpoint.LIST_REPOSITORIES, "HEAD": Endpoint.LIST_REPOSITORIES}


def match(method: str, raw_path: str) -> Outcome:
    """Which endpoint a request is for.

    Args:
        method: As sent. Methods are upper case.
        raw_path: The path as sent, percent escapes and all, without the query.
            An escape is read as the character it stands for, but never as a
            slash, and never twice.
    """
    path = raw_path
    if "%" in path:
        decoded = _decode(path)
        if decoded is None:
            return BadPath(ErrorCode.NAME_INVALID, "the path has an escape that stands for nothing here", 400)
        path = decoded
    if not path.startswith("/v2/"):
        return _unnamed(method, _BASE) if path == "/v2" else _NO_ROUTE
    if len(path) > MAX_PATH_LENGTH:
        return BadPath(ErrorCode.NAME_INVALID, "the path is longer than any of ours", 400)
    head, _, last = path.rpartition("/")
    head, _, kind = head.rpartition("/")
    read = _KINDS.get(kind)
    if read is not None:
        return read(method, head[_ROOT_LENGTH:], last)
    if path == "/v2/":
        return _unnamed(method, _BASE)
    return _unnamed(method, _CATALOG) if path == "/v2/_catalog" else _NO_ROUTE


def _manifest(method: str, name: str, reference: str) -> Outcome:
    endpoint = _MANIFESTS.get(method)
    if endpoint is None:
        return _method_not_allowed(_MANIFESTS)
    if not is_name(name):
        return _bad_name()
    if ":" in reference:
        if _DIGEST.fullmatch(reference) is None:
            return _bad_digest()
        return Match(endpoint, name, reference, reference)
    if not is_tag(reference):
        # What cannot be a tag does not exist, and distribution-spec's own suite expects that to be a 404.
        if endpoint is Endpoint.PUT_MANIFEST:
            return BadPath(ErrorCode.TAG_INVALID, "a tag is 1 to 128 letters, digits, '_', '.' and '-'", 400)
        return BadPath(ErrorCode.MANIFEST_UNKNOWN, "no such manifest: that is not a tag", 404)
    return Match(endpoint, name, reference)


def _blob(method: str, name: str, digest: str) -> Outcome:
    if digest == "uploads":
        return _named(method, name, _UPLOADS)
    return _by_digest(method, name, digest, _BLOBS)


def _referrers(method: str, name: str, digest: str) -> Outcome:
    return _by_digest(method, name, digest, _REFERRERS)


def _by_digest(method: str, name: str, digest: str, endpoints: dict[str, Endpoint]) -> Outcome:
    endpoint = endpoints.get(method)
    if endpoint is None:
        return _method_not_allowed(endpoints)
    if not is_name(name):
        return _bad_name()
    if _DIGEST.fullmatch(digest) is None:
        return _bad_digest()
    return Match(endpoint, name, "", digest)


def _upload(method: str, name_and_blobs: str, upload_id: str) -> Outcome:
    name, _, blobs = name_and_blobs.rpartition("/")
    if blobs != "blobs":
        return _NO_ROUTE
    if not upload_id:
        return _named(method, name, _UPLOADS)
    endpoint = _UPLOAD.get(method)
    if endpoint is None:
        return _method_not_allowed(_UPLOAD)
    if not is_name(name):
        return _bad_name()
    if _UPLOAD_ID.fullmatch(upload_id) is None:
        return BadPath(ErrorCode.BLOB_UPLOAD_UNKNOWN, "no such upload", 404)
    return Match(endpoint, name, "", "", upload_id)


def _tags(method: str, name: str, last: str) -> Outcome:
    return _named(method, name, _TAGS) if last == "list" else _NO_ROUTE


def _named(method: str, name: str, endpoints: dict[str, Endpoint]) -> Outcome:
    endpoint = endpoints.get(method)
    if endpoint is None:
        return _method_not_allowed(endpoints)
    return Match(endpoint, name) if is_name(name) else _bad_name()


def _unnamed(method: str, endpoints: dict[str, Endpoint]) -> Outcome:
    endpoint = endpoints.get(method)
    return _method_not_allowed(endpoints) if endpoint is None else Match(endpoint)


_KINDS: Final[dict[str, Callable[[str, str, str], Outcome]]] = {
    "manifests": _manifest,
    "blobs": _blob,
    "uploads": _upload,
    "tags": _tags,
    "referrers": _referrers,
}
"""The last segment but one, and what reads such a path: method, all before it, the last segment."""


def is_name(text: str) -> bool:
    """Whether `text` is a ``<name>``: a repository's path of at most 255 bytes (R-OCI-1)."""
    return len(text) <= MAX_NAME_LENGTH and is_path(text)


def _decode(path: str) -> str | None:
    """The path with its escapes read once, or None where one is broken or stands for a slash."""
    if _ESCAPE.search(path) is not None:
        return None
    return unquote_to_bytes(path).decode("latin-1")


def _method_not_allowed(endpoints: dict[str, Endpoint]) -> MethodNotAllowed:
    return MethodNotAllowed(tuple(endpoints))


def _bad_name() -> BadPath:
    return BadPath(
        ErrorCode.NAME_INVALID,
        "a repository is at most 255 lower-case letters and digits, with '.', '_', '__', '-' or '/' between",
        400,
    )


def _bad_digest() -> BadPath:
    return BadPath(
        ErrorCode.DIGEST_INVALID,
        "a digest is sha256:, sha384: or sha512: and its lower-case hexadecimal digits",
        400,
    )


def manifest_path(name: str, reference: str | Digest) -> str:
    """The path of a manifest, by tag or digest (end-3, end-7, end-9)."""
    return f"/v2/{quote(name)}/manifests/{quote(str(reference), safe=':')}"


def blob_path(name: str, digest: Digest) -> str:
    """The path of a blob (end-2, end-10)."""
    return f"/v2/{quote(name)}/blobs/{digest}"


def uploads_path(
    name: str, *, digest: Digest | None = None, mount: Digest | None = None, source: str | None = None
) -> str:
    """The path that starts an upload (end-4a).

    Args:
        name: The repository.
        digest: The blob is in this very request (end-4b).
        mount: The blob to be taken over from another repository (end-11).
        source: That repository; without it the registry looks for one.
    """
    query: dict[str, str] = {}
    if digest is not None:
        query["digest"] = str(digest)
    if mount is not None:
        query["mount"] = str(mount)
        if source is not None:
            query["from"] = source
    return _with_query(f"/v2/{quote(name)}/blobs/uploads/", query)


def upload_path(name: str, upload_id: str) -> str:
    """The path of an upload, for the registry that made the id (end-5, end-6, end-13, end-14)."""
    return f"/v2/{quote(name)}/blobs/uploads/{quote(upload_id, safe='')}"


def tags_path(name: str, *, n: int | None = None, last: str = "") -> str:
    """The path of a repository's tags, or of one page of them (end-8)."""
    return _with_query(f"/v2/{quote(name)}/tags/list", _page_query(n, last))


def catalog_path(*, n: int | None = None, last: str = "") -> str:
    """The path of the list of repositories, or of one page of it."""
    return _with_query("/v2/_catalog", _page_query(n, last))


def referrers_path(name: str, digest: Digest, *, artifact_type: str | None = None) -> str:
    """The path of what refers to a manifest (end-12)."""
    query = {} if artifact_type is None else {"artifactType": artifact_type}
    return _with_query(f"/v2/{quote(name)}/referrers/{digest}", query)


def referrers_tag(digest: Digest | str) -> str:
    """The tag that lists what refers to a manifest where a registry has no referrers endpoint (R-OCI-25).

    Spec: distribution-spec v1.1.1, "Referrers Tag Schema".
    """
    algorithm, _, encoded = str(digest).partition(":")
    return _NOT_IN_TAG.sub("-", f"{algorithm[:32]}-{encoded[:64]}")


def _page_query(n: int | None, last: str) -> dict[str, str]:
    query = {} if n is None else {"n": str(n)}
    return {**query, "last": last} if last else query


def _with_query(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote, safe=':')}" if query else path
