"""OCI layouts: found by tag, written whole, never half."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.images import MemorySource, Sample, sample_image, sample_index, write_layout
from tests.client.world import blob_of, gathered, names_in, parts

from sealift.client.copy import copy_image
from sealift.client.errors import (
    ContentMismatch,
    LocalMalformed,
    LocalNotFound,
    LocalRefusal,
    UnusableManifest,
)
from sealift.client.layout import LayoutDestination, LayoutIndex, LayoutSource, blob_file
from sealift.client.registry_client import Delivery
from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import OCI_MANIFEST


def index_in(directory: Path) -> list[dict[str, object]]:
    document = json.loads((directory / "index.json").read_text())
    assert document["schemaVersion"] == 2
    listed: list[dict[str, object]] = document["manifests"]
    return listed


def tags_in(directory: Path) -> dict[str | None, str]:
    found = {}
    for entry in index_in(directory):
        annotations = entry.get("annotations", {})
        assert isinstance(annotations, dict)
        found[annotations.get("org.opencontainers.image.ref.name")] = str(entry["digest"])
    return found


def into_a_pipe(directory: Path) -> None:
    (directory / "index.json").unlink()
    os.mkfifo(directory / "index.json")


# --------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        pytest.param((), None, id="the only one, without a tag"),
        pytest.param(("v1",), None, id="the only one, with a tag"),
        pytest.param(("v1", "v2"), None, id="one image with two tags"),
        pytest.param(("v1", "v2"), "v2", id="by tag"),
    ],
)
async def test_an_image_is_found(tags: tuple[str, ...], asked: str | None, tmp_path: Path) -> None:
    sample = sample_index()
    source = LayoutSource(write_layout(tmp_path, sample, *tags), asked)
    assert await source.root() == sample.root
    assert await source.manifest(sample.root.manifests[0]) == sample.manifests[0]
    layer = sample.manifests[0].layers[0]
    assert await gathered(source.blob(layer)) == sample.blobs[layer.digest]
    await source.close()


async def test_the_name_that_docker_writes_is_a_tag_too(tmp_path: Path) -> None:
    sample = sample_image()
    write_layout(tmp_path, sample)
    entry = index_in(tmp_path)[0] | {"annotations": {"io.containerd.image.name": "docker.io/library/x:v1"}}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
    assert await LayoutSource(tmp_path, "v1").root() == sample.root


@pytest.mark.parametrize(
    ("damage", "kind", "exit_status"),
    [
        pytest.param(lambda _: None, LocalNotFound, 3, id="no such tag"),
        pytest.param(lambda d: (d / "oci-layout").unlink(), LocalNotFound, 3, id="no layout"),
        pytest.param(
            lambda d: (d / "oci-layout").write_text("{}"), LocalMalformed, 2, id="a layout of no version"
        ),
        pytest.param(lambda d: (d / "index.json").unlink(), LocalNotFound, 3, id="no index"),
        pytest.param(
            lambda d: (d / "index.json").write_text("{"), LocalMalformed, 2, id="an index that is no JSON"
        ),
        pytest.param(
            lambda d: (d / "index.json").write_text("[" * 99999), LocalMalformed, 2, id="a JSON bomb"
        ),
        pytest.param(
            lambda d: (d / "index.json").write_text('{"manifests":1}'), LocalMalformed, 2, id="no list"
        ),
        pytest.param(
            lambda d: (d / "index.json").write_text('{"manifests":[{}]}'),
            LocalMalformed,
            2,
            id="no descriptors",
        ),
        pytest.param(
            lambda d: (d / "index.json").write_bytes(b" " * (5 << 20)),
            LocalMalformed,
            2,
            id="an index of 5 MiB",
        ),
        pytest.param(into_a_pipe, LocalRefusal, 8, id="a pipe"),
    ],
)
async def test_what_is_no_layout_is_refused(
    damage: Callable[[Path], object], kind: type[SealiftError], exit_status: int, tmp_path: Path
) -> None:
    write_layout(tmp_path, sample_image(), "v1")
    damage(tmp_path)
    with pytest.raises(kind) as raised:
        await LayoutSource(tmp_path, "other").root()
    assert (type(raised.value), raised.value.exit_status) == (kind, exit_status)


async def test_several_images_without_a_tag_are_named(tmp_path: Path) -> None:
    for sample, tag in ((sample_image("amd64"), "v1"), (sample_image("arm64"), "v2")):
        await copy_image(MemorySource(sample), LayoutDestination(tmp_path, tag))
    with pytest.raises(LocalNotFound) as raised:
        await LayoutSource(tmp_path).root()
    assert raised.value.why == "it holds 2 images, tagged v1, v2"
    assert raised.value.hint == "name one of its tags: oci:DIR:TAG"


@pytest.mark.parametrize("content", [b"", b"hellO", b"hello, and more"])
async def test_a_blob_that_is_damaged_is_found_out(content: bytes, tmp_path: Path) -> None:
    sample = sample_image()
    write_layout(tmp_path, sample)
    layer = sample.root.layers[0]
    path = blob_file(tmp_path, layer.digest)
    path.write_bytes(content or path.read_bytes()[:-1])
    with pytest.raises(ContentMismatch):
        await gathered(LayoutSource(tmp_path).blob(layer))


async def test_a_manifest_that_is_damaged_is_found_out(tmp_path: Path) -> None:
    sample = sample_image()
    write_layout(tmp_path, sample)
    path = blob_file(tmp_path, sample.root.digest)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ContentMismatch):
        await LayoutSource(tmp_path).root()


async def test_a_manifest_that_is_none_is_told(tmp_path: Path) -> None:
    descriptor = Descriptor(OCI_MANIFEST, Digest.of(b"{}"), 2)
    write_layout(tmp_path, sample_image())
    blob_file(tmp_path, descriptor.digest).write_bytes(b"{}")
    with pytest.raises(UnusableManifest):
        await LayoutSource(tmp_path).manifest(descriptor)


# --------------------------------------------------------------------- writing


async def test_a_layout_is_made_and_reads_back(tmp_path: Path) -> None:
    sample, directory = sample_index(), tmp_path / "deep" / "layout"
    await copy_image(MemorySource(sample), LayoutDestination(directory, "v1"))
    assert names_in(directory) == ["blobs", "index.json", "oci-layout"]
    assert len(names_in(directory / "blobs" / "sha256")) == 7
    assert tags_in(directory) == {"v1": str(sample.root.digest)}
    assert await LayoutSource(directory, "v1").root() == sample.root


async def test_a_second_image_is_added_and_a_tag_moves(tmp_path: Path) -> None:
    first, second = sample_image("amd64"), sample_image("arm64")
    for sample, tag in ((first, "v1"), (second, "v2"), (second, "v1"), (first, None), (first, None)):
        await copy_image(MemorySource(sample), LayoutDestination(tmp_path, tag))
    assert tags_in(tmp_path) == {
        "v1": str(second.root.digest),
        "v2": str(second.root.digest),
        None: str(first.root.digest),
    }
    assert len(index_in(tmp_path)) == 3


async def test_what_the_index_says_besides_is_kept(tmp_path: Path) -> None:
    write_layout(tmp_path, sample_image(), "v1")
    document = json.loads((tmp_path / "index.json").read_text()) | {"annotations": {"a": "b"}}
    (tmp_path / "index.json").write_text(json.dumps(document))
    await copy_image(MemorySource(sample_image("arm64")), LayoutDestination(tmp_path, "v2"))
    assert json.loads((tmp_path / "index.json").read_text())["annotations"] == {"a": "b"}


async def test_a_blob_that_is_there_is_not_fetched_and_a_damaged_one_is(tmp_path: Path) -> None:
    sample = sample_image()
    write_layout(tmp_path, sample)
    layer = sample.root.layers[0]
    path = blob_file(tmp_path, layer.digest)
    path.write_bytes(b"\0" * layer.size)
    source = MemorySource(sample)
    report = await copy_image(source, LayoutDestination(tmp_path, "v1"))
    assert source.opened == [layer.digest]
    assert (report.count(Delivery.SENT), report.count(Delivery.EXISTED)) == (1, 1)
    assert path.read_bytes() == sample.blobs[layer.digest]


async def test_a_copy_that_fails_leaves_the_layout_as_it_was(tmp_path: Path) -> None:
    write_layout(tmp_path, sample_image("amd64"), "v1")
    before = tags_in(tmp_path)
    source = MemorySource(sample_image("arm64"), failure=ContentMismatch("damaged on the way"))
    with pytest.raises(ContentMismatch):
        await copy_image(source, LayoutDestination(tmp_path, "v1"))
    assert tags_in(tmp_path) == before
    assert not [name for name in names_in(tmp_path / "blobs" / "sha256") if name.startswith(".")]
    assert await LayoutSource(tmp_path, "v1").root() == sample_image("amd64").root


async def test_many_copies_into_one_layout_at_once_all_arrive(tmp_path: Path) -> None:
    samples = {f"v{number}": sample_image(content=str(number).encode()) for number in range(8)}
    await asyncio.gather(
        *(
            copy_image(MemorySource(sample), LayoutDestination(tmp_path, tag))
            for tag, sample in samples.items()
        )
    )
    assert tags_in(tmp_path) == {tag: str(sample.root.digest) for tag, sample in samples.items()}


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalRefusal) as raised:
        await LayoutDestination(tmp_path / "file", "v1").put_blob(
            blob_of(b"a"), lambda: parts(b"a"), mount_from=None
        )
    assert str(tmp_path / "file") in str(raised.value)


def test_an_index_of_null_is_empty() -> None:
    assert LayoutIndex.parse(b'{"manifests":null}', "x").entries == ()


async def test_a_layout_of_a_sample_is_what_write_layout_says(tmp_path: Path) -> None:
    """The fixture and the code agree about what a layout is."""
    sample = Sample(sample_image().root, (), sample_image().blobs)
    await copy_image(
        LayoutSource(write_layout(tmp_path / "a", sample, "v1")), LayoutDestination(tmp_path / "b", "v1")
    )
    assert names_in(tmp_path / "a" / "blobs" / "sha256") == names_in(tmp_path / "b" / "blobs" / "sha256")
