"""``sealift import`` from a real docker-registry: its file tree, over the wire, and stopped in the middle."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.peers.clients import Sealift, Skopeo
from tests.peers.ground import Ground
from tests.peers.images import SampleImage, sample_image, sample_index
from tests.peers.registries import PASSWORD, USERNAME, Registry, docker_registry_with_passwords
from tests.peers.slow_line import SlowLine
from tests.peers.test_interrupted import ENDINGS, LAYER, Ending, interrupt, run
from tests.served import SEALIFT, Served, basic, serving

pytestmark = pytest.mark.peers


@pytest.fixture
def old(machine: Ground) -> Iterator[Registry]:
    """A docker-registry of the test's own."""
    with docker_registry_with_passwords(machine) as registry:
        yield registry


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Served]:
    """A Sealift server of the test's own."""
    with serving(tmp_path / "new") as served:
        yield served


def logins(directory: Path, *pairs: tuple[str, str]) -> dict[str, str]:
    """An environment with these logins, each an address and what Basic sends."""
    directory.mkdir(exist_ok=True)
    auths = {address: {"auth": auth.removeprefix("Basic ")} for address, auth in pairs}
    (directory / "config.json").write_text(json.dumps({"auths": auths}))
    return {**os.environ, "DOCKER_CONFIG": str(directory), "HOME": str(directory)}


