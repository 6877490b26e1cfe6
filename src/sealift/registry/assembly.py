"""The registry put together by hand: what one process needs, opened and closed in order."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from sealift.errors import SealiftError
from sealift.protocol.endpoints import Endpoint
from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.first_account import ensure_first_account, forget_first_password
from sealift.registry.access.guard import CATALOG, Guard
from sealift.registry.access.passwords import PasswordCheck
from sealift.registry.access.token_endpoint import TokenEndpoint
from sealift.registry.access.token_issuer import TokenIssuer, ensure_signing_key
from sealift.registry.access_log import AccessLog, Form
from sealift.registry.app import DELETE, PULL, PUSH, App, Route
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.blob_store.free_space import FreeSpace
from sealift.registry.blobs import Blobs
from sealift.registry.board import Slot
from sealift.registry.catalog.database import Catalog
from sealift.registry.collector import Collector
from sealift.registry.counters import Alarms, Counters, RequestCounters
from sealift.registry.data_directory import DataDirectory
from sealift.registry.exchange import Answer, Call
from sealift.registry.garbage import sweep_uploads
from sealift.registry.listings import Listings
from sealift.registry.management.account_routes import AccountRoutes
from sealift.registry.management.audit_routes import AuditRoutes
from sealift.registry.management.deleted_routes import DeletedRoutes
from sealift.registry.management.garbage_routes import GarbageRoutes
from sealift.registry.management.grant_routes import GrantRoutes
from sealift.registry.management.repository_routes import RepositoryRoutes
from sealift.registry.management.routes import Management
from sealift.registry.management.tag_routes import TagRoutes
from sealift.registry.manifests import Manifests
from sealift.registry.metrics import COLLECTED, WORKER_STARTS
from sealift.registry.pace import Pace, Patience
from sealift.registry.readiness import Readiness, catalog_check, directory_check, disk_check
from sealift.registry.referrers import Referrers
from sealift.registry.request_head import Door
from sealift.registry.room import Room
from sealift.registry.settings import Collection, Limits, Tags, Tokens
from sealift.registry.uploads import Uploads
from sealift.registry.watchers import Watchers

log = logging.getLogger(__name__)

SWEEP_EVERY_SECONDS: Final = 3600.0
"""How often uploads that nobody continues are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a registry is made with."""

    data: DataDirectory
    door: Door = field(default_factory=Door)
    tokens: Tokens = field(default_factory=Tokens)
    tags: Tags = field(default_factory=Tags)
    limits: Limits = field(default_factory=Limits)
    collection: Collection = field(default_factory=Collection)
    patience: Patience = field(default_factory=Patience)
    reserve_bytes: int | None = None
    """See `FreeSpace`."""

    workers: int = 1
    """Processes that share this machine's cores: one password is checked per core at a time."""

    access_log: Form | None = None
    """How each request is logged; None: it is not."""

    slot: Slot | None = None
    """Where this process counts; None: nobody asked for metrics."""


def prepare(data: DataDirectory) -> bool:
    """Make the data directory ready to be served: its catalog, the first account, a key to sign with.

    One process does this, holding the directory's lock, before any other opens it.

    Returns:
        Whether the first account was made now.
    """
    data.prepare()
    with Catalog(data.catalog) as catalog:
        made = ensure_first_account(catalog, data.path)
        catalog.write_now(lambda transaction: ensure_signing_key(transaction, now=catalog.now()))
    return made


