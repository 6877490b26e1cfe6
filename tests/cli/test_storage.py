"""``storage check``, ``backup`` and ``restore`` as a user types them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.outcomes import Command, check_refused, damage, largest
from tests.peers.images import SampleImage
from tests.served import Served, serving


@pytest.fixture
def own(tmp_path: Path, sealift: Command, image: SampleImage, home: Path) -> Iterator[Served]:
    """A registry of this test's own, with one image in it."""
    assert home.is_dir()
    with serving(tmp_path / "data") as server:
        given = server.admin_password.encode()
        assert sealift("login", "-u", "admin", "--password-stdin", server.address, stdin=given).status == 0
        assert sealift("push", f"oci:{image.layout}:v1", server.image("admin/app")).status == 0
        yield server


def test_what_is_wrong_is_said_with_what_mends_it_and_typing_that_mends_it(
    own: Served, sealift: Command, image: SampleImage
) -> None:
    check = ("storage", "check", "--data", str(own.data))
    whole = sealift(*check, "--deep")
    assert (whole.status, whole.out.endswith(b"1 manifests, 1 tags: nothing wrong\n")) == (0, True)
    layer = largest(own.data / "blobs")
    damage(layer)
    assert sealift(*check).status == 0  # it was not read
    wrong = sealift(*check, "--deep")
    assert wrong.status == 1
    first, images, mend, last = wrong.out.decode().splitlines()
    assert first == f"the stored blob sha256:{layer.name} is damaged: its bytes have another digest"
    assert images == "  images: admin/app:v1"
    assert mend == "  next: sealift push SOURCE REGISTRY/admin/app:v1"
    assert last.endswith(": 1 thing wrong")
    typed = mend.removeprefix("  next: sealift ").replace("SOURCE", f"oci:{image.layout}:v1")
    assert sealift(*typed.replace("REGISTRY", own.address).split()).status == 0
    assert sealift(*check, "--deep").status == 0


def test_a_check_for_programs(own: Served, sealift: Command) -> None:
    layer = largest(own.data / "blobs")
    layer.unlink()
    wrong = sealift("storage", "check", "--data", str(own.data), "-o", "json")
    document = json.loads(wrong.out)
    assert (wrong.status, document["kind"], document["manifests"]) == (1, "StorageCheck", 1)
    (fault,) = document["faults"]
    assert (fault["code"], fault["digest"]) == ("blob-missing", f"sha256:{layer.name}")
    assert fault["images"] == ["admin/app:v1"]


@pytest.mark.parametrize("name", ["copy", "copy.tar"])
def test_a_registry_goes_into_a_backup_and_comes_back(
    own: Served, sealift: Command, tmp_path: Path, name: str
) -> None:
    made = sealift("backup", str(tmp_path / name), "--data", str(own.data), "-o", "json")
    document = json.loads(made.out)
    assert (made.status, document["kind"], document["damaged"]) == (0, "Backup", [])
    assert document["copied"] == {"blobs": document["blobs"], "bytes": document["bytes"]}
    back = sealift("restore", str(tmp_path / name), "--data", str(tmp_path / "back"))
    assert (back.status, back.out.endswith(b", each held against its digest\n")) == (0, True)
    assert sealift("storage", "check", "--deep", "--data", str(tmp_path / "back")).status == 0


def test_a_backup_of_a_damaged_registry_says_so(own: Served, sealift: Command, tmp_path: Path) -> None:
    layer = largest(own.data / "blobs")
    damage(layer)
    made = sealift("backup", str(tmp_path / "copy"), "--data", str(own.data))
    assert made.status == 1
    assert f"damaged, and not in the backup: sha256:{layer.name}" in made.out.decode()
    assert f"next: sealift storage check --data {own.data}" in made.out.decode()
    back = sealift("restore", str(tmp_path / "copy"), "--data", str(tmp_path / "back"))
    assert back.status == 1
    assert "next: sealift push SOURCE REGISTRY/admin/app:v1" in back.out.decode()


@pytest.mark.usefixtures("home")
def test_places_that_are_none(own: Served, sealift: Command, tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing")
    check_refused(sealift("storage", "check", "--data", nothing), 8, nothing)
    check_refused(sealift("backup", str(tmp_path / "copy"), "--data", nothing), 8, nothing)
    check_refused(sealift("restore", nothing, "--data", str(tmp_path / "back")), 8, nothing)
    check_refused(sealift("restore", str(own.log), "--data", str(tmp_path / "back")), 2, own.log.name)
    check_refused(sealift("backup", str(own.data / "b"), "--data", str(own.data)), 8, str(own.data))
    assert sealift("backup", str(tmp_path / "copy"), "--data", str(own.data)).status == 0
    check_refused(sealift("restore", str(tmp_path / "copy"), "--data", str(own.data)), 8, "not empty")
    shutil.rmtree(tmp_path / "copy" / "blobs")
    (tmp_path / "copy" / "backup.json").unlink()
    check_refused(
        sealift("restore", str(tmp_path / "copy"), "--data", str(tmp_path / "back")), 2, "backup.json"
    )
