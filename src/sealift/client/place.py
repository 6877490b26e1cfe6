"""Where an image is or shall be: a registry, a layout on disk, or an archive.

The spelling is skopeo's and podman's, so that nobody learns a new one.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sealift.errors import SealiftError
from sealift.image.reference import ImageReference, without_password
from sealift.image.reference_grammar import is_tag
from sealift.transport.redaction import printable

MAX_SHOWN = 200
"""Characters of a text that an error repeats."""

_WRITTEN = {
    "oci": "oci:DIR[:TAG]",
    "oci-archive": "oci-archive:FILE",
    "docker-archive": "docker-archive:FILE",
    "docker": "docker://IMAGE",
}
FORMS = "oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or docker://IMAGE"

_TRANSPORT = re.compile(r"([a-z-]+):(.*)", re.DOTALL)


class MalformedPlace(SealiftError):
    """The text names no place that an image can be in."""

    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class RegistryPlace:
    """``docker://IMAGE``."""

    reference: ImageReference

    def __str__(self) -> str:
        return f"docker://{self.reference}"


@dataclass(frozen=True, slots=True)
class LayoutPlace:
    """``oci:DIR[:TAG]``."""

    directory: Path
    tag: str | None = None

    def __str__(self) -> str:
        return f"oci:{self.directory}:{self.tag}" if self.tag is not None else f"oci:{self.directory}"


@dataclass(frozen=True, slots=True)
class OciArchivePlace:
    """``oci-archive:FILE``: a layout in a tar file."""

    file: Path

    def __str__(self) -> str:
        return f"oci-archive:{self.file}"


@dataclass(frozen=True, slots=True)
class DockerArchivePlace:
    """``docker-archive:FILE``: what ``docker save`` writes and ``docker load`` reads."""

    file: Path

    def __str__(self) -> str:
        return f"docker-archive:{self.file}"


Place = RegistryPlace | LayoutPlace | OciArchivePlace | DockerArchivePlace


def parse_place(text: str) -> Place:
    """Read a place.

    ``oci:DIR:TAG`` is split at the last colon, and only where what follows can
    be a tag: a directory may have colons in its name.

    Raises:
        MalformedPlace: it is none.
        MalformedReference: what follows ``docker://`` is no image name.
    """
    match = _TRANSPORT.fullmatch(text)
    transport, rest = (match[1], match[2]) if match else ("", "")
    if transport == "docker" and rest.startswith("//"):
        return RegistryPlace(ImageReference.parse(rest[2:]))
    if not rest or "\0" in rest or transport not in {"oci", "oci-archive", "docker-archive"}:
        shown = printable(without_password(text), MAX_SHOWN)
        hint = f"an image in a registry is docker://{shown}; a layout on disk is oci:{shown}"
        if transport in _WRITTEN:
            hint = f"write {_WRITTEN[transport]}"
        raise MalformedPlace(f"{shown!a} names no place for an image", why=f"a place is {FORMS}", hint=hint)
    if transport == "oci-archive":
        return OciArchivePlace(Path(rest))
    if transport == "docker-archive":
        return DockerArchivePlace(Path(rest))
    directory, colon, tag = rest.rpartition(":")
    if colon and directory and is_tag(tag):
        return LayoutPlace(Path(directory), tag)
    return LayoutPlace(Path(rest))
