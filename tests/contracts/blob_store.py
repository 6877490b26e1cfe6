"""What every blob store must do. A store's own tests inherit these and give the fixture ``store``."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from uuid import uuid4

import pytest

from sealift.image.digest import Digest, DigestMismatch
from sealift.registry.blob_store.blob_damaged import BlobDamaged
from sealift.registry.blob_store.blob_store import (
    PLACES,
    BlobStore,
    UploadBusy,
    UploadMissing,
    UploadTooLarge,
)
from sealift.registry.exchange import FileSlice
from sealift.registry.file_reader import FileReader
from sealift.registry.proven_file import proven_pieces


def varied(size: int) -> bytes:
    """Bytes of which no part is like another, so that a mix-up of parts shows; always the same."""
    return b"".join(sha256(n.to_bytes(4)).digest() for n in range(size // 32))


BODY = varied(1_280_000)
DIGEST = Digest.of(BODY)


async def pieces(data: bytes, *, size: int = 65_536) -> AsyncIterator[bytes]:
    """`data` as a body that comes in pieces."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(0)


class ClientGone(Exception):
    """The other side hung up."""


async def broken(data: bytes) -> AsyncIterator[bytes]:
    """A body that ends in the middle."""
    yield data
    raise ClientGone


async def read_all(store: BlobStore, digest: Digest, *, start: int = 0, stop: int | None = None) -> bytes:
    """What the store gives back."""
    return b"".join([piece async for piece in store.read(digest, start=start, stop=stop)])


async def content_bytes(content: FileSlice | AsyncIterator[bytes]) -> bytes:
    """The bytes of an answer's body, as the door would send them."""
    if isinstance(content, FileSlice):
        with FileReader(content.path) as reader:
            return b"".join([piece async for piece in proven_pieces(reader, content)])
    return b"".join([piece async for piece in content])


async def begun(store: BlobStore) -> str:
    """A new upload."""
    upload_id = str(uuid4())
    await store.begin_upload(upload_id)
    return upload_id


