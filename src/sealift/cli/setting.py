"""One setting of the server: its name, how it is read from text, and between which bounds it lies.

Sizes are written with a unit (``4MiB``), durations too (``24h``, ``90d``), so
that nobody has to know what a bare number would mean; counts are bare numbers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_SIZE: Final = re.compile(r"(?P<count>[0-9]{1,15})(?P<unit>B|[KMGT]iB|[kMGT]B)?", re.ASCII)
_SIZES: Final = {
    "B": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
}
_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>[smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its name, how it is read, what it is without one."""

    name: str
    """As in the file; the flag, where there is one, is this with two dashes before it."""

    read: Callable[[str], Any]
    """From text, as flags and the environment have it. Raises ValueError with a reason."""

    default: Any
    kind: type | tuple[type, ...] = str
    """What it is in the file; several, where it may be one or the other."""

    about: str = ""
    """What it does, for the reference: a phrase or two."""

    unit: str = ""
    """What its number counts, and how it is written; empty for what is no number."""

    bounds: str = ""
    """The least and the most that it may be, as they are written."""

    show: Callable[[Any], str] | None = None
    """Its value as it would be written, where that is not its plain text."""

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "SEALIFT_" + self.name.upper().replace("-", "_")


def read_size(text: str) -> int:
    """Bytes, of ``4MiB``, ``50GB`` or a bare number of bytes. Raises: ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is not a size such as 4MiB, 50GiB or 1GB")
    return int(found["count"]) * _SIZES[found["unit"] or "B"]


def write_size(count: int) -> str:
    """Bytes, with the largest unit that leaves a whole number."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count and count % _SIZES[unit] == 0:
            return f"{count // _SIZES[unit]}{unit}"
    return f"{count}B"


def read_duration(text: str) -> int:
    """Seconds, of ``90d``, ``24h``, ``15m`` or ``30s``. Raises: ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is not a duration such as 24h, 15m or 30s")
    return int(found["count"]) * _SECONDS[found["unit"]]


def write_duration(seconds: float) -> str:
    """Seconds, with the largest unit that leaves a whole number."""
    whole = int(seconds)
    for unit in ("d", "h", "m"):
        if whole and whole % _SECONDS[unit] == 0:
            return f"{whole // _SECONDS[unit]}{unit}"
    return f"{whole}s"


def size_setting(name: str, default: int, least: int, most: int, about: str) -> Setting:
    """A setting that counts bytes."""
    return Setting(
        name=name,
        read=_between(read_size, least, most, write_size),
        default=default,
        about=about,
        unit="bytes, such as `4MiB`",
        bounds=f"{write_size(least)} to {write_size(most)}",
        show=write_size,
    )


def duration_setting(name: str, default: float, least: int, most: int, about: str) -> Setting:
    """A setting that counts seconds."""
    return Setting(
        name=name,
        read=_between(read_duration, least, most, write_duration),
        default=default,
        about=about,
        unit="a duration, such as `24h`",
        bounds=f"{write_duration(least)} to {write_duration(most)}",
        show=write_duration,
    )


def count_setting(  # noqa: PLR0917  the columns of a table
    name: str, default: int, least: int, most: int, unit: str, about: str
) -> Setting:
    """A setting that counts things."""
    return Setting(
        name=name,
        read=_between(_read_count, least, most, str),
        default=default,
        kind=int,
        about=about,
        unit=unit,
        bounds=f"{least} to {most}",
    )


def _read_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 - digits of 2^63
        raise ValueError("it is not a number")
    return int(text)


def _between(
    read: Callable[[str], int], least: int, most: int, write: Callable[[int], str]
) -> Callable[[str], int]:
    def checked(text: str) -> int:
        value = read(text)
        if not least <= value <= most:
            raise ValueError(f"it is from {write(least)} to {write(most)}")
        return value

    return checked
