"""Manifests and indexes: the bytes, and a view of them.

Spec: OCI image-spec v1.1, "Image Manifest" and "Image Index"; Docker "Image
Manifest Version 2, Schema 2". R-OCI-15, R-OCI-17 to R-OCI-20, R-OCI-24.

A document that two readers could take for two things is refused: one with both
``layers`` and ``manifests`` (CVE-2021-41190), one whose ``mediaType`` is not
what it was sent as, one that says a key twice or in another case.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from sealift.errors import SealiftError
from sealift.image.descriptor import (
    Descriptor,
    MalformedDescriptor,
    read_annotations,
    read_media_type,
    refuse_other_spellings,
)
from sealift.image.digest import Digest

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

MANIFEST_TYPES: Final = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)
"""All that we read, in the order of our Accept header (R-OCI-16)."""

INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGE_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
SCHEMA1_TYPES: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)

OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"

OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
FOREIGN_LAYER_TYPES: Final = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)
"""Layers that a registry need not have: their `urls` say where they are. A push may leave them out."""

MAX_MANIFEST_SIZE: Final = 4 * 1024 * 1024
"""Bytes. The least that distribution-spec v1.1.1, "Pushing Manifests", asks us to accept."""


MAX_DEPTH: Final = 64
"""Levels of lists and objects in a manifest. Real ones have five."""

MAX_ELEMENTS: Final = 200_000
"""Values of lists and of objects in a manifest, all together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestBounds:
    """How large a document may be that is read as a manifest."""

    size: int = MAX_MANIFEST_SIZE
    """Bytes."""

    depth: int = MAX_DEPTH
    """Levels of lists and objects."""

    elements: int = MAX_ELEMENTS
    """Values of lists and of objects, all together: read, each takes some sixty bytes of memory."""


BOUNDS: Final = ManifestBounds()
"""Those where nobody sets others."""

_SCHEMA_VERSION = 2
_FOLDED: Final = {
    name.casefold(): name
    for name in (
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "subject",
        "artifactType",
        "annotations",
        "fsLayers",
    )
}
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class MalformedManifest(SealiftError):
    """The bytes are no manifest, or one that could be read in two ways.

    Attributes:
        place: Where in the document, such as ``layers[0].size``; empty for the whole.
        rule: The rule it broke, as a phrase.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, place: str, rule: str, *, hint: str | None = None) -> None:
        super().__init__("this is not a valid manifest", why=f"{place}: {rule}" if place else rule, hint=hint)
        self.place = place
        self.rule = rule


class ManifestTooLarge(MalformedManifest):
    """More bytes than a manifest may have."""


class Schema1Manifest(MalformedManifest):
    """An image in the format of before 2016, which current runtimes do not read either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest or an index, together with the bytes it was read from.

    `body` is the truth: the digest is over it, and it is what we store and
    send. The other fields are a view, and nothing is ever built back from them.
    """

    body: bytes
    media_type: str
    digest: Digest
    """The SHA-256 of `body`."""

    references: tuple[Descriptor, ...]
    """All that the manifest needs to be whole: config and layers, or its manifests.
    Not the subject, which may be missing (R-OCI-20)."""

    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    """What the document itself says; see `listed_artifact_type`."""

    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, body: bytes, media_type: str | None = None, *, bounds: ManifestBounds = BOUNDS) -> Self:
        """Read a manifest that was sent as `media_type`.

        Args:
            body: The bytes, which are kept as they are.
            media_type: The Content-Type, with or without parameters. None
                leaves it to the document: its ``mediaType``, else its shape.
            bounds: How large the document may be.

        Raises:
            ManifestTooLarge: More bytes than `bounds` lets in.
            Schema1Manifest: The old Docker format, whatever it was sent as.
            MalformedManifest: Anything else that is wrong; it says where.
        """
        if len(body) > bounds.size:
            raise ManifestTooLarge("", f"a manifest has at most {bounds.size} bytes")
        sent_as = (media_type or "").partition(";")[0].strip().lower()  # R-OCI-17: parameters say nothing
        if sent_as in SCHEMA1_TYPES:
            raise _schema1()
        document = _decode(body, bounds)
        try:
            kind = _kind(document, sent_as)
            read = _read_index(document) if kind in INDEX_TYPES else _read_image(document)
            return cls(
                body=body,
                media_type=kind,
                digest=Digest.of(body),
                subject=_optional_descriptor(document, "subject"),
                artifact_type=read_media_type(document, "artifactType"),
                annotations=read_annotations(document.get("annotations")),
                **read,
            )
        except MalformedDescriptor as refusal:
            raise MalformedManifest(refusal.place, refusal.rule) from None

    @property
    def is_index(self) -> bool:
        """Whether this lists manifests rather than layers."""
        return self.media_type in INDEX_TYPES

    @property
    def listed_artifact_type(self) -> str | None:
        """What a list of referrers shows: the document's own type, else that of its config (R-OCI-24)."""
        if self.artifact_type is not None or self.config is None:
            return self.artifact_type
        return self.config.media_type


