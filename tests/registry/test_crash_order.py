"""The machine stops at every single step of a push, and what is found afterwards is whole.

Two ways to stop: the process dies, and all that was written is there; or the
power goes, and what was not synced is lost: bytes, names, and commits of the
catalog that did not ask to be durable. The worst case of each is taken.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from tests.contracts.blob_store import varied
from tests.registry.scene import (
    REPOSITORY,
    Clock,
    Scene,
    body_of,
    call,
    descriptor,
    open_scene,
    upload_id_of,
)

from sealift.image.digest import Digest
from sealift.image.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Manifest
from sealift.registry.blob_store.disk import Disk
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.data_directory import DataDirectory
from sealift.registry.garbage import sweep_uploads
from sealift.registry.settings import Limits

T = TypeVar("T")

LAYER = varied(2_097_152)  # more than one batch
CONFIG = b'{"architecture":"amd64"}'
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG, OCI_CONFIG),
        "layers": [descriptor(LAYER, OCI_LAYER)],
    }
).encode()


class Stopped(Exception):
    """The machine does nothing any more."""


class Machine(Disk):
    """A disk that stops before a step, knows what was synced, and can lose the rest."""

    def __init__(self, stop_before: int | None) -> None:
        self.steps: list[str] = []
        self._stop_before = stop_before
        self._unsynced_bytes: set[Path] = set()
        self._unsynced_names: set[Path] = set()

    def step(self, name: str) -> None:
        if self._stop_before is not None and len(self.steps) >= self._stop_before:
            raise Stopped
        self.steps.append(name)

    def create(self, path: Path) -> int:
        self.step("create")
        self._unsynced_names.add(path)
        self._unsynced_bytes.add(path)
        return super().create(path)

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> int:
        self.step("write")
        self._unsynced_bytes.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        return super().write(descriptor, buffers, offset)

    def sync(self, descriptor: int) -> None:
        self.step("sync")
        super().sync(descriptor)
        self._unsynced_bytes.discard(Path(f"/proc/self/fd/{descriptor}").readlink())

    def rename(self, source: Path, target: Path) -> None:
        self.step("rename")
        super().rename(source, target)
        for unsynced in (self._unsynced_bytes, self._unsynced_names):
            unsynced.discard(target)
        if source in self._unsynced_bytes:
            self._unsynced_bytes.add(target)
        self._unsynced_bytes.discard(source)
        self._unsynced_names.discard(source)
        self._unsynced_names.add(target)

    def sync_directory(self, path: Path) -> None:
        self.step("sync names")
        super().sync_directory(path)
        self._unsynced_names = {each for each in self._unsynced_names if each.parent != path}

    def make_directory(self, path: Path) -> None:
        self.step("make directory")
        super().make_directory(path)
        self._unsynced_names.add(path)

    def remove(self, path: Path) -> None:
        self.step("remove")
        super().remove(path)
        self._unsynced_bytes.discard(path)

    def lose_what_was_not_synced(self) -> None:
        """The power goes."""
        for path in self._unsynced_bytes:
            if path.is_file():
                path.write_bytes(b"")
        for path in self._unsynced_names:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


class StoppingCatalog(Catalog):
    """A catalog on such a machine. It keeps a copy as of its last durable commit."""

    def __init__(self, path: Path, machine: Machine) -> None:
        super().__init__(path, now=Clock())
        self._machine = machine
        self.kept = path.with_name("kept.sqlite3")
        self._keep()

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        self._machine.step("begin")
        result = await super().write(work, durable=durable)
        if durable:
            self._keep()
        self._machine.step("committed")
        return result

    def _keep(self) -> None:
        with closing(sqlite3.connect(self.kept)) as copy:
            self._connection.backup(copy)


async def push(scene: Scene, acknowledged: dict[str, bytes]) -> None:
    """An image by three ways of uploading, noting what was answered 201."""
    started = await scene.uploads.start(call("POST", name=REPOSITORY))
    upload_id = upload_id_of(started)
    for start in (0, len(LAYER) // 2):
        part = body_of(LAYER[start : start + len(LAYER) // 2])
        await scene.uploads.send_chunk(call("PATCH", name=REPOSITORY, upload_id=upload_id, body=part))
    layer = Digest.of(LAYER)
    await scene.uploads.finish(call("PUT", name=REPOSITORY, upload_id=upload_id, query=f"digest={layer}"))
    acknowledged[str(layer)] = LAYER
    acknowledged[str(await scene.push_blob(CONFIG))] = CONFIG
    await scene.push_manifest(MANIFEST, "v1")
    acknowledged["v1"] = MANIFEST
    await scene.push_blob(LAYER, "another/one")  # the bytes are there already
    acknowledged["another/one"] = LAYER


async def check(scene: Scene, acknowledged: dict[str, bytes]) -> None:
    """Nothing dangles, and all that was acknowledged is there, byte for byte."""
    links = scene.catalog._connection.execute(
        "SELECT r.name, l.digest FROM blob_link l JOIN repository r ON r.id = l.repository_id"
    ).fetchall()
    for name, digest in links:
        found = await scene.get_blob(Digest.parse(digest), name)
        assert Digest.of(found) == Digest.parse(digest)
    tags = scene.catalog._connection.execute(
        "SELECT r.name, t.name FROM tag t JOIN repository r ON r.id = t.repository_id"
    ).fetchall()
    for name, tag in tags:
        for part in Manifest.parse(await scene.get_manifest(tag, name)).references:
            assert (name, str(part.digest)) in links
    for name, expected in acknowledged.items():
        if name == "v1":
            assert await scene.get_manifest("v1") == expected
        elif name == "another/one":
            assert await scene.get_blob(Digest.of(expected), name) == expected
        else:
            assert await scene.get_blob(Digest.parse(name)) == expected


async def run_until(directory: Path, stop_before: int | None, *, power_cut: bool) -> list[str]:
    """Push on a machine that stops, then look at it with a new one; the steps that were taken."""
    data = DataDirectory(directory)
    with data.lock():
        data.prepare()
    machine = Machine(stop_before)
    acknowledged: dict[str, bytes] = {}
    store = FilesystemBlobStore(blobs=data.blobs, uploads=data.uploads, disk=machine)
    with StoppingCatalog(data.catalog, machine) as catalog:
        scene = Scene(catalog=catalog, store=store, clock=Clock(), limits=Limits())
        try:
            await push(scene, acknowledged)
        except Stopped:
            assert stop_before is not None
    store.close()
    if power_cut:
        machine.lose_what_was_not_synced()
        for leftover in data.path.glob("catalog.sqlite3-*"):
            leftover.unlink()
        shutil.copyfile(catalog.kept, data.catalog)
    with open_scene(directory) as after:
        await check(after, acknowledged)
        await sweep_uploads(after.catalog, after.store, after.limits, orphans_older_than_seconds=-1)
        await push(after, acknowledged)
        await check(after, acknowledged)
    return machine.steps


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
async def test_stopped_before_every_step_nothing_dangles(tmp_path: Path, power_cut: bool) -> None:
    steps = await run_until(tmp_path / "whole", None, power_cut=power_cut)
    assert {"create", "write", "sync", "rename", "sync names", "begin", "committed"} <= set(steps)
    for stop_before in range(len(steps)):
        directory = tmp_path / str(stop_before)
        assert await run_until(directory, stop_before, power_cut=power_cut) == steps[:stop_before]
        shutil.rmtree(directory)