class BlobStoreContract:
    """The suite. Subclasses define the fixture ``store``."""

    async def test_what_is_written_is_read_back(self, store: BlobStore) -> None:
        assert await store.write(pieces(BODY), expected=DIGEST) == len(BODY)
        assert await store.size_of(DIGEST) == len(BODY)
        assert await read_all(store, DIGEST) == BODY

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    @pytest.mark.parametrize("body", [pytest.param(b"", id="empty"), pytest.param(b"x", id="one byte")])
    async def test_small_blobs_of_either_algorithm(
        self, store: BlobStore, body: bytes, algorithm: str
    ) -> None:
        digest = Digest.of(body, algorithm)
        assert await store.write(pieces(body), expected=digest) == len(body)
        assert await read_all(store, digest) == body
        assert await content_bytes(store.content(digest, size=len(body))) == body

    @pytest.mark.parametrize(
        ("start", "stop"),
        [
            pytest.param(0, 1, id="first byte"),
            pytest.param(100, 70_000, id="across a piece"),
            pytest.param(len(BODY) - 1, len(BODY), id="last byte"),
            pytest.param(5, 5, id="nothing"),
        ],
    )
    async def test_ranges(self, store: BlobStore, start: int, stop: int) -> None:
        await store.write(pieces(BODY), expected=DIGEST)
        assert await read_all(store, DIGEST, start=start, stop=stop) == BODY[start:stop]
        slice_ = store.content(DIGEST, size=len(BODY), start=start, stop=stop)
        assert await content_bytes(slice_) == BODY[start:stop]

    async def test_other_bytes_are_refused_and_nothing_is_stored(self, store: BlobStore) -> None:
        other = Digest.of(b"other")
        with pytest.raises(DigestMismatch) as refused:
            await store.write(pieces(BODY), expected=other)
        assert (refused.value.expected, refused.value.actual) == (other, DIGEST)
        assert await store.size_of(other) is None
        assert await store.size_of(DIGEST) is None

    async def test_a_write_beyond_its_limit_stores_nothing(self, store: BlobStore) -> None:
        with pytest.raises(UploadTooLarge):
            await store.write(pieces(BODY), expected=DIGEST, most=len(BODY) - 1)
        assert await store.size_of(DIGEST) is None
        assert await store.write(pieces(BODY), expected=DIGEST, most=len(BODY)) == len(BODY)

    async def test_a_write_whose_client_leaves_stores_nothing(self, store: BlobStore) -> None:
        with pytest.raises(ClientGone):
            await store.write(broken(BODY), expected=DIGEST)
        assert await store.size_of(DIGEST) is None
        assert await store.sweep_uploads(keep=(), older_than_seconds=0) == ()

    async def test_what_is_not_there(self, store: BlobStore) -> None:
        assert await store.size_of(DIGEST) is None
        with pytest.raises(BlobDamaged) as damaged:
            store.content(DIGEST, size=7)
        assert (damaged.value.expected, damaged.value.found) == (7, None)
        with pytest.raises(BlobDamaged):
            await read_all(store, DIGEST)
        await store.delete(DIGEST)

    async def test_a_size_that_is_not_the_catalogs_is_damage(self, store: BlobStore) -> None:
        await store.write(pieces(BODY), expected=DIGEST)
        with pytest.raises(BlobDamaged) as damaged:
            store.content(DIGEST, size=len(BODY) + 1)
        assert (damaged.value.expected, damaged.value.found) == (len(BODY) + 1, len(BODY))
        with pytest.raises(BlobDamaged):
            await read_all(store, DIGEST, stop=len(BODY) + 1)

    async def test_delete(self, store: BlobStore) -> None:
        await store.write(pieces(BODY), expected=DIGEST)
        await store.delete(DIGEST)
        assert await store.size_of(DIGEST) is None

    async def test_an_upload_in_several_requests(self, store: BlobStore) -> None:
        upload_id = await begun(store)
        assert await store.upload_size(upload_id) == 0
        for start in range(0, len(BODY), 300_000):
            async with store.hold_upload(upload_id) as staged:
                assert staged.size == start
                part = BODY[start : start + 300_000]
                assert await staged.append(pieces(part), most=len(BODY)) == start + len(part)
            assert await store.upload_size(upload_id) == start + len(part)
        async with store.hold_upload(upload_id) as staged:
            assert await staged.commit(DIGEST) == len(BODY)
        assert await store.upload_size(upload_id) is None
        assert await read_all(store, DIGEST) == BODY

    async def test_an_upload_under_the_algorithm_that_was_not_expected(self, store: BlobStore) -> None:
        digest = Digest.of(BODY, "sha512")
        upload_id = await begun(store)
        async with store.hold_upload(upload_id) as staged:
            await staged.append(pieces(BODY), most=len(BODY))
            await staged.commit(digest)
        assert await read_all(store, digest) == BODY

    async def test_a_wrong_digest_leaves_the_upload(self, store: BlobStore) -> None:
        upload_id = await begun(store)
        async with store.hold_upload(upload_id) as staged:
            await staged.append(pieces(BODY), most=len(BODY))
            with pytest.raises(DigestMismatch):
                await staged.commit(Digest.of(b"other"))
            assert await staged.commit(DIGEST) == len(BODY)

    async def test_a_client_that_leaves_keeps_what_came(self, store: BlobStore) -> None:
        upload_id = await begun(store)
        with pytest.raises(ClientGone):
            async with store.hold_upload(upload_id) as staged:
                await staged.append(broken(BODY[:1000]), most=len(BODY))
        assert await store.upload_size(upload_id) == 1000
        async with store.hold_upload(upload_id) as staged:
            await staged.append(pieces(BODY[1000:]), most=len(BODY))
            await staged.commit(DIGEST)
        assert await read_all(store, DIGEST) == BODY

    async def test_no_upload_grows_beyond_its_limit(self, store: BlobStore) -> None:
        upload_id = await begun(store)
        async with store.hold_upload(upload_id) as staged:
            with pytest.raises(UploadTooLarge):
                await staged.append(pieces(BODY), most=1000)
            assert staged.size == 1000
            await staged.cut(10)
            assert staged.size == 10
            await staged.append(pieces(BODY[10:]), most=len(BODY))
            await staged.commit(DIGEST)
        assert await read_all(store, DIGEST) == BODY

    async def test_one_request_at_a_time(self, store: BlobStore) -> None:
        upload_id = await begun(store)
        async with store.hold_upload(upload_id):
            with pytest.raises(UploadBusy):
                async with store.hold_upload(upload_id):
                    raise AssertionError("two requests hold one upload")
        async with store.hold_upload(upload_id) as staged:
            await staged.append(pieces(b"x"), most=1)

    async def test_discarded_and_unknown_uploads(self, store: BlobStore) -> None:
        upload_id = await begun(store)
        async with store.hold_upload(upload_id) as staged:
            await staged.discard()
        for unknown in (upload_id, str(uuid4()), "../../etc/passwd"):
            assert await store.upload_size(unknown) is None
            with pytest.raises(UploadMissing):
                async with store.hold_upload(unknown):
                    raise AssertionError("an upload that is not there was held")

    async def test_the_sweep_spares_what_is_kept_or_held(self, store: BlobStore) -> None:
        kept, held, left = [await begun(store) for _ in range(3)]
        async with store.hold_upload(held):
            assert await store.sweep_uploads(keep=(kept,), older_than_seconds=0) == (left,)
        assert [await store.upload_size(each) for each in (kept, held, left)] == [0, 0, None]

    async def test_pushing_again_heals(self, store: BlobStore) -> None:
        await store.write(pieces(BODY), expected=DIGEST)
        await self.damage(store, DIGEST, BODY[:10])
        await store.write(pieces(BODY), expected=DIGEST)
        assert await read_all(store, DIGEST) == BODY
        await self.damage(store, DIGEST, b"?" * len(BODY))
        await store.write(pieces(BODY), expected=DIGEST)
        assert await read_all(store, DIGEST) == BODY

    async def test_changed_bytes_are_damage_before_all_of_them_were_given(self, store: BlobStore) -> None:
        await store.write(pieces(BODY), expected=DIGEST)
        await self.damage(store, DIGEST, BODY[:-1] + b"?")
        with pytest.raises(BlobDamaged) as damaged:
            await content_bytes(store.content(DIGEST, size=len(BODY)))
        assert (damaged.value.expected, damaged.value.found) == (len(BODY), len(BODY))
        assert await store.size_of(DIGEST) is None
        with pytest.raises(BlobDamaged):  # from here on nothing of it is given
            store.content(DIGEST, size=len(BODY), stop=1)
        await store.write(pieces(BODY), expected=DIGEST)
        assert await content_bytes(store.content(DIGEST, size=len(BODY))) == BODY

    async def test_what_is_received_and_not_committed_is_gone(self, store: BlobStore) -> None:
        async with store.receive(pieces(BODY), most=len(BODY)) as staged:
            assert staged.size == len(BODY)
        assert await store.size_of(DIGEST) is None
        with pytest.raises(UploadTooLarge):
            async with store.receive(pieces(BODY), most=1000):
                raise AssertionError("more came than may")
        async with store.receive(pieces(BODY), most=len(BODY)) as staged:
            await staged.commit(DIGEST)
        assert await read_all(store, DIGEST) == BODY
        assert await store.sweep_uploads(keep=(), older_than_seconds=-1) == ()

    async def test_nobody_removes_what_is_pinned_nor_pins_what_is_removed(self, store: BlobStore) -> None:
        async with store.pinned(DIGEST), store.pinned(DIGEST), store.removing(DIGEST) as alone:
            assert not alone
        waiting: asyncio.Task[None] | None = None
        entered = asyncio.Event()

        async def pin() -> None:
            async with store.pinned(DIGEST):
                entered.set()

        async with store.removing(DIGEST) as alone:
            assert alone
            async with store.removing(DIGEST) as another:
                assert not another
            waiting = asyncio.create_task(pin())
            await asyncio.sleep(0.05)
            assert not entered.is_set()
        await waiting
        assert entered.is_set()

    async def test_what_is_stored_is_listed_place_by_place(self, store: BlobStore) -> None:
        bodies = [b"one", b"two", BODY]
        digests = {Digest.of(body): len(body) for body in bodies} | {Digest.of(BODY, "sha512"): len(BODY)}
        for body in bodies:
            await store.write(pieces(body), expected=Digest.of(body))
        await store.write(pieces(BODY), expected=Digest.of(BODY, "sha512"))
        found = [each for place in range(PLACES) for each in await store.stored(place)]
        assert {each.digest: each.size for each in found} == digests
        assert all(each.age_seconds >= 0 for each in found)
        assert {each.digest for each in await store.stored(int(DIGEST.encoded[:2], 16))} >= {DIGEST}

    async def damage(self, store: BlobStore, digest: Digest, instead: bytes) -> None:
        """Put other bytes where a blob is kept."""
        raise NotImplementedError
