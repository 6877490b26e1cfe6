"""The free space that uploads leave alone, so that the registry lives on when its disk is nearly full.

Whoever deletes to make room needs some itself: the catalog writes before it
frees. So bytes of users are refused while there is still room for that.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sealift.registry.blob_store.blob_store import StorageRefused

log = logging.getLogger(__name__)

MOST_RESERVED_BYTES: Final = 256 * 1024 * 1024
"""What is kept free of a disk where nobody says how much."""

RESERVED_PERCENT: Final = 1
"""Of the whole disk, where that is less."""


class FreeSpace:
    """The disk of a directory, and how much of it is not for uploads.

    Asking it is one system call of about a microsecond on a local disk. Several
    processes that ask at once may each write what is free beyond the reserve:
    the reserve is what absorbs that, at most a batch (1 MiB) for each upload.
    """

    def __init__(
        self,
        directory: Path,
        *,
        reserve_bytes: int | None = None,
        look: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        """Look after the disk of a directory that is there.

        Args:
            directory: Any directory on it.
            reserve_bytes: What uploads leave free. None is `MOST_RESERVED_BYTES`
                or `RESERVED_PERCENT` of the disk, whichever is less.
            look: Asks the system.
        """
        self._directory = directory
        self._reserve = reserve_bytes
        self._look = look
        self._is_short = False
        """Whether the log has been told."""

    def refuse_beyond(self, more: int = 0, *, share: float = 1.0) -> None:
        """See that there is room for `more` bytes besides the reserve.

        Args:
            more: Bytes that are about to be written.
            share: The part of the reserve that has to stay, from 0 to 1: what
                finishes a push may use some of what beginnings leave alone.

        Raises:
            StorageRefused: There is not.
        """
        disk = self._look(self._directory)
        free = disk.f_bavail * disk.f_frsize
        reserve = self._reserve
        if reserve is None:
            reserve = min(MOST_RESERVED_BYTES, disk.f_blocks * disk.f_frsize * RESERVED_PERCENT // 100)
        if not reserve or free - more >= reserve * share:
            if self._is_short and free >= reserve:
                self._is_short = False
                log.warning("the disk of %s has room again: %d bytes are free", self._directory, free)
            return
        if not self._is_short:
            self._is_short = True
            log.error(
                "pushes are refused: the disk of %s has %d bytes free, and %d are kept for deletes",
                *(self._directory, free, reserve),
            )
        raise StorageRefused(
            f"{free} bytes are free, and {reserve} are kept for deletes and logins", is_full=True
        )
