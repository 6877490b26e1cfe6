"""What clients that tests cannot have ask of a registry, request by request, and a replay of it.

helm's requests are a recording of helm 4.3 with `tests.peers.relay`; the
others are read from the sources of go-containerregistry (crane, cosign), of
cosign 2 and 3, and of BuildKit with containerd's pusher. Each client takes a
``Location`` as it comes and adds the digest to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from tests.conformance.registry_socket import INDEX, MANIFEST, OCTETS, Reply, Repository, digest_of

_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
_SCHEMA2: Final = "application/vnd.docker.distribution.manifest.v2+json"
_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"

ORAS: Final = {
    "accept": f"{_SCHEMA2}, {_LIST}, {MANIFEST}, {INDEX}, application/vnd.oci.artifact.manifest.v1+json"
}
CRANE: Final = {
    "accept": f"{_SCHEMA1},application/vnd.docker.distribution.manifest.v1+prettyjws,"
    f"{_SCHEMA2},{MANIFEST},{_LIST},{INDEX}"
}
RESOLVER: Final = {"accept": f"{_SCHEMA2}, {_LIST}, {MANIFEST}, {INDEX}, */*"}
"""containerd's, and BuildKit's with it."""

JSON: Final = {"content-type": "application/json"}
"""go-containerregistry sends it with an upload that it starts, and no body."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Names in braces stand for digests of contents, for tags, and for locations."""

    method: str
    target: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    sends: str = ""
    """The content that is its body."""

    gives: str = ""
    """The content that the answer's body has to be."""

    location: str = ""
    """What the answer's Location is called from here on."""

    has: Mapping[str, str] = field(default_factory=dict)
    """Headers of the answer."""


def oras_blob(name: str) -> list[Ask]:
    """A blob as helm and oras send it: one PUT."""
    return [
        Ask("HEAD", f"blobs/{{{name}}}", 404),
        Ask("POST", "blobs/uploads/", 202, location="upload"),
        Ask("PUT", f"{{upload}} {name}", 201, OCTETS, sends=name),
    ]


def crane_blob(name: str) -> list[Ask]:
    """A blob as crane and cosign send it: all in one PATCH, then an empty PUT."""
    return [
        Ask("HEAD", f"blobs/{{{name}}}", 404),
        Ask("POST", "blobs/uploads/", 202, JSON, location="upload"),
        Ask("PATCH", "{upload}", 202, OCTETS, sends=name, location="upload"),
        Ask("PUT", f"{{upload}} {name}", 201, OCTETS),
    ]


def buildkit_blob(name: str, media_type: str) -> list[Ask]:
    """A blob as containerd's pusher sends it."""
    return [
        Ask("HEAD", f"blobs/{{{name}}}", 404, {"accept": f"{media_type}, */*"}),
        Ask("POST", "blobs/uploads/", 202, location="upload"),
        Ask("PUT", f"{{upload}} {name}", 201, OCTETS, sends=name),
    ]


def pushed(
    name: str, reference: str, media_type: str = MANIFEST, has: Mapping[str, str] | None = None
) -> Ask:
    """A manifest that is put."""
    return Ask("PUT", f"manifests/{reference}", 201, {"content-type": media_type}, sends=name, has=has or {})


def replay(repository: Repository, asks: Sequence[Ask], contents: Mapping[str, bytes]) -> list[Reply]:
    """Send the requests one by one, and hold each answer against what it should be."""
    names = {name: digest_of(content) for name, content in contents.items()}
    replies = []
    for ask in asks:
        target, _, digest = ask.target.partition(" ")
        target = target.format_map(names)
        if digest:
            target += f"{'&' if '?' in target else '?'}digest={quote(names[digest], safe='')}"
        body = contents[ask.sends] if ask.sends else b"" if ask.method in {"POST", "PUT", "PATCH"} else None
        reply = repository.ask(ask.method, target, headers=ask.headers, body=body)
        assert reply.status == ask.status, (ask, reply)
        assert {name: reply.headers.get(name) for name in ask.has} == {
            name: value.format_map(names) for name, value in ask.has.items()
        }
        if ask.gives:
            assert reply.body == contents[ask.gives], ask
        if ask.location:
            names[ask.location] = reply.headers["location"]
            assert names[ask.location].startswith("/v2/"), "verbatim, and relative to the same registry"
        replies.append(reply)
    return replies
