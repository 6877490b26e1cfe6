"""Whether this process can do its work, and why not: what ``/healthz`` and ``/readyz`` say.

A check is a function that says what is wrong, or None. They run on the event
loop and cost some microseconds: the file system is asked for its room at most
once a second, and nothing is written unless a write has failed before. The reasons
are for strangers too: they name no path and nothing of what is stored.

Spec: Kubernetes, "Configure Liveness, Readiness and Startup Probes".
"""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from sealift.registry.catalog.accounts import all_accounts
from sealift.registry.catalog.database import Catalog, CatalogFailed
from sealift.registry.exchange import Answer

LOOK_EVERY_SECONDS: Final = 1.0

RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Free bytes below which no push can be counted on. On a small file system it is a fiftieth of it."""

RESERVE_PART: Final = 50

Check = Callable[[], str | None]
"""What is wrong, in words for strangers; None if nothing is."""


class CheckResult(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """What one check found."""

    name: str
    ok: bool
    why: str | None = None


class Health(msgspec.Struct, rename="camel", kw_only=True):
    """The answer of a probe."""

    api_version: str = "sealift.dev/v1alpha1"
    kind: str = "Health"
    status: str
    checks: list[CheckResult]


class Readiness:
    """The checks of one process."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Add a check under a name of its own."""
        self._checks[name] = check

    def checks(self) -> tuple[CheckResult, ...]:
        """What every check finds now."""
        found = []
        for name, check in self._checks.items():
            why = check()
            found.append(CheckResult(name=name, ok=why is None, why=why))
        return tuple(found)


def health_answer(checks: Iterable[CheckResult]) -> Answer:
    """The answer of a probe: 200 where nothing is wrong, else 503 with what is."""
    listed = list(checks)
    well = all(check.ok for check in listed)
    health = Health(status="ok" if well else "unavailable", checks=listed)
    return Answer(
        status=200 if well else 503,
        headers={"content-type": "application/json", "cache-control": "no-store"},
        body=msgspec.json.encode(health),
    )


def once_a_second(check: Check, *, now: Callable[[], float] = time.monotonic) -> Check:
    """The same check, asked at most once a second."""
    kept: list[tuple[float, str | None]] = []

    def looked() -> str | None:
        moment = now()
        if not kept or moment - kept[0][0] >= LOOK_EVERY_SECONDS:
            kept[:] = [(moment, check())]
        return kept[0][1]

    return looked


def catalog_check(catalog: Catalog) -> Check:
    """Whether the catalog can be read, and the last write to it was taken.

    After a write that was refused one is tried now and then, off the event loop,
    so that a registry which nobody writes to finds out that it is well again.
    """

    def check() -> str | None:
        try:
            if not all_accounts(catalog):
                return "the catalog has no account"
        except CatalogFailed:
            return "the catalog cannot be read"
        if catalog.refusing_writes:
            catalog.try_again()
            return "the catalog refuses to be written to"
        return None

    return check


def directory_check(*directories: Path) -> Check:
    """Whether the directories for blobs and uploads are there and may be written to."""

    def check() -> str | None:
        for directory in directories:
            if not directory.is_dir():
                return "a directory of the blob store is gone"
            if not os.access(directory, os.W_OK | os.X_OK):
                return "a directory of the blob store cannot be written to"
        return None

    return check


def disk_check(data: Path) -> Check:
    """Whether the data directory's file system has room for a push."""

    def check() -> str | None:
        try:
            found = os.statvfs(data)
        except OSError:
            return "the data directory is gone"
        if found.f_flag & os.ST_RDONLY:
            return "the file system is read-only"
        reserve = min(RESERVE_BYTES, found.f_blocks * found.f_frsize // RESERVE_PART)
        return "the disk is full" if found.f_bavail * found.f_frsize < reserve else None

    return once_a_second(check)
