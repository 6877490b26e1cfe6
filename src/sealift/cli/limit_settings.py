"""The limits of `sealift serve` as settings: the most that one request, client or account may take.

Each has a default that suits a registry of a team, and bounds within which it
can be set in the configuration file or the environment; no flags, since nobody
types these twice.
"""

from collections.abc import Mapping
from typing import Any, Final

from sealift.cli.setting import (
    Setting,
    count_setting,
    duration_setting,
    read_size,
    size_setting,
    write_size,
)
from sealift.registry.pace import Patience
from sealift.registry.settings import Connections, Limits

_KIB: Final = 1024
_MIB: Final = 1024**2
_GIB: Final = 1024**3
_TIB: Final = 1024**4
_HOUR: Final = 3600

_LIMITS: Final = Limits()
_PATIENCE: Final = Patience()
_CONNECTIONS: Final = Connections()


def _read_reserve(text: str) -> int | None:
    return None if text == "auto" else read_size(text)


def _write_reserve(reserve: int | None) -> str:
    return "auto" if reserve is None else write_size(reserve)


LIMIT_SETTINGS: Final = (
    size_setting(
        "manifest-size",
        _LIMITS.manifest_bytes,
        64 * _KIB,
        16 * _MIB,
        "One manifest or index. Clients read 4 MiB at least, and few read more.",
    ),
    count_setting(
        "manifest-references",
        _LIMITS.manifest_references,
        16,
        100_000,
        "descriptors",
        "Blobs and child manifests that one manifest may name.",
    ),
    count_setting(
        "manifest-depth",
        _LIMITS.manifest_depth,
        8,
        128,
        "levels",
        "Lists and objects inside each other in a manifest. Real ones have five.",
    ),
    count_setting(
        "manifest-elements",
        _LIMITS.manifest_elements,
        1_000,
        2_000_000,
        "JSON values",
        "Values in a manifest, of lists and of objects, all together.",
    ),
    count_setting(
        "name-length",
        _LIMITS.repository_name_characters,
        16,
        255,
        "characters",
        "The name of a repository that is made. Clients refuse more than 255.",
    ),
    count_setting(
        "tag-length",
        _LIMITS.tag_characters,
        16,
        128,
        "characters",
        "A tag that is set. The specification has no longer ones than 128.",
    ),
    size_setting("blob-size", _LIMITS.blob_bytes, 1 * _MIB, 16 * _TIB, "One blob, however it is uploaded."),
    count_setting(
        "open-uploads",
        _LIMITS.open_uploads,
        1,
        1_000_000,
        "uploads",
        "Uploads that one account may have open at a time, in all repositories.",
    ),
    duration_setting(
        "upload-age",
        _LIMITS.upload_idle_seconds,
        60,
        90 * 24 * _HOUR,
        "An upload to which nothing was added for so long is forgotten.",
    ),
    count_setting(
        "page-size",
        _LIMITS.page_entries,
        1,
        100_000,
        "names",
        "Names on one page of a listing, whatever `n` asks for; more come by `Link`.",
    ),
    Setting(
        name="reserve-free",
        read=_read_reserve,
        default=None,
        about="Free space of the data directory's disk that uploads leave alone, so that deletes, logins and "
        "pulls go on. `auto` is 256MiB or 1 percent of the disk, whichever is less; `0B` is none.",
        unit="bytes, such as `1GiB`, or `auto`",
        show=_write_reserve,
    ),
    size_setting(
        "header-size",
        _CONNECTIONS.header_bytes,
        8 * _KIB,
        256 * _KIB,
        "All header lines of one request together.",
    ),
    duration_setting(
        "header-time",
        _CONNECTIONS.header_seconds,
        1,
        600,
        "From the beginning of a connection to the end of a request's headers, and between two "
        "requests. Below 90 s, clients in Go may find a connection closed that they were about to use.",
    ),
    count_setting(
        "connections",
        _CONNECTIONS.most,
        16,
        65_536,
        "connections of one worker",
        "Beyond it they wait to be accepted. It is less where the system allows fewer open files.",
    ),
    duration_setting(
        "stalled-time",
        _PATIENCE.stalled_seconds,
        1,
        3600,
        "A client that sends nothing, or takes nothing, for so long is given up.",
    ),
    duration_setting(
        "slow-after",
        _PATIENCE.slow_after_seconds,
        1,
        3600,
        "From then on a request's body has to keep up `least-rate` on average.",
    ),
    size_setting(
        "least-rate",
        int(_PATIENCE.least_bytes_per_second),
        0,
        1 * _GIB,
        "The least that a body has to bring each second, from `slow-after` on.",
    ),
)
"""The table. Its defaults are those of the classes that the registry is built with."""


def limits_of(value: Mapping[str, Any]) -> Limits:
    """The limits that the settings say; `value` has one of each setting's name."""
    return Limits(
        manifest_bytes=value["manifest-size"],
        manifest_references=value["manifest-references"],
        manifest_depth=value["manifest-depth"],
        manifest_elements=value["manifest-elements"],
        repository_name_characters=value["name-length"],
        tag_characters=value["tag-length"],
        blob_bytes=value["blob-size"],
        open_uploads=value["open-uploads"],
        upload_idle_seconds=value["upload-age"],
        page_entries=value["page-size"],
    )


def connections_of(value: Mapping[str, Any]) -> Connections:
    """What one connection and one request's head may take."""
    return Connections(
        header_bytes=value["header-size"], header_seconds=value["header-time"], most=value["connections"]
    )


def patience_of(value: Mapping[str, Any]) -> Patience:
    """How long clients are waited for."""
    return Patience(
        stalled_seconds=value["stalled-time"],
        stalled_while_stopping_seconds=min(
            _PATIENCE.stalled_while_stopping_seconds, float(value["stalled-time"])
        ),
        slow_after_seconds=value["slow-after"],
        least_bytes_per_second=value["least-rate"],
    )
