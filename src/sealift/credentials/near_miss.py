"""Why a key does not serve an image that it looks made for.

A key that has nothing to do with the image has no answer here; a key that names
the same registry, or nearly, gets one phrase per difference. Only keys that do
not match are worth asking about.

Spec: R-KEY-1 to R-KEY-17.
"""

import functools
import re
from dataclasses import dataclass
from typing import Final

from sealift.credentials import go_glob
from sealift.credentials.keyring import is_docker_hub_name, location_of, urls_match
from sealift.image import docker_hub

_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_TAG = re.compile(r":[A-Za-z0-9_][A-Za-z0-9_.-]*$", re.ASCII)
_NUMBER = re.compile(r"[0-9]+")
_QUOTES: Final = "\"'"
_HUB_HOSTS: Final = docker_hub.HOSTS | {
    "hub.docker.com", "registry.docker.io", "auth.docker.io", "registry.hub.docker.com", "cloud.docker.com",
}  # fmt: skip
"""Hosts that people write when they mean Docker Hub. The kubelet knows two of them."""

_MAX_TYPO: Final = 2
"""Letters by which two hosts may differ and still be taken for one another."""

_MIN_TYPO_LENGTH: Final = 8
"""Characters of a host below which a letter or two is no typing error: gcr.io is not ghcr.io."""


@dataclass(frozen=True, slots=True)
class _Loose:
    """A key or image name, read as a person would read it."""

    scheme: str
    host: str
    port: str
    path: str


def why_not(key: str, repository_name: str, *, is_served: bool = False) -> str | None:
    """What keeps `key` from serving an image, or None where it is about something else altogether.

    Args:
        key: A key that does not match, as it is written.
        repository_name: Registry and path of the image, without tag and digest.
        is_served: Whether another key serves the image. Then a key for a place
            like it is taken for what it says: many Secrets hold one key a team,
            or one a region.
    """
    written = _read(key.strip().strip(_QUOTES))
    image = _read(repository_name)
    spelling = _spelling(key, written)
    if _is_hub(repository_name) and written.host.lower() in _HUB_HOSTS:
        if is_served and _why_not_path(written, image) == _another_path(written, image):
            return None
        return _in_one(spelling, _why_not_hub(written, repository_name, well_spelt=spelling is None))
    host = _why_not_host(written, image)
    if host is None:
        return None
    port, path = _why_not_port(written, image), _why_not_path(written, image)
    if is_served and (_is_another_host(written, image) or path == _another_path(written, image)):
        return None
    return _in_one(spelling, host, port, path)


def _is_another_host(written: _Loose, image: _Loose) -> bool:
    """Whether the two name hosts that a person would tell apart. 443 is the port that is left out."""
    same_port = (written.port or "443") == (image.port or "443")
    return not same_port or written.host.lower().rstrip(".") != image.host.lower()


@functools.lru_cache(maxsize=8192)
def _read(text: str) -> _Loose:
    found = _SCHEME.match(text)
    scheme = found[0] if found else ""
    authority, slash, path = text[len(scheme) :].partition("/")
    host = authority.rpartition("@")[2]
    end = host.find("]") + 1
    if host.startswith("[") and host[end : end + 1] in {"", ":"}:
        name, port = host[:end], host[end + 1 :]
    else:
        name, _, port = host.partition(":")
    return _Loose(scheme, name, port, slash + path)


def _is_hub(repository_name: str) -> bool:
    return repository_name.startswith(f"{docker_hub.DOMAIN}/")


def _in_one(*reasons: str | None) -> str | None:
    """The reasons that there are, as one sentence without its full stop."""
    return "; ".join(reason for reason in reasons if reason) or None


def _spelling(key: str, written: _Loose) -> str | None:
    """What is wrong with the text itself, whatever it names."""
    if key != key.strip():
        return "there is white space around the key, so it is no URL and the kubelet ignores it"
    if key[:1] in _QUOTES or key[-1:] in _QUOTES:
        return "there are quotes around the key, and they count as part of it"
    scheme = written.scheme
    if scheme and scheme not in {"https://", "http://"}:
        if scheme.lower() in {"https://", "http://"}:
            return f"the scheme {scheme} must be lower case, or left out"
        return f"{scheme} is no scheme that the kubelet takes off: leave it out"
    return None


def _why_not_hub(written: _Loose, repository_name: str, *, well_spelt: bool) -> str | None:
    """A key with a name of Docker Hub, for an image of Docker Hub."""
    host = written.host
    if host.lower() in _HUB_HOSTS and host != host.lower():
        return f"the host {host} must be lower case"
    if written.port:
        return f"with the port :{written.port} it does not mean Docker Hub"
    if host not in {docker_hub.DOMAIN, docker_hub.LEGACY_DOMAIN}:
        return f"the kubelet does not know Docker Hub as {host}, but as {docker_hub.CREDENTIAL_KEY}"
    if written.path in {"/v1", "/v2"}:
        return _no_slash(written.path)
    if host == docker_hub.LEGACY_DOMAIN and location_of(host + written.path) == host:
        fallback = "the kubelet uses the Docker Hub key only where no other key matches, and another one does"
        return fallback if well_spelt else None
    if host == docker_hub.LEGACY_DOMAIN:
        return f"a path under {host} never serves an image of Docker Hub; {docker_hub.CREDENTIAL_KEY} does"
    return _why_not_path(written, _read(repository_name))