def _kind(document: Mapping[str, Any], sent_as: str) -> str:
    """The media type of the document, which all that is said about it agrees on."""
    refuse_other_spellings(document, _FOLDED)
    version = document.get("schemaVersion")
    said = read_media_type(document, "mediaType")
    if "fsLayers" in document or version == 1 or said in SCHEMA1_TYPES:
        raise _schema1()
    if type(version) is not int or version != _SCHEMA_VERSION:
        raise MalformedManifest("schemaVersion", f"the schema version is the number {_SCHEMA_VERSION}")
    if said is not None and sent_as and said != sent_as:
        raise MalformedManifest("mediaType", f"the document says {said}, and it was sent as {sent_as!a}")
    kind = sent_as or said or (OCI_INDEX if document.get("manifests") is not None else OCI_MANIFEST)
    if kind not in MANIFEST_TYPES:
        raise MalformedManifest(
            "mediaType",
            f"{kind!a} is not a type of manifest",
            hint="send an OCI image manifest or index, or one of Docker's schema 2",
        )
    return kind


def _read_image(document: Mapping[str, Any]) -> dict[str, Any]:
    if document.get("manifests") is not None:
        raise MalformedManifest("manifests", "an image has layers, and only an index has manifests")
    config = _optional_descriptor(document, "config")
    if config is None:
        raise MalformedManifest("config", "an image has a config")
    layers = _descriptors(document, "layers")
    return {"config": config, "layers": layers, "references": (config, *layers)}


def _read_index(document: Mapping[str, Any]) -> dict[str, Any]:
    for place in ("config", "layers"):
        if document.get(place) is not None:
            raise MalformedManifest(place, f"an index has manifests, and only an image has {place}")
    manifests = _descriptors(document, "manifests")
    return {"manifests": manifests, "references": manifests}


def _optional_descriptor(document: Mapping[str, Any], place: str) -> Descriptor | None:
    value = document.get(place)
    return None if value is None else _descriptor(value, place)


def _descriptors(document: Mapping[str, Any], place: str) -> tuple[Descriptor, ...]:
    values = document.get(place)
    if not isinstance(values, list):
        raise MalformedManifest(place, f"{place} is a list of descriptors")
    return tuple(_descriptor(value, f"{place}[{index}]") for index, value in enumerate(values))


def _descriptor(value: object, place: str) -> Descriptor:
    try:
        return Descriptor.from_document(value)
    except MalformedDescriptor as refusal:
        inner = f"{place}.{refusal.place}" if refusal.place else place
        raise MalformedManifest(inner, refusal.rule) from None


def _decode(body: bytes, bounds: ManifestBounds) -> dict[str, Any]:
    """The document as JSON that everyone reads alike, or a refusal."""
    if _has_more_elements(body, bounds.elements):
        raise MalformedManifest("", f"a manifest has at most {bounds.elements} values")
    try:
        document = _DECODER.decode(body.decode())
        if _ESCAPED_SURROGATE.search(body) is not None:
            json.dumps(document, ensure_ascii=False).encode()  # half a pair is no character
    except UnicodeError:
        raise MalformedManifest("", "a manifest is UTF-8") from None
    except (ValueError, RecursionError) as refusal:
        raise MalformedManifest("", f"a manifest is a JSON object: {refusal}") from None
    if not isinstance(document, dict):
        raise MalformedManifest("", "a manifest is a JSON object")
    if body.count(b"{") + body.count(b"[") > bounds.depth and _is_deeper_than(document, bounds.depth):
        raise MalformedManifest("", f"lists and objects are nested more than {bounds.depth} levels deep")
    return document


def _has_more_elements(body: bytes, most: int) -> bool:
    """Whether there are more than `most` values in the lists and objects of a document.

    They are counted before anything is read, by what begins or divides them: a
    document is small beside what becomes of it. Inside a string such a character
    is text, so that strings are taken out where it matters.
    """
    if sum(map(body.count, _DIVIDERS)) <= most:
        return False
    return sum(map(_STRING.sub(b"", body).count, _DIVIDERS)) > most


_DIVIDERS: Final = (b",", b"[", b"{")
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, also one that never ends: it is gone through once, whatever it holds."""


def _is_deeper_than(document: dict[str, Any], levels: int) -> bool:
    """Whether lists and objects are nested beyond `levels`. It goes level by level and never recurses."""
    level: list[Any] = [document]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!a} stands twice")
    return document


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _schema1() -> Schema1Manifest:
    return Schema1Manifest(
        "schemaVersion",
        "this is Docker's image format of before 2016 (schema 1), which containerd does not run either",
        hint="rebuild it and push it again: docker build -t IMAGE . && docker push IMAGE",
    )
