import pytest
from tests.contracts.blob_store import BlobStoreContract

from sealift.image.digest import Digest
from sealift.registry.blob_store.blob_store import BlobStore
from sealift.registry.blob_store.memory import MemoryBlobStore


class TestMemoryBlobStore(BlobStoreContract):
    @pytest.fixture
    def store(self) -> MemoryBlobStore:
        return MemoryBlobStore()

    async def damage(self, store: BlobStore, digest: Digest, instead: bytes) -> None:
        assert isinstance(store, MemoryBlobStore)
        store.blobs[digest] = instead
