"""The kubelet's keyring: which credentials it has for an image, and in which order.

Pure: credentials go in, credentials come out. A key is a host, perhaps with a
port and the beginning of a path; `*` in a label of the host matches any text.
*All* keys that match give their credentials, and every one of them is tried.

Spec: R-KEY-1 to R-KEY-17, R-PRV-4 (the same matching serves credential providers).
"""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sealift.credentials import go_glob, go_url
from sealift.credentials.credential import Credential
from sealift.image import docker_hub

_SCHEMES: Final = ("https://", "http://")
_VERSION_PATHS: Final = ("/v1/", "/v2/")
_VERSION_LENGTH: Final = 3


@dataclass(frozen=True, slots=True)
class KeyringEntry:
    """A credential, filed under the place where it is valid."""

    location: str
    """Host and path without scheme: what the key became (R-KEY-3)."""

    credential: Credential
    """Its `key` is the key as it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyringIndex:
    """Entries by location, in the order in which the kubelet walks them."""

    locations: Mapping[str, tuple[Credential, ...]] = field(default_factory=dict)
    """Byte order of the locations, descending: a longer path before its beginning (R-KEY-7)."""

    ignored: tuple[Credential, ...] = ()
    """Those whose key is no URL. The kubelet logs a line and goes on (R-KEY-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a keyring has for one image."""

    credentials: tuple[Credential, ...] = ()
    """In the order of trying. Empty means: nothing matched."""

    order_random: bool = False
    """Whether two of them come from one document and one location: the kubelet
    visits a document in random order, we in the byte order of its keys (R-KEY-6)."""

    by_hub_fallback: bool = False
    """Whether nothing matched and the entry for Docker Hub was taken instead (R-KEY-15)."""


@functools.lru_cache(maxsize=8192)
def location_of(key: str) -> str | None:
    """Where an entry under `key` is filed, or None where the kubelet ignores it.

    The scheme goes, if it is one of two and in lower case; so do user info,
    query and fragment, and a path that begins with ``/v1/`` or ``/v2/`` loses
    that (R-KEY-1 to R-KEY-3).
    """
    for scheme in _SCHEMES:
        if key.startswith(scheme):
            key = key.removeprefix(scheme)
            break
    try:
        url = go_url.parse(key)
    except go_url.UnparsableUrl:
        return None
    path = url.path[_VERSION_LENGTH:] if url.path.startswith(_VERSION_PATHS) else url.path
    return url.host if path in {"", "/"} else url.host + path


def build_index(credentials: Iterable[Credential]) -> KeyringIndex:
    """File credentials under their keys.

    Args:
        credentials: In the order of their documents, and within one document in
            the byte order of their keys. Nothing is de-duplicated (R-KEY-5).
    """
    filed: dict[str, list[Credential]] = {}
    ignored: list[Credential] = []
    for credential in credentials:
        location = location_of(credential.key)
        if location is None:
            ignored.append(credential)
        else:
            filed.setdefault(location, []).append(credential)
    descending = sorted(filed, key=_bytes_of, reverse=True)
    return KeyringIndex(
        locations={location: tuple(filed[location]) for location in descending}, ignored=tuple(ignored)
    )


def entries(index: KeyringIndex) -> tuple[KeyringEntry, ...]:
    """Every entry, in the order of the index."""
    return tuple(
        KeyringEntry(location, credential)
        for location, credentials in index.locations.items()
        for credential in credentials
    )


def lookup(index: KeyringIndex, repository_name: str) -> tuple[Credential, ...]:
    """The credentials to try for an image, first one first. Empty means: none matched.

    Args:
        index: A keyring.
        repository_name: Registry and path without tag or digest, as
            `sealift.image.reference.keyring_name` gives it (R-KEY-8).
    """
    return match(index, repository_name).credentials


def match(index: KeyringIndex, repository_name: str) -> Match:
    """Like `lookup`, and how the answer came about (R-KEY-14 to R-KEY-16)."""
    hits = [filed for location, filed in index.locations.items() if urls_match(location, repository_name)]
    fallback = False
    if not hits and is_docker_hub_name(repository_name):
        filed = index.locations.get(docker_hub.LEGACY_DOMAIN)
        if filed is not None:
            hits, fallback = [filed], True
    return Match(
        credentials=tuple(credential for filed in hits for credential in filed),
        order_random=any(_comes_from_one_document(filed) for filed in hits),
        by_hub_fallback=fallback,
    )


def _comes_from_one_document(filed: Sequence[Credential]) -> bool:
    """Whether one source gave two of these; a Secret that is listed twice gives each key twice."""
    if len(filed) == 1:
        return False
    keys: dict[object, str] = {}
    return any(keys.setdefault(item.source, item.key) != item.key for item in filed)


def urls_match(pattern: str, target: str) -> bool:
    """Whether an entry at `pattern` serves `target`; both without a scheme.

    Ports must be the same text, hosts must have as many labels, each label is
    matched as a glob, and the path of `target` must begin with that of `pattern`,
    wherever that ends (R-KEY-9 to R-KEY-13). What cannot be parsed matches nothing.
    """
    wanted = _take_apart(pattern)
    actual = _take_apart(target)
    if wanted is None or actual is None:
        return False
    if wanted.port != actual.port or len(wanted.labels) != len(actual.labels):
        return False
    if not actual.path.startswith(wanted.path):
        return False
    try:
        return all(map(_label_matches, wanted.labels, actual.labels))
    except go_glob.BadPattern:
        return False


def _label_matches(pattern: str, label: str) -> bool:
    # Most labels are no pattern, and a keyring compares very many of them.
    if pattern == label:
        return "[" not in pattern and "\\" not in pattern
    return ("*" in pattern or "[" in pattern or "?" in pattern or "\\" in pattern) and go_glob.matches(
        pattern, label
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    labels: tuple[str, ...]
    port: str
    path: str


@functools.lru_cache(maxsize=8192)
def _take_apart(location: str) -> _Parts | None:
    try:
        url = go_url.parse(location)
    except go_url.UnparsableUrl:
        return None
    host, port = go_url.split_port(url.host)
    return _Parts(tuple(host.split(".")), port, url.path)


def is_docker_hub_name(repository_name: str) -> bool:
    """Whether the kubelet takes an image for one of Docker Hub, by the text before the first slash.

    It does so for ``localhost/x`` too, and for ``Example/x``: neither has a dot
    or a colon there (R-KEY-16).
    """
    registry, slash, _ = repository_name.partition("/")
    if not registry:
        return False
    if not slash or registry in {docker_hub.DOMAIN, docker_hub.LEGACY_DOMAIN}:
        return True
    return "." not in registry and ":" not in registry


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_USER_PASSWORD = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/@:]*):[^/]*@")


def shown_key(key: str) -> str:
    """A key as it may be printed: a password that somebody wrote into it is masked.

    The kubelet discards user information in a key, and uses it for nothing (R-KEY-2).
    """
    return _USER_PASSWORD.sub(r"\1:***@", key)
