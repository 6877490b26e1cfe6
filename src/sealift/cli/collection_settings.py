"""When content goes that nobody needs, as settings of `sealift serve`."""

from collections.abc import Mapping
from typing import Any, Final

from sealift.cli.setting import Setting, duration_setting, read_duration, write_duration
from sealift.registry.settings import Collection

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_COLLECTION: Final = Collection()


def _read_untagged(text: str) -> int | None:
    if text == "forever":
        return None
    seconds = read_duration(text)
    if seconds < _DAY:
        raise ValueError("it is less than 1d")
    return seconds


def _write_untagged(seconds: float | None) -> str:
    return "forever" if seconds is None else write_duration(seconds)


COLLECTION_SETTINGS: Final = (
    duration_setting(
        "collect-grace",
        _COLLECTION.grace_seconds,
        _HOUR,
        365 * _DAY,
        "How long a blob stays that no manifest needs. Longer than a push takes, and than `upload-age`.",
    ),
    duration_setting(
        "keep-deleted",
        _COLLECTION.keep_deleted_seconds,
        0,
        365 * _DAY,
        "How long a deleted manifest can be brought back. After it the grace of its blobs begins.",
    ),
    Setting(
        name="keep-untagged",
        read=_read_untagged,
        default=None,
        about="How long a manifest stays that its last tag has left. Pods may be pinned to it by digest.",
        unit="a duration, such as `30d`, or `forever`",
        bounds="1d and more",
        show=_write_untagged,
    ),
    duration_setting(
        "collect-every", _COLLECTION.every_seconds, 10, _DAY, "How often it is looked what may go."
    ),
)


def collection_of(value: Mapping[str, Any]) -> Collection:
    """What the settings say; `value` has one of each setting's name."""
    return Collection(
        grace_seconds=value["collect-grace"],
        keep_deleted_seconds=value["keep-deleted"],
        keep_untagged_seconds=value["keep-untagged"],
        every_seconds=value["collect-every"],
    )
