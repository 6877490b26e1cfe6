"""Descriptors: kind, digest and size of some content, before one has fetched it.

Spec: OCI image-spec v1.1, "Content Descriptors".
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from sealift.errors import SealiftError
from sealift.image.digest import Digest, MalformedDigest
from sealift.image.platform import MalformedPlatform, Platform

MAX_SIZE: Final = 2**63 - 1
"""Bytes. What every other reader of the same document can hold in its integer."""

_MEDIA_TYPE = re.compile(r"[!-~][ -~]{0,254}", re.ASCII)
"""Not RFC 6838 to the letter: fit for a header, which is what a store must insist on."""

FIELDS: Final = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"}
)
"""The properties of a descriptor that the specification names."""

_FOLDED: Final = {name.casefold(): name for name in FIELDS}


class MalformedDescriptor(SealiftError):
    """The object does not describe content.

    Attributes:
        place: The property that is wrong, such as ``size``; empty for the whole object.
        rule: What it should have been, as a phrase.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, place: str, rule: str) -> None:
        super().__init__(f"{place}: {rule}" if place else rule)
        self.place = place
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What some content is, how long it is, and the digest to ask for it by."""

    media_type: str
    digest: Digest
    size: int
    """Bytes."""

    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    """Where else the content may be had. Other people's words: no credential goes there."""

    data: bytes | None = None
    """The content itself, where it was embedded; `from_document` has checked it."""

    @classmethod
    def from_document(cls, document: object) -> Self:
        """Read a descriptor out of decoded JSON.

        Raises:
            MalformedDescriptor: A property is missing, of the wrong type, or
                spelled so that other readers would read something else.
        """
        if not isinstance(document, dict):
            raise MalformedDescriptor("", "a descriptor is an object")
        refuse_other_spellings(document, _FOLDED)
        size = document.get("size")
        if type(size) is not int or not 0 <= size <= MAX_SIZE:  # bool is an int, and no size
            raise MalformedDescriptor("size", "a size is a whole number of bytes, from 0 to 2^63-1")
        digest_text = document.get("digest")
        if not isinstance(digest_text, str):
            raise MalformedDescriptor("digest", "a descriptor has a digest")
        try:
            digest = Digest.parse(digest_text)
        except MalformedDigest as refusal:
            raise MalformedDescriptor("digest", f"{refusal}: {refusal.rule}") from None
        media_type = read_media_type(document, "mediaType")
        if media_type is None:
            raise MalformedDescriptor("mediaType", "a descriptor has a media type")
        return cls(
            media_type,
            digest,
            size,
            read_annotations(document.get("annotations")),
            read_media_type(document, "artifactType"),
            _platform(document.get("platform")),
            _urls(document.get("urls")),
            _embedded(document.get("data"), digest, size),
        )

    def to_document(self) -> dict[str, Any]:
        """The descriptor as an object for JSON, without the properties that are not set."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.urls:
            document["urls"] = list(self.urls)
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        if self.data is not None:
            document["data"] = base64.b64encode(self.data).decode()
        if self.platform is not None:
            document["platform"] = self.platform.to_document()
        if self.artifact_type is not None:
            document["artifactType"] = self.artifact_type
        return document


def refuse_other_spellings(document: Mapping[str, Any], known: Mapping[str, str]) -> None:
    """Refuse keys that only differ in case from one that we know.

    Readers written in Go take ``Layers`` for ``layers`` (R-PY-3), so that such a
    document would mean one thing to us and another to the node (the class of
    CVE-2021-41190).

    Args:
        document: The object whose keys are looked at.
        known: Case-folded name to the one right spelling.

    Raises:
        MalformedDescriptor: There is such a key.
    """
    for key in document:
        right = known.get(key.casefold())
        if right is not None and right != key:
            raise MalformedDescriptor(right, f"the key is spelled {key!a}, which others read as {right}")


def read_annotations(value: object) -> dict[str, str]:
    """An ``annotations`` object. None reads as empty.

    Raises:
        MalformedDescriptor: It is not an object of strings.
    """
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise MalformedDescriptor("annotations", "annotations are an object whose values are strings")
    return value


def read_media_type(document: Mapping[str, Any], key: str) -> str | None:
    """The media type under `key`. Absent, null and empty are all None.

    Raises:
        MalformedDescriptor: It is not a text that fits into a header.
    """
    value = document.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or _MEDIA_TYPE.fullmatch(value) is None:
        raise MalformedDescriptor(key, "a media type is 1 to 255 printable ASCII characters")
    return value


def _platform(value: object) -> Platform | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedDescriptor("platform", "a platform is an object")
    try:
        return Platform.from_document(value)
    except MalformedPlatform as refusal:
        raise MalformedDescriptor("platform", str(refusal)) from None


def _urls(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise MalformedDescriptor("urls", "urls are a list of strings")
    return tuple(value)


def _embedded(value: object, digest: Digest, size: int) -> bytes | None:
    """Spec: image-spec, "Embedded Content": it must be checked before it is used."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise MalformedDescriptor("data", "embedded data is a base64 string")
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise MalformedDescriptor("data", "embedded data is a base64 string") from None
    if len(data) != size or Digest.of(data, digest.algorithm) != digest:
        raise MalformedDescriptor("data", "the embedded data is not what size and digest say")
    return data
