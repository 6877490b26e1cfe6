import tarfile
from pathlib import Path

import pytest
from tests.client.images import MemorySource, sample_image, sample_index, write_layout
from tests.client.world import gathered, names_in

from sealift.client.copy import copy_image
from sealift.client.errors import ContentMismatch, LocalMalformed, LocalNotFound
from sealift.client.oci_archive import OciArchiveDestination, OciArchiveSource


def packed(path: Path, layout: Path, *, without: str = "\0") -> Path:
    """A layout as an archive, as ``tar -cf`` makes it; without members that begin so."""
    with tarfile.open(path, "w") as tar:
        for file in sorted(layout.rglob("*")):
            name = f"./{file.relative_to(layout)}"
            if not name.startswith(f"./{without}"):
                tar.add(file, name, recursive=False)
    return path


async def test_an_archive_is_read(tmp_path: Path) -> None:
    sample = sample_index()
    source = OciArchiveSource(packed(tmp_path / "a.tar", write_layout(tmp_path / "l", sample, "v1")))
    assert await source.root() == sample.root
    assert source.name == "v1"
    assert await source.manifest(sample.root.manifests[1]) == sample.manifests[1]
    layer = sample.manifests[1].layers[0]
    assert await gathered(source.blob(layer)) == sample.blobs[layer.digest]
    await source.close()


async def test_what_is_written_reads_back(tmp_path: Path) -> None:
    sample = sample_index()
    destination = OciArchiveDestination(tmp_path / "a.tar", "v1")
    await copy_image(MemorySource(sample), destination)
    await destination.close()
    source = OciArchiveSource(tmp_path / "a.tar", "v1")
    assert await source.root() == sample.root
    again = OciArchiveDestination(tmp_path / "b.tar", "v1")
    await copy_image(source, again)
    await again.close()
    assert names_in(tmp_path) == ["a.tar", "b.tar"]


async def test_a_copy_that_fails_leaves_the_old_archive_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"old")
    destination = OciArchiveDestination(tmp_path / "a.tar")
    with pytest.raises(ContentMismatch):
        await copy_image(MemorySource(sample_image(), failure=ContentMismatch("damaged")), destination)
    await destination.close()
    assert names_in(tmp_path) == ["a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("without", "why"),
    [
        pytest.param("index.json", "it holds no index.json", id="no index"),
        pytest.param("blobs", "it lacks sha256:", id="no blobs"),
    ],
)
async def test_an_archive_that_is_not_whole_is_refused(without: str, why: str, tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "l", sample_image())
    with pytest.raises(LocalMalformed) as raised:
        await OciArchiveSource(packed(tmp_path / "a.tar", layout, without=without)).root()
    assert why in (raised.value.why or "")


async def test_an_archive_of_docker_save_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / "manifest.json").write_text("[]")
    with pytest.raises(LocalMalformed) as raised:
        await OciArchiveSource(packed(tmp_path / "a.tar", tmp_path / "l")).root()
    assert raised.value.hint == f"it looks like docker save's: docker-archive:{tmp_path}/a.tar"


async def test_a_blob_that_lacks_is_told(tmp_path: Path) -> None:
    sample = sample_image()
    source = OciArchiveSource(packed(tmp_path / "a.tar", write_layout(tmp_path / "l", sample)))
    with pytest.raises(LocalMalformed):
        await gathered(source.blob(sample_image("arm64").root.layers[0]))
    with pytest.raises(LocalNotFound):
        await OciArchiveSource(tmp_path / "nothing.tar").root()


async def test_a_damaged_blob_is_found_out(tmp_path: Path) -> None:
    sample = sample_image()
    layout = write_layout(tmp_path / "l", sample)
    layer = sample.root.layers[0]
    (layout / "blobs" / "sha256" / layer.digest.encoded).write_bytes(b"x" * layer.size)
    source = OciArchiveSource(packed(tmp_path / "a.tar", layout))
    with pytest.raises(ContentMismatch):
        await gathered(source.blob(layer))