def import_(environment: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Its status and its report."""
    done = subprocess.run(
        [*SEALIFT, "import", *arguments, "-o", "json"],
        env=environment,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in {0, 1}, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def failed(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    """What could not be brought over, and where."""
    return {(each["kind"], each["repository"], each["place"]) for each in report["failures"]}


@dataclass(frozen=True, slots=True)
class Filled:
    """What is in the old registry."""

    whole: tuple[str, ...]
    """Tags that have to come over, as REPOSITORY:TAG."""

    untagged: str
    """A manifest of apps/web that no tag stands for any more."""

    signature: str
    """The tag under which cosign would keep a signature."""


def fill(skopeo: Skopeo, old: Registry, directory: Path) -> Filled:
    """Images as years of use leave them."""
    skopeo.log_in(old).checked()

    def push(image: SampleImage, name: str, *flags: str) -> None:
        skopeo.copy(f"oci:{image.layout}:v1", f"docker://{old.address}/{name}", *flags).checked()

    single, index = sample_image(directory / "single"), sample_index(directory / "index")
    earlier, later = sample_image(directory / "earlier"), sample_image(directory / "later")
    signature = f"sha256-{single.digest.removeprefix('sha256:')}.sig"
    push(single, "apps/web:v1")
    push(index, "apps/web:multi", "--all")
    push(single, "apps/web:docker", "--format", "v2s2")
    push(index, "apps/web:docker-multi", "--all", "--format", "v2s2")
    push(earlier, "apps/web:moving")
    push(later, "apps/web:moving")
    push(sample_image(directory / "signature"), f"apps/web:{signature}")
    push(single, "apps/deep/er/api:v1")
    whole = [*(f"apps/web:{tag}" for tag in ("v1", "multi", "docker", "docker-multi", "moving", signature))]
    return Filled((*whole, "apps/deep/er/api:v1"), earlier.digest, signature)


def copied(skopeo: Skopeo, address: str, name: str, into: Path) -> dict[str, bytes]:
    """Every byte of an image with all its platforms, as skopeo gets it."""
    skopeo.copy(f"docker://{address}/{name}", f"dir:{into}", "--all").checked()
    return {path.name: path.read_bytes() for path in into.iterdir()}


def check_same(skopeo: Skopeo, old: Registry, new: Served, names: tuple[str, ...], directory: Path) -> None:
    """Both registries give the same bytes."""
    where = Registry("new", new.address)
    skopeo.log_in(where, "admin", new.admin_password).checked()
    for number, name in enumerate(names):
        before = copied(skopeo, old.address, name, directory / f"before-{number}")
        assert copied(skopeo, new.address, name, directory / f"after-{number}") == before


def test_the_file_tree_of_a_docker_registry(
    skopeo: Skopeo, ours: Sealift, old: Registry, new: Served, tmp_path: Path
) -> None:
    filled = fill(skopeo, old, tmp_path)
    assert old.data is not None
    tree = old.data / "docker" / "registry" / "v2"
    for name in ("apps/web:gone", "apps/bare:v1"):
        image = sample_image(tmp_path / name.replace("/", "-").replace(":", "-"))
        skopeo.push(image, f"{old.address}/{name}").checked()
        skopeo.run("delete", "--tls-verify=false", f"docker://{old.address}/{name}").checked()
    dropped = sample_image(tmp_path / "dropped")
    skopeo.push(dropped, f"{old.address}/apps/hurt:dropped").checked()
    # Version 3 deletes a tag by taking this directory away; 2.8 deletes no tags.
    shutil.rmtree(tree / "repositories/apps/hurt/_manifests/tags/dropped")
    damaged, zero = sample_image(tmp_path / "damaged"), sample_image(tmp_path / "zero")
    skopeo.push(damaged, f"{old.address}/apps/hurt:damaged").checked()
    skopeo.push(zero, f"{old.address}/apps/hurt:zero").checked()
    layer = damaged.layers[0].removeprefix("sha256:")
    data = tree / "blobs" / "sha256" / layer[:2] / layer / "data"
    data.write_bytes(bytes(len(data.read_bytes())))
    (tree / "repositories/apps/hurt/_manifests/tags/zero/current/link").write_bytes(b"")  # distribution#4489

    environment = logins(tmp_path / "home", (new.address, basic("admin", new.admin_password)))
    status, report = import_(environment, str(old.data), "--to", new.address)
    assert status == 1
    assert failed(report) == {
        ("blob", "apps/hurt", damaged.layers[0]),
        ("manifest", "apps/hurt", damaged.digest),
        ("tag", "apps/hurt", "damaged"),
        ("tag", "apps/hurt", "zero"),
    }
    assert [each["source"] for each in report["repositories"]] == [
        "apps/bare",
        "apps/deep/er/api",
        "apps/hurt",
        "apps/web",
    ]
    bare = report["repositories"][0]
    assert (bare["tags"]["copied"], bare["manifests"]["copied"]) == (0, 0)
    assert report["total"]["blobs"]["mounted"] >= 2  # apps/deep/er/api has what apps/web has
    check_same(skopeo, old, new, filled.whole, tmp_path)
    by_digest = (f"apps/web@{filled.untagged}", f"apps/hurt@{zero.digest}", f"apps/hurt@{dropped.digest}")
    (tmp_path / "by-digest").mkdir()
    check_same(skopeo, old, new, by_digest, tmp_path / "by-digest")
    ours.log_in(Registry("new", new.address), "admin", new.admin_password).checked()
    assert ours.run("tags", f"{new.address}/apps/hurt").checked().out == ""
    listed = set(ours.run("tags", f"{new.address}/apps/web").checked().out.split())
    assert listed == {name.partition(":")[2] for name in filled.whole if name.startswith("apps/web:")}

    status, again = import_(environment, str(tree / "repositories"), "--to", new.address)
    assert status == 1
    assert failed(again) == failed(report)
    assert (again["total"]["tags"]["copied"], again["total"]["manifests"]["copied"]) == (0, 0)


def test_a_docker_registry_over_the_wire(
    skopeo: Skopeo, ours: Sealift, old: Registry, new: Served, tmp_path: Path
) -> None:
    filled = fill(skopeo, old, tmp_path)
    bare = sample_image(tmp_path / "bare")
    ours.log_in(old).checked()
    ours.push(bare, f"{old.address}/apps/bare@{bare.digest}").checked()
    admin = (new.address, basic("admin", new.admin_password))
    without = logins(tmp_path / "without", admin)
    refused = subprocess.run(
        [*SEALIFT, "import", old.address, "--to", new.address], env=without, capture_output=True, check=False
    )
    assert refused.returncode == 4, refused.stderr.decode()
    environment = logins(tmp_path / "home", admin, (old.address, basic(USERNAME, PASSWORD)))
    status, report = import_(environment, old.address, "--to", new.address)
    assert (status, report["failures"], report["complete"]) == (0, [], True)
    assert [each["source"] for each in report["repositories"]] == [
        "apps/bare",
        "apps/deep/er/api",
        "apps/web",
    ]
    check_same(skopeo, old, new, filled.whole, tmp_path)
    status, again = import_(environment, old.address, "--to", new.address)
    assert (status, again["total"]["tags"]["copied"], again["total"]["blobs"]["copied"]) == (0, 0, 0)
    assert again["total"]["tags"]["there"] == len(filled.whole)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("way", ["tree", "wire"])
def test_it_goes_on_where_it_was_stopped(  # noqa: PLR0917  pytest passes by name
    way: str, ending: Ending, skopeo: Skopeo, old: Registry, new: Served, tmp_path: Path
) -> None:
    skopeo.log_in(old).checked()
    names = ("apps/a:v1", "apps/b:v1")
    skopeo.push(sample_image(tmp_path / "small"), f"{old.address}/{names[0]}").checked()
    skopeo.push(sample_image(tmp_path / "large", size=LAYER), f"{old.address}/{names[1]}").checked()
    with SlowLine(new.address) as line:
        admin = basic("admin", new.admin_password)
        environment = logins(
            tmp_path / "home",
            (new.address, admin),
            (line.address, admin),
            (old.address, basic(USERNAME, PASSWORD)),
        )
        source = str(old.data) if way == "tree" else old.address
        command = ("import", source, "--to", line.address, "--at-once", "1")
        interrupt(environment, line, "to the server", ending, *command)
        run(environment, "digest", f"{new.address}/{names[0]}")
        lost = subprocess.run(
            [*SEALIFT, "digest", f"{new.address}/{names[1]}"],
            env=environment,
            capture_output=True,
            check=False,
        )
        assert lost.returncode == 3, lost.stderr.decode()
        status, report = import_(environment, *command[1:])
    assert (status, report["failures"]) == (0, [])
    first, second = report["repositories"]
    assert (first["tags"]["there"], first["manifests"]["there"], first["blobs"]["copied"]) == (1, 1, 0)
    assert (second["tags"]["copied"], second["manifests"]["copied"]) == (1, 1)
    check_same(skopeo, old, new, names, tmp_path)
