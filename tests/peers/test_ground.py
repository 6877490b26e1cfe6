"""The enclosure itself: what it hides, and that nothing of it stays."""

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tests.peers.ground import NotReady, await_that, enclosure, this_machine

pytestmark = pytest.mark.peers

OWNER = """
import sys
from tests.peers.ground import enclosure
with enclosure(own_network=True) as ground:
    ground.start("sleep", "60", ready=lambda: True)
    ground.sh("mkdir /run/mine && mount -t tmpfs mine /run/mine")
    print(ground.scratch, ground.network, flush=True)
    sys.stdin.read()
"""


def processes_in(network: str) -> list[str]:
    """Who is in a network namespace. There is none that nobody is in."""
    found = []
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        with suppress(OSError):  # it ended while we looked, or has ended and waits to be counted
            found += [str(path)] * (str(path.readlink()) == network)
    return found


def test_what_is_written_to_etc_is_seen_inside_only() -> None:
    with enclosure() as ground:
        ground.write("/etc/docker/certs.d/registry.sealift.test/ca.crt", "inside")
        assert ground.sh("cat /etc/docker/certs.d/registry.sealift.test/ca.crt") == "inside"
        assert not Path("/etc/docker/certs.d/registry.sealift.test").exists()
        assert ground.sh("cat /etc/os-release") == Path("/etc/os-release").read_text()
        assert ground.sh("ls /run") == ""


def test_a_network_of_its_own_has_one_address_that_is_not_loopback() -> None:
    with enclosure(own_network=True) as ground:
        shown = ground.sh("ip -4 -oneline address")
        assert [line.split()[3] for line in shown.splitlines()] == ["127.0.0.1/8", f"{ground.address}/24"]
        assert "default" not in ground.sh("ip route")


def test_nothing_stays_when_it_is_closed() -> None:
    with enclosure(own_network=True) as ground:
        ground.start("sleep", "60", ready=lambda: True)
        scratch, network = ground.scratch, ground.network
        assert processes_in(network)
    assert (processes_in(network), scratch.exists()) == ([], False)
    assert str(scratch) not in Path("/proc/mounts").read_text()


def test_nothing_runs_on_when_its_owner_is_killed() -> None:
    with enclosure():  # skips where there can be none
        pass
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    scratch, network = owner.stdout.readline().split()
    assert processes_in(network)
    owner.kill()
    owner.communicate()
    # The kernel ends the rest a moment after us, and nothing here can wait for that but looking.
    assert await_that(lambda: not processes_in(network))
    assert scratch not in Path("/proc/mounts").read_text()
    shutil.rmtree(scratch)


def test_a_daemon_that_ends_at_once_is_an_error_with_its_last_words() -> None:
    with this_machine() as ground, pytest.raises(NotReady, match=r"status 3:\nno room"):
        ground.start("sh", "-c", "echo no room; exit 3", ready=lambda: False)
