"""Blobs from what a registry holds into another registry, each over the line once at most.

What one repository of the target has is mounted into the next. That holds for
blobs that several repositories want at the same time, too: the second waits
for the first.
"""

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from sealift.client.copy import Progress
from sealift.client.errors import LocalNotFound
from sealift.client.holdings import Holdings
from sealift.client.registry_client import Delivery, RegistryClient
from sealift.client.stream import closing
from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import FOREIGN_LAYER_TYPES
from sealift.image.reference import Repository


class SourceFailed(Exception):
    """What was to be read could not be read; the target is not at fault.

    Attributes:
        error: The cause.
    """

    def __init__(self, error: SealiftError) -> None:
        super().__init__(str(error))
        self.error = error


class BlobMover:
    """Brings blobs over, `at_once` at a time for all repositories together."""

    def __init__(
        self,
        source: Holdings,
        client: RegistryClient,
        *,
        progress: Progress,
        at_once: int,
        dry_run: bool = False,
    ) -> None:
        self._source = source
        self._client = client
        self._progress = progress
        self._dry_run = dry_run
        self._gate = asyncio.Semaphore(at_once)
        self._turns: WeakValueDictionary[Digest, asyncio.Lock] = WeakValueDictionary()
        self._homes: dict[Digest, Repository] = {}
        """A repository of the target that has the blob, for each that we know of."""

    def note(self, target: Repository, blob: Descriptor) -> None:
        """This repository of the target has the blob."""
        self._homes.setdefault(blob.digest, target)

    async def bring(self, name: str, target: Repository, blob: Descriptor) -> Delivery:
        """Have a blob of the source's repository `name` in a repository of the target.

        Raises:
            SourceFailed: the source does not have it, or not whole.
            SealiftError: the target refused it, or cannot be reached.
        """
        if blob.media_type in FOREIGN_LAYER_TYPES and not await self._is_in_source(name, blob):
            return Delivery.LEFT_OUT
        turn = self._turns.get(blob.digest)
        if turn is None:
            self._turns[blob.digest] = turn = asyncio.Lock()
        async with turn, self._gate:
            move = self._would_move if self._dry_run else self._move
            delivery = await move(name, target, blob)
        self.note(target, blob)
        self._progress.end(blob, delivery)
        return delivery

    async def _move(self, name: str, target: Repository, blob: Descriptor) -> Delivery:
        failed: list[SealiftError] = []

        async def parts() -> AsyncIterator[bytes]:
            self._progress.restart(blob)
            failed.clear()
            try:
                async with closing(self._source.blob(name, blob)) as stream:
                    async for part in stream:
                        self._progress.advance(blob, len(part))
                        yield part
            except SealiftError as error:
                failed.append(error)
                raise

        try:
            return await self._client.push_blob(target, blob, parts, mount_from=self._mountable(name, blob))
        except Exception as error:
            # A registry that got a damaged blob complains of it too; the cause is where it came from.
            if failed:
                raise SourceFailed(failed[0]) from error
            raise

    async def _would_move(self, name: str, target: Repository, blob: Descriptor) -> Delivery:
        if await self._client.blob_size(target, blob.digest) is not None:
            return Delivery.EXISTED
        if not await self._is_in_source(name, blob):
            raise SourceFailed(
                LocalNotFound(
                    f"{blob.digest} is not in {name}", why="the source does not have it, or not whole"
                )
            )
        home = self._mountable(name, blob)
        return Delivery.MOUNTED if home is not None and home != target else Delivery.SENT

    def _mountable(self, name: str, blob: Descriptor) -> Repository | None:
        """Where the target may take the blob from without our sending it."""
        return self._homes.get(blob.digest) or self._source.mountable(name)

    async def _is_in_source(self, name: str, blob: Descriptor) -> bool:
        try:
            return await self._source.has_blob(name, blob)
        except SealiftError as error:
            raise SourceFailed(error) from error
