"""The handlers of a registry over a real catalog and a store, and calls as the guard would let them pass."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sealift.image.digest import Digest
from sealift.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from sealift.registry.blob_store.blob_store import BlobStore
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.blob_store.memory import MemoryBlobStore
from sealift.registry.blobs import Blobs
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.repository_rows import create_repository
from sealift.registry.collector import Collector
from sealift.registry.data_directory import DataDirectory
from sealift.registry.exchange import Answer, Call, FileSlice, Principal
from sealift.registry.listings import Listings
from sealift.registry.manifests import Manifests
from sealift.registry.referrers import Referrers
from sealift.registry.refusal import RegistryRefusal
from sealift.registry.settings import Collection, Limits
from sealift.registry.uploads import Uploads

ASHOK = Principal(id=7, name="ashok")
MALLORY = Principal(id=8, name="mallory")
REPOSITORY = "apps/internal-app"
OTHER = "other/place"

NOON = 1_800_000_000_000_000
"""Microseconds since 1970: when a scene begins."""


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


async def body_of(data: bytes, *, size: int = 100_000) -> AsyncIterator[bytes]:
    """A request's body, as it comes from the wire."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(0)


@dataclass(kw_only=True)
class Scene:
    """A registry without its door."""

    catalog: Catalog
    store: BlobStore
    clock: Clock
    limits: Limits
    collection: Collection = field(default_factory=Collection)

    def __post_init__(self) -> None:
        self.blobs = Blobs(self.catalog, self.store, self.collection)
        self.uploads = Uploads(self.catalog, self.store, self.limits)
        self.manifests = Manifests(self.catalog, self.store, self.limits)
        self.collector = Collector(
            catalog=self.catalog,
            store=self.store,
            settings=self.collection,
            lock=self.catalog.path.with_name("collector.lock"),
        )
        self.listings = Listings(self.catalog, self.limits)
        self.referrers = Referrers(self.catalog, self.limits, self.store.alarms)

    def limited(self, **limits: int) -> "Scene":
        """The same registry with other limits."""
        return replace(self, limits=replace(self.limits, **limits))

    def collecting(self, **settings: Any) -> "Scene":
        """The same registry, collecting by other rules."""
        return replace(self, collection=replace(self.collection, **settings))

    async def push_blob(self, data: bytes, name: str = REPOSITORY, by: Principal = ASHOK) -> Digest:
        """Push a blob in one request."""
        digest = Digest.of(data)
        answer = await self.uploads.start(call("POST", name=name, query=f"digest={digest}", body=data, by=by))
        assert answer.status == 201
        return digest

    async def push_manifest(
        self, document: Mapping[str, Any] | bytes, reference: str = "", name: str = REPOSITORY
    ) -> Answer:
        """Push a manifest, by its own digest if no tag is given."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        kind = json.loads(data).get("mediaType", OCI_MANIFEST)
        return await self.manifests.put(
            call(
                "PUT",
                name=name,
                reference=reference or str(Digest.of(data)),
                headers={"content-type": kind},
                body=data,
            )
        )

    async def push_image(self, tag: str = "", name: str = REPOSITORY, *, salt: str = "") -> Digest:
        """Push an image of one layer, and say its digest."""
        document = await self.image(name, salt=salt)
        answer = await self.push_manifest(document, tag, name)
        return Digest.parse(answer.headers["docker-content-digest"])

    async def image(self, name: str = REPOSITORY, *, salt: str = "", **more: Any) -> dict[str, Any]:
        """A manifest whose blobs have been pushed."""
        config, layer = f'{{"salt":"{salt}"}}'.encode(), f"layer {salt}".encode()
        await self.push_blob(config, name)
        await self.push_blob(layer, name)
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(layer, OCI_LAYER)],
            **more,
        }

    def make_repository(self, name: str, *, public: bool = False) -> None:
        """Make a repository as an admin would."""
        self.catalog.write_now(
            lambda transaction: create_repository(
                transaction, name=name, visibility="public" if public else "private", by="admin", now=NOON
            )
        )

    async def get_manifest(self, reference: str, name: str = REPOSITORY) -> bytes:
        """The bytes of a manifest."""
        answer = await self.manifests.get(call("GET", name=name, reference=reference))
        return await body_bytes(answer)

    async def get_blob(self, digest: Digest, name: str = REPOSITORY) -> bytes:
        """The bytes of a blob."""
        answer = await self.blobs.get(call("GET", name=name, digest=str(digest)))
        return await body_bytes(answer)


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """What a manifest says of content."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(data), **more}


def index_of(*digests: Digest, size: int = 1, **more: Any) -> dict[str, Any]:
    """An index of manifests that have `size` bytes each."""
    entries = [{"mediaType": OCI_MANIFEST, "digest": str(each), "size": size} for each in digests]
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **more}


def call(
    method: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes | AsyncIterator[bytes] = b"",
    by: Principal = ASHOK,
    readable: frozenset[str] = frozenset(),
    base_url: str = "",
    sized: bool = True,
    **path: str,
) -> Call:
    """A request that the guard has let pass.

    Args:
        method: Of the request.
        query: As in a URL.
        headers: Besides the Content-Length.
        body: Bytes, or a stream that has no length.
        by: Who asks.
        readable: Other repositories that the token may pull.
        base_url: Where the registry says it is.
        sized: Whether bytes come with a Content-Length.
        path: The parts of the route.
    """
    sent = dict(headers or {})
    if isinstance(body, bytes) and sized and method in {"POST", "PUT", "PATCH"}:
        sent.setdefault("content-length", str(len(body)))
    asked: dict[str, tuple[str, ...]] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        asked[key] = (*asked.get(key, ()), value)
    return Call(
        method=method,
        path=path,
        query=asked,
        headers=sent,
        body=body_of(body) if isinstance(body, bytes) else body,
        principal=by,
        readable=readable,
        base_url=base_url,
    )


async def body_bytes(answer: Answer) -> bytes:
    """The body of an answer, as the door would send it."""
    body = answer.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileSlice):
        return body.path.read_bytes()[body.start : body.stop]
    return b"".join([piece async for piece in body])


def upload_id_of(answer: Answer) -> str:
    """The id in the Location of an upload."""
    return urlsplit(answer.headers["location"]).path.rpartition("/")[2]


async def refused(work: Any) -> tuple[str, int]:
    """The code and the status with which a handler refuses."""
    try:
        answer = await work
    except RegistryRefusal as refusal:
        return str(refusal.code), refusal.status
    raise AssertionError(f"it was not refused, but answered {answer}")


@contextmanager
def open_scene(directory: Path, *, memory: bool = False) -> Iterator[Scene]:
    """A registry in a new data directory."""
    data = DataDirectory(directory)
    with data.lock():
        data.prepare()
    clock = Clock()
    store = MemoryBlobStore() if memory else FilesystemBlobStore(blobs=data.blobs, uploads=data.uploads)
    with Catalog(data.catalog, now=clock) as catalog:
        yield Scene(catalog=catalog, store=store, clock=clock, limits=Limits())
    if isinstance(store, FilesystemBlobStore):
        store.close()


SceneMaker = Callable[[], Scene]
