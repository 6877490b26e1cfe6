"""Platforms, and which entry of an index fits a node.

Spec: OCI image-spec v1.1, "Image Index", property ``platform``. Matching is
that of containerd (its package ``platforms``), since that is what runs on the
nodes: names are normalised, and an older variant is taken where the exact one
is not there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

from sealift.errors import SealiftError

_TEXT = re.compile(
    r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?/([A-Za-z0-9_.-]+)(?:/([A-Za-z0-9_.-]+))?", re.ASCII
)
_WINDOWS_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,5})(?:\.|$)", re.ASCII)
_SERVER_2022 = 20348
"""The build of Windows from which on a host runs containers of older builds."""

_MAX_TEXT = 255
"""Characters. No platform has a longer name; the limit keeps messages short."""

_OLDEST_ARM = 5
_ARMV8 = 8
_ARMV9 = 9

_ARCHITECTURES = {
    "i386": "386",
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
}


class MalformedPlatform(SealiftError):
    """The text does not name a platform."""

    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and a processor, such as ``linux/arm64/v8``."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``os/architecture`` or ``os/architecture/variant``; ``os(version)`` gives a version.

        Other names of a system or processor (``x86_64``, ``aarch64``, ``macOS``)
        become the usual ones. Nothing is taken from this machine: both parts
        have to be there.

        Raises:
            MalformedPlatform: `text` is something else.
        """
        match = _TEXT.fullmatch(text) if len(text) <= _MAX_TEXT else None
        if match is None:
            raise MalformedPlatform(
                f"{text[:_MAX_TEXT]!a} is not a platform",
                why="a platform is os/architecture or os/architecture/variant",
                hint="write it like linux/amd64 or linux/arm64/v8",
            )
        return cls(match[1], match[3], match[4], match[2] or None).normalised()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the ``platform`` object of a descriptor, as it is written there.

        Raises:
            MalformedPlatform: A field has the wrong type.
        """
        texts = {key: document.get(key) for key in ("os", "architecture", "variant", "os.version")}
        features = document.get("os.features") or []
        for key, value in texts.items():
            if value is not None and not isinstance(value, str):
                raise MalformedPlatform(f"the platform's {key} is not a string")
        if not isinstance(features, list) or not all(isinstance(each, str) for each in features):
            raise MalformedPlatform("the platform's os.features is not a list of strings")
        return cls(
            texts["os"] or "",
            texts["architecture"] or "",
            texts["variant"] or None,
            texts["os.version"] or None,
            tuple(features),
        )

    def to_document(self) -> dict[str, Any]:
        """The ``platform`` object of a descriptor."""
        document: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            document["os.version"] = self.os_version
        if self.os_features:
            document["os.features"] = list(self.os_features)
        if self.variant:
            document["variant"] = self.variant
        return document

    def normalised(self) -> Self:
        """The same platform under its usual names, as containerd compares it.

        amd64/v1 and arm64/v8 lose a variant that says nothing; arm without one
        is v7.
        """
        os = self.os.lower()
        given = self.architecture.lower()
        variant = (self.variant or "").lower()
        architecture = _ARCHITECTURES.get(given, given)
        if given in {"i386", "armhf", "armel"}:
            variant = {"i386": "", "armhf": "v7", "armel": "v6"}[given]
        elif (architecture == "amd64" and variant == "v1") or (
            architecture == "arm64" and variant in {"8", "v8"}
        ):
            variant = ""
        elif architecture == "arm":
            variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
        return replace(
            self,
            os="darwin" if os == "macos" else os,
            architecture=architecture,
            variant=variant or None,
            os_features=tuple(sorted(set(self.os_features))),
        )

    def __str__(self) -> str:
        """``os/architecture[/variant]``, with the version in brackets where there is one."""
        os = f"{self.os}({self.os_version})" if self.os_version else self.os
        return "/".join(part for part in (os, self.architecture, self.variant) if part)


class _HasPlatform(Protocol):
    @property
    def platform(self) -> Platform | None: ...


_Entry = TypeVar("_Entry", bound=_HasPlatform)


def choose(entries: Sequence[_Entry], wanted: Platform) -> _Entry | None:
    """The entry of an index that containerd would take on a node of platform `wanted`.

    The best match wins, and of equals the first. An entry without a platform
    fits every node and is taken only where nothing else fits.
    """
    for acceptable in _acceptable(wanted.normalised()):
        for entry in entries:
            if entry.platform is not None and _fits(entry.platform.normalised(), acceptable):
                return entry
    return next((entry for entry in entries if entry.platform is None), None)


def _fits(offered: Platform, wanted: Platform) -> bool:
    return (
        offered.os == wanted.os
        and offered.architecture == wanted.architecture
        and offered.variant == wanted.variant
        and set(offered.os_features) <= set(wanted.os_features)
        and (wanted.os != "windows" or _windows_fits(offered.os_version, wanted.os_version))
    )


def _windows_fits(offered: str | None, host: str | None) -> bool:
    """Whether a container of one build of Windows runs on another. Only Windows looks at ``os.version``.

    Builds have to be the same before Server 2022; from then on a host also runs
    what is older, back to Server 2022.
    """
    host_version = _windows_version(host)
    if host_version is None or not offered:
        return True
    container = _windows_version(offered) or (0, 0, 0)
    if host_version[:2] != container[:2]:
        return False
    if host_version[2] < _SERVER_2022:
        return host_version[2] == container[2]
    return _SERVER_2022 <= container[2] <= host_version[2]


def _windows_version(text: str | None) -> tuple[int, int, int] | None:
    """Major, minor and build; None where they are not there."""
    match = _WINDOWS_VERSION.match(text or "")
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _acceptable(wanted: Platform) -> Iterator[Platform]:
    """What runs on `wanted`, which is normalised, the best first."""
    yield wanted
    version = _number((wanted.variant or "").removeprefix("v"))
    if wanted.architecture == "amd64":
        for older in range(version - 1, 0, -1):
            yield replace(wanted, variant=f"v{older}" if older > 1 else None)
        yield replace(wanted, architecture="386", variant=None)
    elif wanted.architecture == "arm":
        for older in range(version - 1, _OLDEST_ARM - 1, -1):
            yield replace(wanted, variant=f"v{older}")
    elif wanted.architecture == "arm64":
        variant = wanted.variant or "v8"
        for older_variant in _older_arm64(variant):
            yield replace(wanted, variant=older_variant)
        yield from _acceptable(
            replace(wanted, architecture="arm", variant="v8" if variant[:3] in {"v8.", "v9."} else variant)
        )


def _older_arm64(variant: str) -> Iterator[str | None]:
    """The variants of arm64 that run on `variant`: Armv9.0 grew out of Armv8.5. ``v8`` is written as None."""
    version, _, minor_text = variant.removeprefix("v").partition(".")
    major = _number(version)
    minor = _number(minor_text) if len(minor_text) == 1 else 0
    if major == _ARMV9:
        for older in range(minor - 1, -1, -1):
            yield f"v9.{older}" if older else "v9"
        yield f"v8.{minor + 5}"
        major, minor = _ARMV8, minor + 5
    if major == _ARMV8:
        for older in range(minor - 1, -1, -1):
            yield f"v8.{older}" if older else None


def _number(text: str) -> int:
    """The number of a version, or 0 where it is none that a processor has."""
    return int(text) if len(text) <= 2 and text.isascii() and text.isdecimal() else 0  # noqa: PLR2004 - digits
