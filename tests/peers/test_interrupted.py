"""Stopped in the middle: Ctrl-C, SIGTERM and SIGKILL of our client, SIGKILL of our server.

Under a final name there is then what was there before, or all of the new, and
the same command again completes. What the server answered with 201 is there
after its death, byte for byte.
"""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.peers.images import OCI_MANIFEST, SampleImage, sample_image
from tests.peers.slow_line import Direction, SlowLine
from tests.served import SEALIFT, Served, basic, serving

pytestmark = pytest.mark.peers

LAYER = 8 * 1024 * 1024
MIDDLE = LAYER // 2

BEFORE = b"what was there before"


@dataclass(frozen=True, slots=True)
class Ending:
    """A way to be stopped."""

    number: signal.Signals
    status: int
    """What the program ends with."""


ENDINGS = [
    pytest.param(Ending(signal.SIGINT, 130), id="Ctrl-C"),
    pytest.param(Ending(signal.SIGTERM, 128 + signal.SIGTERM), id="SIGTERM"),
    pytest.param(Ending(signal.SIGKILL, -signal.SIGKILL), id="SIGKILL"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("interrupted") / "data") as served:
        yield served


@pytest.fixture
def line(server: Served) -> Iterator[SlowLine]:
    """A line to the server that can be stopped."""
    with SlowLine(server.address) as made:
        yield made


@pytest.fixture
def environment(server: Served, line: SlowLine, tmp_path: Path) -> dict[str, str]:
    """A login for the server, directly and over the line."""
    auth = basic("admin", server.admin_password).removeprefix("Basic ")
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {address: {"auth": auth} for address in (server.address, line.address)}})
    )
    return {**os.environ, "DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}


@pytest.fixture
def image(tmp_path: Path) -> SampleImage:
    """An image whose layer no test has pushed before."""
    return sample_image(tmp_path / "image", size=LAYER)


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """One of the test's own."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    return f"admin/interrupted-{digest}"


def run(environment: dict[str, str], *arguments: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(
        [*SEALIFT, *arguments], env=environment, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()


def interrupt(
    environment: dict[str, str], line: SlowLine, direction: Direction, ending: Ending, *arguments: str
) -> None:
    """Run a command until it is in the middle of a transfer, and stop it there."""
    with line.stopped_after(direction, MIDDLE):
        process = subprocess.Popen(
            [*SEALIFT, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            line.wait_until_stopped(direction)
            process.send_signal(ending.number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == ending.status, err.decode()
    assert out == b""
    assert b"Traceback" not in err
    assert (b"stopped" in err) is (ending.number is signal.SIGINT)


def blobs_in(directory: Path) -> dict[str, bytes]:
    """Name and content of every blob of a layout or a data directory, what is on its way left out."""
    return {
        path.name: path.read_bytes()
        for path in directory.rglob("sha256/**/*")
        if path.is_file() and not path.name.startswith(".")
    }


def check_names(blobs: dict[str, bytes]) -> None:
    """Each content is what its name says."""
    assert {name: hashlib.sha256(content).hexdigest() for name, content in blobs.items()} == {
        name: name for name in blobs
    }


def partial_files(directory: Path) -> list[Path]:
    """What is there under the name of something unfinished."""
    return [path for path in directory.rglob("*") if "partial" in path.name]


# ------------------------------------------------------------------ our client


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_pull_into_a_layout(  # noqa: PLR0917  pytest passes by name
    ending: Ending,
    server: Served,
    line: SlowLine,
    environment: dict[str, str],
    image: SampleImage,
    repository: str,
    tmp_path: Path,
) -> None:
    run(environment, "push", f"oci:{image.layout}:v1", server.image(repository))
    layout = tmp_path / "got"
    pull = ("pull", f"{line.address}/{repository}:v1", f"oci:{layout}")
    interrupt(environment, line, "to the client", ending, *pull)
    assert not (layout / "index.json").exists()
    check_names(blobs_in(layout))
    assert partial_files(layout) == []
    run(environment, *pull)
    assert blobs_in(layout) == blobs_in(image.layout)
    assert partial_files(layout) == []
    run(environment, "inspect", f"oci:{layout}:v1")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_a_pull_over_an_archive(  # noqa: PLR0917  pytest passes by name
    kind: str,
    ending: Ending,
    server: Served,
    line: SlowLine,
    environment: dict[str, str],
    image: SampleImage,
    repository: str,
    tmp_path: Path,
) -> None:
    run(environment, "push", f"oci:{image.layout}:v1", server.image(repository))
    archive = tmp_path / "got" / "image.tar"
    archive.parent.mkdir()
    archive.write_bytes(BEFORE)
    pull = ("copy", f"docker://{line.address}/{repository}:v1", f"{kind}:{archive}")
    interrupt(environment, line, "to the client", ending, *pull)
    assert archive.read_bytes() == BEFORE
    assert list(archive.parent.iterdir()) == [archive]
    run(environment, *pull)
    assert list(archive.parent.iterdir()) == [archive]
    run(environment, "push", f"{kind}:{archive}", server.image(f"{repository}-again"))
    with tarfile.open(archive) as whole:
        assert max(member.size for member in whole) > LAYER


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command", ["push", "copy"])
def test_a_push_over_a_tag(  # noqa: PLR0917  pytest passes by name
    command: str,
    ending: Ending,
    server: Served,
    line: SlowLine,
    environment: dict[str, str],
    image: SampleImage,
    repository: str,
    tmp_path: Path,
) -> None:
    older = sample_image(tmp_path / "older")
    run(environment, "push", f"oci:{older.layout}:v1", server.image(repository))
    push = ("push", f"oci:{image.layout}:v1", f"{line.address}/{repository}:v1")
    if command == "copy":
        # From another address of the same server: nothing can be mounted, and all passes through the client.
        origin = server.image(f"{repository}-origin")
        run(environment, "push", f"oci:{image.layout}:v1", origin)
        push = ("copy", f"docker://{origin}", f"docker://{line.address}/{repository}:v1")
    manifest, admin = f"/v2/{repository}/manifests/v1", server.as_admin()
    layer = max(blobs_in(image.layout).items(), key=lambda blob: len(blob[1]))[0]
    interrupt(environment, line, "to the server", ending, *push)
    assert server.ask("GET", manifest, headers=admin).headers["docker-content-digest"] == older.digest
    assert server.ask("HEAD", f"/v2/{repository}/blobs/sha256:{layer}", headers=admin).status == 404
    check_names(blobs_in(server.data / "blobs"))
    run(environment, *push)
    assert server.ask("GET", manifest, headers=admin).headers["docker-content-digest"] == image.digest
    found = server.ask("GET", f"/v2/{repository}/blobs/sha256:{layer}", headers=admin).body
    assert hashlib.sha256(found).hexdigest() == layer


# ------------------------------------------------------------------ our server


def test_a_server_that_is_killed_keeps_what_it_has_confirmed(tmp_path: Path, image: SampleImage) -> None:
    data = tmp_path / "data"
    confirmed: dict[str, bytes] = {}
    with serving(data, "--workers", "2") as server, SlowLine(server.address) as line:
        admin = server.as_admin()
        auth = admin["Authorization"].removeprefix("Basic ")
        (tmp_path / "config.json").write_text(json.dumps({"auths": {line.address: {"auth": auth}}}))
        environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}
        with line.stopped_after("to the server", MIDDLE):
            stalled = subprocess.Popen(
                [*SEALIFT, "push", f"oci:{image.layout}:v1", f"{line.address}/admin/stalled:v1"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            line.wait_until_stopped("to the server")
            for number in range(50):
                content = b"layer %d" % number + os.urandom(1000)
                digest = hashlib.sha256(content).hexdigest()
                path = f"/v2/admin/kept/blobs/uploads/?digest=sha256:{digest}"
                assert server.ask("POST", path, content, admin).status == 201
                confirmed[f"/v2/admin/kept/blobs/sha256:{digest}"] = content
                manifest = manifest_of(digest, len(content))
                path = f"/v2/admin/kept/manifests/v{number}"
                headers = {**admin, "Content-Type": OCI_MANIFEST}
                assert server.ask("PUT", path, manifest, headers).status == 201
                confirmed[path] = manifest
            workers = server.processes()[1:]
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL  # right behind the last answer
        stalled.kill()
        stalled.wait()
    for worker in workers:
        with suppress(ProcessLookupError):  # the kernel ends a worker whose supervisor has ended
            signal.pidfd_send_signal(os.pidfd_open(worker), 0)
            wait_for_end(worker)
    check_names(blobs_in(data / "blobs"))
    with serving(data) as server:
        answers = {path: server.ask("GET", path, headers=admin) for path in confirmed}
        assert {path: answer.body for path, answer in answers.items()} == confirmed
        assert server.ask("GET", "/v2/admin/stalled/manifests/v1", headers=admin).status == 404
        tags = json.loads(server.ask("GET", "/v2/admin/kept/tags/list", headers=admin).body)["tags"]
        assert sorted(tags) == sorted(f"v{number}" for number in range(50))
    with closing(sqlite3.connect(data / "catalog.sqlite3")) as catalog:
        assert catalog.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def manifest_of(digest: str, size: int) -> bytes:
    """A manifest that has one blob as its configuration and its layer."""
    blob = {"digest": f"sha256:{digest}", "size": size}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", **blob},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **blob}],
        }
    ).encode()


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    import select  # noqa: PLC0415  beside its one use

    poll = select.poll()
    poll.register(os.pidfd_open(pid), select.POLLIN)
    assert poll.poll(10_000), f"process {pid} goes on"
