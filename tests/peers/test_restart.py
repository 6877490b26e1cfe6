"""What clients pushed outlives the server, however it ends; what they had half pushed is pushed again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.peers.clients import Client, Sealift
from tests.peers.ground import Ground, await_that, this_machine
from tests.peers.images import SampleImage, sample_image
from tests.peers.registries import Registry, answers, free_port, start_sealift

pytestmark = pytest.mark.peers

MIB = 1024 * 1024

Pushing = subprocess.Popen[bytes]


@pytest.fixture
def own_ground() -> Iterator[Ground]:
    """Where this test's own server runs."""
    with this_machine() as ground:
        yield ground


class Server:
    """A ``sealift serve`` that can be ended and started again on the same data and port."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._address = f"127.0.0.1:{free_port()}"
        self.registry: Registry = start_sealift(
            ground, listen=self._address, name=self._address, ready=answers(self._address, "/readyz")
        )
        self._process = ground.daemons[-1]

    def end(self, how: signal.Signals) -> int:
        self._process.send_signal(how)
        return self._process.wait(40)

    def start(self) -> None:
        self._process = self._ground.start(
            *(sys.executable, "-m", "sealift", "serve", "--listen", self._address),
            *("--data", str(self.registry.data)),
            ready=answers(self._address, "/readyz"),
        )


@pytest.fixture
def server(own_ground: Ground) -> Server:
    return Server(own_ground)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        pytest.param(signal.SIGTERM, 0, id="SIGTERM"),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="SIGKILL"),
    ],
)
def test_an_image_is_there_after_the_server_was_ended_and_started_again(
    how: signal.Signals, status: int, server: Server, client: Client, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    name = server.registry.image("apps/web")
    client.log_in(server.registry).checked()
    client.push(image, name).checked()
    assert server.end(how) == status
    assert client.pull(name).status != 0
    server.start()
    client.pull(name).checked()
    assert client.pulled(name).config == image.config_digests[0]


@pytest.fixture
def half_pushed(server: Server, ours: Sealift, tmp_path: Path) -> Iterator[tuple[str, SampleImage, Pushing]]:
    """A push of a large layer whose first bytes have arrived: its name, the image, and the client at work."""
    image = sample_image(tmp_path, size=64 * MIB)
    name = server.registry.image("apps/web")
    ours.log_in(server.registry).checked()
    assert server.registry.data is not None
    uploads = server.registry.data / "uploads"
    pushing = subprocess.Popen(
        [*ours.program, "push", f"oci:{image.layout}:v1", name],
        env={"DOCKER_CONFIG": str(ours.directory), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    await_that(lambda: any(path.stat().st_size for path in uploads.rglob("*") if path.is_file()))
    yield name, image, pushing
    pushing.kill()
    pushing.wait()


def test_a_push_that_the_server_did_not_live_to_see_leaves_no_image_and_is_made_again(
    server: Server, ours: Sealift, half_pushed: tuple[str, SampleImage, Pushing]
) -> None:
    name, image, pushing = half_pushed
    server.end(signal.SIGKILL)
    assert pushing.wait(60) != 0
    server.start()
    assert ours.pull(name).status == 3
    ours.push(image, name).checked()
    ours.pull(name).checked()
    assert ours.pulled(name).manifest == image.digest


def test_the_layer_that_is_under_way_arrives_before_the_server_ends(
    server: Server, ours: Sealift, half_pushed: tuple[str, SampleImage, Pushing]
) -> None:
    name, image, pushing = half_pushed
    assert server.end(signal.SIGTERM) == 0
    pushing.wait(60)
    server.start()
    again = ours.push(image, name).checked()
    (layer,) = (line.split() for line in again.err.splitlines() if image.layers[0][:19] in line)
    assert layer[-1] == "exists"
    ours.pull(name).checked()
    assert ours.pulled(name).manifest == image.digest
