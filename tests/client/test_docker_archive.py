"""``docker save`` archives: the manifest that is made, what is checked, and what is written."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from tests.client.images import MemorySource, Sample, layer_of, sample_image, sample_index
from tests.client.world import gathered, names_in

from sealift.client.copy import copy_image
from sealift.client.docker_archive import DockerArchiveDestination, DockerArchiveSource
from sealift.client.errors import ContentMismatch, LocalMalformed, UnusableManifest
from sealift.image.digest import Digest
from sealift.image.manifest import DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST

TAR, PACKED = layer_of("bin/x", b"hello" * 1000)


def config_for(*layers: bytes) -> bytes:
    diff_ids = [str(Digest.of(layer)) for layer in layers]
    return json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()


def saved(
    path: Path,
    *,
    config: bytes | None = None,
    layers: dict[str, bytes] | None = None,
    links: dict[str, str] | None = None,
    listed: object = None,
) -> Path:
    """An archive as ``docker save`` makes it, or as somebody damaged it."""
    config = config_for(TAR) if config is None else config
    layers = {"1/layer.tar": TAR} if layers is None else layers
    names = [*layers, *(links or {})]
    manifest = [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": names}] if listed is None else listed
    with tarfile.open(path, "w") as tar:
        for name, data in {
            **layers,
            "c.json": config,
            "manifest.json": json.dumps(manifest).encode(),
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


async def test_a_manifest_is_made_as_docker_push_makes_it(tmp_path: Path) -> None:
    source = DockerArchiveSource(saved(tmp_path / "a.tar"))
    root = await source.root()
    assert root.media_type == DOCKER_MANIFEST
    assert root.config is not None
    assert (root.config.media_type, root.config.digest) == (DOCKER_CONFIG, Digest.of(config_for(TAR)))
    (layer,) = root.layers
    assert layer.media_type == DOCKER_LAYER_GZIP
    packed = await gathered(source.blob(layer))
    assert (len(packed), Digest.of(packed), gzip.decompress(packed)) == (layer.size, layer.digest, TAR)
    assert await gathered(source.blob(root.config)) == config_for(TAR)
    assert source.names == ("x:1",)
    await source.close()


async def test_the_same_archive_makes_the_same_image_each_time(tmp_path: Path) -> None:
    digests = set()
    for _ in range(2):
        source = DockerArchiveSource(saved(tmp_path / "a.tar"))
        digests.add((await source.root()).digest)
        await source.close()
    assert len(digests) == 1


async def test_a_layer_that_is_compressed_stays_as_it_is(tmp_path: Path) -> None:
    source = DockerArchiveSource(saved(tmp_path / "a.tar", layers={"l.tar.gz": PACKED}))
    (layer,) = (await source.root()).layers
    assert layer.digest == Digest.of(PACKED)
    assert await gathered(source.blob(layer)) == PACKED


async def test_a_layer_that_is_a_link_to_another_is_that_layer(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tar", config=config_for(TAR, TAR), links={"2/layer.tar": "../1/layer.tar"})
    source = DockerArchiveSource(path)
    first, second = (await source.root()).layers
    assert first == second
    await source.close()


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(TAR[:-1] + b"x", id="another layer"),
        pytest.param(gzip.compress(TAR + b"x"), id="another layer, compressed"),
        pytest.param(b"", id="an empty one"),
    ],
)
async def test_a_layer_that_is_not_what_the_configuration_says_is_found_out(
    layer: bytes, tmp_path: Path
) -> None:
    source = DockerArchiveSource(saved(tmp_path / "a.tar", layers={"1/layer.tar": layer}))
    with pytest.raises(ContentMismatch):
        await source.root()
    await source.close()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"listed": []}, "is no list of images", id="no image"),
        pytest.param({"listed": {}}, "is no list of images", id="no list"),
        pytest.param({"listed": [{}]}, "not there", id="an image of nothing"),
        pytest.param({"listed": [{"Config": "c.json"}, {}]}, "holds 2 images", id="two images"),
        pytest.param(
            {"listed": [{"Config": "../../etc/passwd", "Layers": []}]},
            "not there",
            id="a configuration elsewhere",
        ),
        pytest.param(
            {"listed": [{"Config": "c.json", "Layers": ["/etc/passwd"]}]},
            "it lacks the layer",
            id="a layer elsewhere",
        ),
        pytest.param(
            {"listed": [{"Config": "c.json", "Layers": []}]}, "it has 0 layers", id="a layer too few"
        ),
        pytest.param({"config": b"{}"}, "names no layers", id="no diff_ids"),
        pytest.param(
            {"config": b'{"rootfs":{"diff_ids":["x"]}}'}, "names no layers", id="diff_ids that are none"
        ),
        pytest.param({"config": b"[" * 99999}, "names no layers", id="a JSON bomb"),
        pytest.param({"layers": {"l": PACKED[:20]}}, None, id="a compressed layer that is cut off"),
        pytest.param(
            {"layers": {"l": PACKED[:10] + b"\xff" * 20}},
            "cannot be uncompressed",
            id="a compressed layer that is none",
        ),
    ],
)
async def test_what_is_no_such_archive_is_refused(
    fields: dict[str, object], why: str | None, tmp_path: Path
) -> None:
    source = DockerArchiveSource(saved(tmp_path / "a.tar", **fields))  # type: ignore[arg-type]  # as the table says
    with pytest.raises((LocalMalformed, ContentMismatch)) as raised:
        await source.root()
    await source.close()
    if why is not None:
        assert why in (raised.value.why or "")


async def test_an_oci_archive_is_told_apart(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("index.json"))
    with pytest.raises(LocalMalformed) as raised:
        await DockerArchiveSource(tmp_path / "a.tar").root()
    assert raised.value.hint == f"it looks like an OCI archive: oci-archive:{tmp_path}/a.tar"


# --------------------------------------------------------------------- writing


async def written(path: Path, sample: Sample, name: str | None) -> None:
    destination = DockerArchiveDestination(path, name)
    try:
        await copy_image(MemorySource(sample), destination)
    finally:
        await destination.close()


async def test_an_image_is_written_as_docker_load_reads_it(tmp_path: Path) -> None:
    sample = sample_image()
    await written(tmp_path / "a.tar", sample, "r.io/x:1")
    config, layer = sample.root.config, sample.root.layers[0]
    assert config is not None
    with tarfile.open(tmp_path / "a.tar") as tar:
        files = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]  # all are files
    names = f"{config.digest.encoded}.json", f"{layer.digest.encoded}.tar.gz"
    assert json.loads(files.pop("manifest.json")) == [
        {"Config": names[0], "RepoTags": ["r.io/x:1"], "Layers": [names[1]]}
    ]
    assert files == dict(zip(names, (sample.blobs[config.digest], sample.blobs[layer.digest]), strict=True))


async def test_what_is_written_reads_back_as_the_same_content(tmp_path: Path) -> None:
    sample = sample_image()
    await written(tmp_path / "a.tar", sample, None)
    source = DockerArchiveSource(tmp_path / "a.tar")
    root = await source.root()
    assert [layer.digest for layer in root.layers] == [layer.digest for layer in sample.root.layers]


async def test_an_index_does_not_go_into_such_an_archive(tmp_path: Path) -> None:
    with pytest.raises(UnusableManifest) as raised:
        await written(tmp_path / "a.tar", sample_index(), None)
    assert "--platform" in (raised.value.hint or "")
    assert names_in(tmp_path) == []