def _why_not_host(written: _Loose, image: _Loose) -> str | None:
    """How the host differs, "" where it does not, None where it is another registry."""
    host, wanted = written.host, image.host
    if host == wanted:
        return ""
    if not host:
        return None
    if host.lower() == wanted.lower():
        return f"upper and lower case count: the image says {wanted}"
    if host.rstrip(".") == wanted:
        return "the dot at the end of the host counts"
    if "*" in host or "?" in host or "[" in host:
        return _why_not_pattern(written, image)
    if wanted.endswith(f".{host}") or host.endswith(f".{wanted}"):
        return f"{host} is another host than {wanted}"
    if _is_misspelt(host.lower(), wanted.lower()):
        return f"{host} is spelt almost like {wanted}"
    return None


@functools.lru_cache(maxsize=8192)
def _is_misspelt(host: str, wanted: str) -> bool:
    """Whether one is the other with a slip of the fingers. Hosts that differ in numbers are numbered."""
    return (
        min(len(host), len(wanted)) >= _MIN_TYPO_LENGTH
        and _NUMBER.sub("0", host) != _NUMBER.sub("0", wanted)
        and nearly_equal(host, wanted, _MAX_TYPO)
    )


def _why_not_pattern(written: _Loose, image: _Loose) -> str | None:
    """A host with wildcards: which of their rules is in the way."""
    host, wanted = written.host, image.host
    if "[" in host or "?" in host:
        try:
            hit = go_glob.matches(host, wanted)
        except go_glob.BadPattern:
            hit = False
        return "only * is a wildcard in a key; ? and [ ] are read as parts of a URL" if hit else None
    if urls_match(host, wanted):
        return ""
    labels, wanted_labels = host.count(".") + 1, wanted.count(".") + 1
    tail = host.rpartition("*")[2]
    if labels != wanted_labels and tail and wanted.endswith(tail):
        return (
            f"* stands for one label: the pattern has {labels} {_labels(labels)}"
            f" and {wanted} has {wanted_labels}"
        )
    if tail == f".{wanted}":
        return f"{host} does not match {wanted} itself"
    if host == "*" and labels != wanted_labels:
        return f"* alone matches hosts of one label only, and {wanted} has {wanted_labels}"
    return None


def _labels(count: int) -> str:
    return "label" if count == 1 else "labels"


def _why_not_port(written: _Loose, image: _Loose) -> str | None:
    if written.port == image.port:
        return None
    if not image.port:
        hint = ", the default port too" if written.port == "443" else ""
        return f"the key has the port :{written.port} and the image has none: a port counts as written{hint}"
    if not written.port:
        return f"the image has the port :{image.port} and the key has none"
    return f"the key has the port :{written.port} and the image has :{image.port}"


def _why_not_path(written: _Loose, image: _Loose) -> str | None:
    """How the path differs; None where it does not."""
    path, wanted = written.path, image.path
    if path in {"", "/"}:
        return None
    if path in {"/v1", "/v2"}:
        return _no_slash(path)
    bare = _bare(path)
    if bare == "/" or wanted.startswith(bare):
        return None
    if "*" in bare or "?" in bare:
        return "a wildcard is not read in a path: a path is taken as the beginning of the image's"
    tagless = _TAG.sub("", bare.partition("@")[0])
    if tagless != bare and wanted.startswith(tagless):
        return "a key cannot name a tag or a digest"
    if bare.endswith("/") and wanted == bare.rstrip("/"):
        return "the slash at the end makes it serve only what lies below"
    if "//" in bare and wanted.startswith(re.sub("//+", "/", bare)):
        return "the doubled slash counts"
    if wanted.lower().startswith(bare.lower()):
        return "upper and lower case count in the path"
    return _another_path(written, image)


def _another_path(written: _Loose, image: _Loose) -> str:
    return f"the path {_bare(written.path)} is not the beginning of {image.path}"


def _bare(path: str) -> str:
    return path[3:] if path.startswith(("/v1/", "/v2/")) else path


def _no_slash(path: str) -> str:
    return f"the path {path} has no trailing slash, so the kubelet reads it as a repository prefix"


def nearly_equal(one: str, other: str, edits: int) -> bool:
    """Whether at most `edits` letters have to be changed, inserted or left out to make one of the other.

    Time grows with three to the power of `edits`, so that is a small number.
    """
    if abs(len(one) - len(other)) > edits:
        return False
    start = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        start += 1
    one, other = one[start:], other[start:]
    if not one or not other:
        return True  # what is left is no longer than `edits`
    return edits > 0 and (
        nearly_equal(one[1:], other[1:], edits - 1)
        or nearly_equal(one[1:], other, edits - 1)
        or nearly_equal(one, other[1:], edits - 1)
    )


def sends_hub_credential(repository_name: str) -> bool:
    """Whether the kubelet hands Docker Hub's credential to a registry that is not Docker Hub.

    It does for a host without dot and port, such as ``localhost`` (R-KEY-16).
    """
    return is_docker_hub_name(repository_name) and not _is_hub(repository_name)
