"""A layer of 2 GiB passes in little memory, and clients that stop in the middle cost little."""

import filecmp
import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.peers.images import OCI_INDEX, OCI_MANIFEST
from tests.peers.memory import MIB, Watch, peak
from tests.served import SEALIFT, Served, basic, serving

pytestmark = [
    pytest.mark.peers,
    pytest.mark.slow,
    pytest.mark.xdist_group("big layer"),  # 2 GiB are pushed once
]

LAYER = 2 * 1024 * MIB
LIMIT = 150 * MIB
"""Of memory, for each process of ours."""

IDLE_CLIENTS = 16
IDLE_CLIENT = 4 * MIB
"""Of memory, for each: some pieces of a file."""

REPOSITORY = "admin/big"


class Big(NamedTuple):
    """A registry that holds a layer of 2 GiB, and how it came there."""

    server: Served
    layout: Path
    layer: Path
    """Its file in the layout."""

    push_peak: int
    """Bytes of memory that the push needed."""

    environment: dict[str, str]


def write_layout(layout: Path) -> Path:
    """An image with one layer of 2 GiB: holes, with some random blocks between."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    draft = blobs / "draft"
    with draft.open("wb") as file:
        for place in range(0, LAYER, LAYER // 16):
            file.seek(place)
            file.write(os.urandom(4096))
        file.truncate(LAYER)
    with draft.open("rb") as written:
        encoded = hashlib.file_digest(written, "sha256").hexdigest()
    layer = draft.rename(blobs / encoded)

    def blob(document: object) -> dict[str, object]:
        content = json.dumps(document).encode()
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    diff_ids = {"type": "layers", "diff_ids": [f"sha256:{encoded}"]}
    config = blob({"architecture": "amd64", "os": "linux", "rootfs": diff_ids})
    manifest = blob(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": f"sha256:{encoded}",
                    "size": LAYER,
                }
            ],
        }
    )
    named = {"org.opencontainers.image.ref.name": "v1"}
    top = {"mediaType": OCI_MANIFEST, **manifest, "annotations": named}
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (layout / "index.json").write_text(
        json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [top]})
    )
    return layer


def watched(environment: dict[str, str], *arguments: str) -> int:
    """Run a command that has to succeed, and return its peak of memory."""
    process = subprocess.Popen(
        [*SEALIFT, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    watch = Watch(process)
    status, err = watch.finish(240)
    assert status == 0, err.decode()
    return watch.peak


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Big]:
    directory = tmp_path_factory.mktemp("big")
    layer = write_layout(directory / "layout")
    with serving(directory / "data", "--workers", "2") as server:
        auth = basic("admin", server.admin_password).removeprefix("Basic ")
        (directory / "config.json").write_text(json.dumps({"auths": {server.address: {"auth": auth}}}))
        environment = {**os.environ, "DOCKER_CONFIG": str(directory), "HOME": str(directory)}
        pushed = watched(environment, "push", f"oci:{directory}/layout:v1", server.image(REPOSITORY))
        yield Big(server, directory / "layout", layer, pushed, environment)
    for path in (layer, *(directory / "data" / "blobs").rglob(layer.name)):
        path.unlink()  # pytest keeps directories of three runs


def server_peaks(server: Served) -> list[int]:
    return [peak(pid) for pid in server.processes()]


def test_it_goes_in_and_out_in_little_memory(big: Big, tmp_path: Path) -> None:
    got = tmp_path / "got"
    pull_peak = watched(big.environment, "pull", big.server.image(REPOSITORY), f"oci:{got}:v1")
    peaks = {"push": big.push_peak, "pull": pull_peak, "server": max(server_peaks(big.server))}
    found = got / "blobs" / "sha256" / big.layer.name
    assert filecmp.cmp(found, big.layer, shallow=False)
    found.unlink()
    assert {name: size // MIB for name, size in peaks.items() if not 10 * MIB < size < LIMIT} == {}


def test_clients_that_do_not_read_cost_little_memory(big: Big) -> None:
    path = f"/v2/{REPOSITORY}/blobs/sha256:{big.layer.name}"
    before = sum(server_peaks(big.server))
    with ExitStack() as stack:
        for number in range(IDLE_CLIENTS):
            client = begin(stack, big.server, "GET", path)
            assert client.recv(12) == b"HTTP/1.1 200"
            if number % 4 == 0:
                client.recv(MIB, socket.MSG_WAITALL)  # these read a little, and then no more
        check_settled(big.server, before)


def test_clients_that_stop_sending_cost_little_memory(big: Big) -> None:
    path = f"/v2/{REPOSITORY}/blobs/uploads/?digest=sha256:{'0' * 64}"
    before = sum(server_peaks(big.server))
    with ExitStack() as stack:
        for _ in range(IDLE_CLIENTS):
            client = begin(stack, big.server, "POST", path, f"Content-Length: {LAYER}\r\n")
            client.sendall(bytes(4 * MIB))
        check_settled(big.server, before)


def begin(stack: ExitStack, server: Served, method: str, path: str, headers: str = "") -> socket.socket:
    """A connection on which a request has been begun. What is read and sent further is the caller's."""
    host, _, port = server.address.rpartition(":")
    client = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
    authorization = server.as_admin()["Authorization"]
    client.sendall(
        f"{method} {path} HTTP/1.1\r\nHost: {server.address}\r\n"
        f"Authorization: {authorization}\r\n{headers}\r\n".encode()
    )
    return client


def check_settled(server: Served, before: int) -> None:
    """The server waits for its idle clients in little memory, and serves others meanwhile."""
    peaks = peaks_when_settled(server)
    assert server.ask("GET", "/readyz").status == 200
    assert max(peaks) < LIMIT, [size // MIB for size in peaks]
    assert sum(peaks) - before < IDLE_CLIENTS * IDLE_CLIENT, [size // MIB for size in peaks]


def peaks_when_settled(server: Served) -> list[int]:
    """The peaks of the server's processes, once none of them has grown for a second."""
    peaks, since = server_peaks(server), time.monotonic()
    deadline = since + 30
    while time.monotonic() - since < 1:
        assert time.monotonic() < deadline, "the server goes on growing"
        time.sleep(0.05)  # memory that does not grow is no event
        now = server_peaks(server)
        if now != peaks:
            peaks, since = now, time.monotonic()
    return peaks
