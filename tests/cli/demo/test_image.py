"""The demo's OCI layouts, read back."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from sealift.cli.demo.image import write_layout
from sealift.cli.demo.program import ARCHITECTURES, waiting_program
from sealift.image.digest import Digest
from sealift.image.manifest import Manifest

PROGRAMS = {architecture: waiting_program(architecture) for architecture in ARCHITECTURES}


def blob(layout: Path, digest: str) -> bytes:
    algorithm, _, encoded = digest.partition(":")
    content = (layout / "blobs" / algorithm / encoded).read_bytes()
    assert str(Digest.of(content)) == digest
    return content


def document(content: bytes) -> Any:
    return json.loads(content)


def test_one_index_of_two_platforms(tmp_path: Path) -> None:
    digest = write_layout(tmp_path, tag="latest", name="app", programs=PROGRAMS)
    assert document((tmp_path / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    (top,) = document((tmp_path / "index.json").read_bytes())["manifests"]
    assert top["digest"] == str(digest)
    assert top["annotations"] == {"org.opencontainers.image.ref.name": "latest"}
    index = Manifest.parse(blob(tmp_path, top["digest"]), top["mediaType"])
    assert [str(one.platform) for one in index.manifests] == ["linux/amd64", "linux/arm64"]
    for descriptor, (architecture, program) in zip(index.manifests, PROGRAMS.items(), strict=True):
        manifest = Manifest.parse(blob(tmp_path, str(descriptor.digest)), descriptor.media_type)
        assert manifest.config is not None
        config = document(blob(tmp_path, str(manifest.config.digest)))
        assert (config["os"], config["architecture"]) == ("linux", architecture)
        assert config["config"] == {"User": "65532:65532", "Entrypoint": ["/app"], "WorkingDir": "/"}
        (layer,) = manifest.layers
        assert config["rootfs"] == {"type": "layers", "diff_ids": [str(layer.digest)]}
        with tarfile.open(fileobj=io.BytesIO(blob(tmp_path, str(layer.digest)))) as files:
            (member,) = files.getmembers()
            content = files.extractfile(member)
            assert content is not None
            assert (member.name, member.mode, member.mtime, content.read()) == ("app", 0o555, 0, program)


def test_the_same_digest_on_every_machine(tmp_path: Path) -> None:
    first = write_layout(tmp_path / "a", tag="x", name="app", programs=PROGRAMS)
    second = write_layout(tmp_path / "b", tag="y", name="app", programs=PROGRAMS)
    assert first == second
    assert str(first) == "sha256:6990542318cdd48744856bb40cb8f4d6da7c7255bf49433d9725443e8ffaa80a"
