"""Whether there is room for more: on the disk, and within the quota of whoever owns the repository.

A full disk is a 507, whose name clients print. A full quota is a 403
``DENIED``: docker, podman and skopeo print its message at once and do not try
again. Of a 5xx they print no message, and docker repeats it for a minute.

What an account holds is asked of the catalog, in a thread, and remembered for a
moment. Bytes that come in through this process are added to it as they come, so
that uploads side by side share what is left. An account can go beyond its quota
by what other workers let in within `REMEMBERED_SECONDS`, and by what is on its
way to the disk in that moment; the next push is refused then, so that it does
not grow.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from sealift.image.digest import Digest
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.blob_store.blob_store import StorageRefused
from sealift.registry.blob_store.free_space import FreeSpace
from sealift.registry.catalog.database import Catalog, Reader
from sealift.registry.catalog.storage_use import (
    Quota,
    owner_has_blob,
    quota_over,
    total_of_owner,
    uploads_of_owner,
)
from sealift.registry.refusal import RegistryRefusal, storage_refusal

REMEMBERED_SECONDS: Final = 2.0
"""How long what an account holds is believed to be as it was, but for what we add ourselves."""

MOST_REMEMBERED: Final = 1024
"""Accounts."""

MANIFEST_SHARE: Final = 0.5
"""The part of the disk's reserve that manifests leave alone: a push whose blobs came in can be finished."""


class BeyondQuota(RegistryRefusal):
    """An account may hold no more."""

    def __init__(self, quota: Quota, left: int) -> None:
        super().__init__(
            ErrorCode.DENIED,
            f"the storage quota of {quota.owner} is used up: {left} of {quota.most} bytes are left; "
            "delete something, or ask an admin for more",
            detail={"owner": quota.owner, "quotaBytes": quota.most, "leftBytes": left},
        )


@dataclass(slots=True)
class _Held:
    """What an account held, and when that was looked up."""

    since: float
    version: int
    """Of the catalog."""

    total: int


class Room:
    """Says no where there is no room. One per process."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        free: FreeSpace | None = None,
        staged_bytes: Callable[[Iterable[str]], int] = lambda _: 0,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Ask these.

        Args:
            catalog: What accounts hold, and may hold.
            free: The disk, where it can be full.
            staged_bytes: How much of some uploads has come. It runs in a thread.
            now: A clock that does not go back, in seconds.
        """
        self._catalog = catalog
        self._free = free
        self._staged_bytes = staged_bytes
        self._now = now
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._asking: dict[int, asyncio.Task[_Held]] = {}

    async def refuse_upload(self, repository: str, more: int = 0, *, digest: Digest | None = None) -> None:
        """See that there is room for the bytes of an upload that is about to begin or to go on.

        Args:
            repository: Where they go; it need not be there.
            more: Bytes that are known to come.
            digest: What they will be, if that is known: a blob that the owner
                has already counts nothing.

        Raises:
            RegistryRefusal: 507: the disk has no room.
            BeyondQuota: The owner may not hold so much more.
        """
        self.refuse_full_disk(more)
        quota = self._quota(repository, digest)
        if quota is not None:
            await self._refuse_beyond(quota, max(more, 1))

    async def metered(
        self, repository: str, body: AsyncIterator[bytes], *, digest: Digest | None = None
    ) -> AsyncIterator[bytes]:
        """A request's body, as far as the owner of the repository has room for it.

        Raises:
            BeyondQuota: There is none for the next piece.
        """
        quota = self._quota(repository, digest)
        async for piece in body:
            if quota is not None:
                held = await self._refuse_beyond(quota, len(piece))
                held.total += len(piece)
            yield piece

    async def refuse_manifest(self, repository: str, size: int) -> None:
        """See that there is room for a manifest that the repository does not have yet.

        Raises:
            RegistryRefusal: 507: the disk has no room.
            BeyondQuota: The owner may not hold so much more.
        """
        self.refuse_full_disk(size, share=MANIFEST_SHARE)
        quota = self._quota(repository, None)
        if quota is not None:
            held = await self._refuse_beyond(quota, size)
            held.total += size

    def refuse_full_disk(self, more: int, *, share: float = 1.0) -> None:
        """See that the disk has room. Raises: RegistryRefusal: 507."""
        if self._free is None:
            return
        try:
            self._free.refuse_beyond(more, share=share)
        except StorageRefused as refused:
            raise storage_refusal(refused) from refused

    def _quota(self, repository: str, digest: Digest | None) -> Quota | None:
        """The quota that counts, if one does for this."""
        quota = quota_over(self._catalog, repository)
        if quota is None or digest is None or not owner_has_blob(self._catalog, quota.owner_id, str(digest)):
            return quota
        return None

    async def _refuse_beyond(self, quota: Quota, more: int) -> _Held:
        held = self._held.get(quota.owner_id)
        if held is None or self._now() - held.since >= REMEMBERED_SECONDS:
            held = await self._ask_once(quota.owner_id)
        if held.total + more > quota.most and held.version != self._catalog.version():
            held = await self._ask_once(quota.owner_id)  # who has just deleted something may push again
        if held.total + more > quota.most:
            raise BeyondQuota(quota, max(quota.most - held.total, 0))
        return held

    async def _ask_once(self, owner_id: int) -> _Held:
        """What an account holds now. Those who ask at the same moment share one answer."""
        asking = self._asking.get(owner_id)
        if asking is None:
            asking = asyncio.get_running_loop().create_task(self._ask(owner_id))
            self._asking[owner_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(owner_id, None))
        return await asyncio.shield(asking)

    async def _ask(self, owner_id: int) -> _Held:
        since, version = self._now(), self._catalog.version()

        def ask(reader: Reader) -> int:
            staged = self._staged_bytes(uploads_of_owner(reader, owner_id))
            return staged + total_of_owner(reader, owner_id)

        held = _Held(since, version, await self._catalog.ask_apart(ask))
        self._held[owner_id] = held
        self._held.move_to_end(owner_id)
        if len(self._held) > MOST_REMEMBERED:
            self._held.popitem(last=False)
        return held