@asynccontextmanager
async def open_registry(parts: Parts) -> AsyncIterator[App]:
    """The application of one process, over a data directory that `prepare` has made ready."""
    catalog = Catalog(parts.data.catalog)
    free = FreeSpace(parts.data.uploads, reserve_bytes=parts.reserve_bytes)
    store = FilesystemBlobStore(blobs=parts.data.blobs, uploads=parts.data.uploads, free=free)
    room = Room(catalog, free=free, staged_bytes=store.staged_bytes)
    threads = max(1, (os.cpu_count() or 1) // parts.workers)
    hashing = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
    counters = Counters(parts.slot)
    counters.add(WORKER_STARTS)
    alarms = Alarms(counters)
    access_log = None if parts.access_log is None else AccessLog(parts.access_log)
    audit = AuditTrail(catalog, counters=counters, alarms=alarms)
    passwords = PasswordCheck(hashing, threads=threads, now=time.monotonic, counters=counters)
    issuer = TokenIssuer(
        catalog,
        issuer=parts.tokens.issuer,
        service=parts.tokens.service,
        lifetime_seconds=parts.tokens.lifetime_seconds,
        now=time.time,
    )
    guard = Guard(catalog, issuer=issuer, passwords=passwords, audit=audit)
    collector = Collector(
        catalog=catalog, store=store, settings=parts.collection, lock=parts.data.collector_lock
    )
    management = Management(
        accounts=AccountRoutes(
            catalog,
            passwords,
            audit,
            password_changed=lambda name: forget_first_password(parts.data.path, name),
        ),
        repositories=RepositoryRoutes(catalog, guard, audit, parts.limits),
        tags=TagRoutes(catalog, guard, audit, parts.tags),
        deleted=DeletedRoutes(catalog, guard, audit, parts.collection),
        grants=GrantRoutes(catalog, audit),
        garbage=GarbageRoutes(collector, audit),
        audit=AuditRoutes(catalog, audit),
    )
    readiness = Readiness()
    readiness.add("catalog", catalog_check(catalog))
    readiness.add("blobs", directory_check(parts.data.blobs, parts.data.uploads))
    readiness.add("disk", disk_check(parts.data.path))
    app = App(
        _routes(catalog, store, guard, parts, room=room, alarms=alarms),
        guard=guard,
        tokens=TokenEndpoint(guard, issuer),
        management=management,
        readiness=readiness,
        pace=Pace(parts.patience, now=time.monotonic),
        door=parts.door,
        watchers=Watchers(
            alarms=alarms,
            requests=None if parts.slot is None else RequestCounters(parts.slot),
            access_log=access_log,
        ),
    )
    background = [
        asyncio.create_task(_sweep(catalog, store, parts.limits, counters)),
        asyncio.create_task(collector.run_for_ever()),
    ]
    try:
        yield app
    finally:
        for task in background:
            task.cancel()
        await asyncio.wait(background)
        if access_log is not None:
            access_log.flush()
        await audit.close()
        hashing.shutdown(wait=False, cancel_futures=True)
        store.close()
        catalog.close()


def _routes(
    catalog: Catalog, store: FilesystemBlobStore, guard: Guard, parts: Parts, *, room: Room, alarms: Alarms
) -> dict[Endpoint, Route]:
    """Every endpoint of the registry protocol: who answers, and what it takes."""
    limits = parts.limits
    blobs = Blobs(catalog, store, parts.collection, alarms)
    uploads = Uploads(catalog, store, limits, room=room, alarms=alarms)
    manifests = Manifests(catalog, store, limits, room=room, alarms=alarms)
    listings = Listings(catalog, limits)
    referrers = Referrers(catalog, limits)

    async def list_repositories(call: Call) -> Answer:
        return await listings.repositories(call, guard.visible(call.principal))

    return {
        Endpoint.BASE: Route(handler=_base),
        Endpoint.GET_BLOB: Route(handler=blobs.get, actions=PULL),
        Endpoint.DELETE_BLOB: Route(handler=blobs.delete, actions=DELETE),
        Endpoint.START_UPLOAD: Route(handler=uploads.start, actions=PUSH),
        Endpoint.SEND_CHUNK: Route(handler=uploads.send_chunk, actions=PUSH),
        Endpoint.FINISH_UPLOAD: Route(handler=uploads.finish, actions=PUSH),
        Endpoint.UPLOAD_STATUS: Route(handler=uploads.status, actions=PUSH),
        Endpoint.CANCEL_UPLOAD: Route(handler=uploads.cancel, actions=PUSH),
        Endpoint.GET_MANIFEST: Route(handler=manifests.get, actions=PULL),
        Endpoint.PUT_MANIFEST: Route(handler=manifests.put, actions=PUSH),
        Endpoint.DELETE_MANIFEST: Route(handler=manifests.delete, actions=DELETE),
        Endpoint.LIST_TAGS: Route(handler=listings.tags, actions=PULL),
        Endpoint.LIST_REFERRERS: Route(handler=referrers.get, actions=PULL),
        Endpoint.LIST_REPOSITORIES: Route(handler=list_repositories, registry=CATALOG),
    }


async def _base(call: Call) -> Answer:  # noqa: ARG001  one signature for all handlers
    """End-1: whoever gets here speaks the protocol and is known. Spec: distribution-spec v1.1.1, end-1."""
    return Answer(status=200, headers={"content-type": "application/json"}, body=b"{}")


async def _sweep(catalog: Catalog, store: FilesystemBlobStore, limits: Limits, counters: Counters) -> None:
    """End idle uploads, now and every hour. Processes that do it at once do not mind each other."""
    while True:
        try:
            swept = await sweep_uploads(catalog, store, limits)
            counters.add(COLLECTED, "idle upload", amount=len(swept.ended))
            counters.add(COLLECTED, "bytes of no upload", amount=len(swept.removed))
        except (OSError, SealiftError):
            log.exception("looking for idle uploads failed; it is tried again in an hour")
        await asyncio.sleep(SWEEP_EVERY_SECONDS)
