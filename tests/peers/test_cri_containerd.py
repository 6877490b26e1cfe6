"""Our own containerd: it keeps both contracts of a container runtime, runs a real Pod, and leaves nothing.

What it says of registries that refuse is in test_containerd.py, word for word.
"""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contracts.image_service import ImageServiceContract, PrivateImage, credential
from tests.contracts.runtime_service import RuntimeServiceContract, until
from tests.peers.ground import Ground, await_that
from tests.peers.machine_state import traces
from tests.peers.own_containerd import APP, PAUSE, open_registry, own, with_images
from tests.peers.programs import require_program, require_root
from tests.peers.registries import PASSWORD, USERNAME, Registry

from sealift.cli.demo.containerd import ContainerdFailed, OwnContainerd, Programs
from sealift.cli.demo.leavings import RunDirectory, sweep
from sealift.node.cri import CriRuntime

pytestmark = pytest.mark.peers

__all__ = ["open_registry", "own", "with_images"]  # fixtures


class TestImages(ImageServiceContract):
    @pytest.fixture
    async def service(self, own: OwnContainerd, private: PrivateImage) -> AsyncIterator[CriRuntime]:
        async with CriRuntime(own.endpoint) as runtime:
            await runtime.remove(private.name)
            yield runtime

    @pytest.fixture
    def private(self, registry_with_passwords: Registry) -> PrivateImage:
        return PrivateImage(
            name=registry_with_passwords.image("apps/internal-app", ":latest"),
            missing=registry_with_passwords.image("apps/internal-app", ":nope"),
            good=credential(USERNAME, PASSWORD),
            wrong=credential(USERNAME, "wrong-one"),
        )


class TestRuntime(RuntimeServiceContract):
    @pytest.fixture
    async def runtime(self, own: OwnContainerd) -> AsyncIterator[CriRuntime]:
        async with CriRuntime(own.endpoint) as runtime:
            yield runtime

    @pytest.fixture
    async def image_id(self, runtime: CriRuntime, with_images: Registry) -> str:
        return await runtime.pull(f"{with_images.address}/{APP}", None)

    @pytest.fixture
    def log_directory(self, tmp_path: Path) -> Path:
        return tmp_path


async def run_a_pod(own: OwnContainerd, image: str, logs: Path) -> None:
    """Start a Pod and leave it running."""
    contract = RuntimeServiceContract()
    async with CriRuntime(own.endpoint) as runtime:
        config = contract.sandbox(logs)
        sandbox = await runtime.run_sandbox(config)
        image_id = await runtime.pull(image, None)
        container = await runtime.create_container(sandbox, contract.container(image_id), config)
        await runtime.start_container(container)
    # Started, and for a moment still runc: what it prints first shows that it is itself.
    log = logs / "0.log"
    assert await_that(lambda: log.exists() and bool(log.read_bytes()))


async def test_a_running_pod_is_gone_when_it_stops(with_images: Registry, tmp_path: Path) -> None:
    require_root("run containerd")
    before = traces("no such mark")
    with RunDirectory.create() as run:
        async with OwnContainerd(run, sandbox_image=f"{with_images.address}/{PAUSE}") as own:
            await run_a_pod(own, f"{with_images.address}/{APP}", tmp_path)
            during = traces(run.id)
            assert {command.split()[0] for command in during.processes} >= {"/pause", "/app"}
            assert during.mounts
            assert during.cgroups
            assert during.named_files == before.named_files, "nothing of it shows in the machine's /run"
    assert traces(run.id) == before
    assert not run.path.exists()


UNIFIED = """
import asyncio, sys
from pathlib import Path
from sealift.cli.demo.containerd import OwnContainerd
from sealift.cli.demo.leavings import RunDirectory
from tests.peers.test_cri_containerd import run_a_pod
from tests.peers.machine_state import traces

async def main(run):
    async with OwnContainerd(run, sandbox_image=sys.argv[2]) as own:
        await run_a_pod(own, sys.argv[3], Path(sys.argv[4]))
        print(sorted(command.split()[0] for command in traces(run.id).processes if command[0] == "/"))

with RunDirectory.create(Path(sys.argv[1])) as run:
    asyncio.run(main(run))
print(traces(run.id).cgroups)
"""


async def test_on_a_machine_with_cgroup_v2_alone(
    with_images: Registry, machine: Ground, tmp_path: Path
) -> None:
    require_root("mount control groups")
    script = 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    process = another_process(
        UNIFIED,
        *(str(machine.scratch / "unified"), f"{with_images.address}/{PAUSE}", f"{with_images.address}/{APP}"),
        str(tmp_path),
        prefix=(require_program("unshare"), "--mount", "sh", "-ec", script, "sh"),
    )
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    running, left = printed.decode().splitlines()
    assert "'/app'" in running
    assert "'/pause'" in running
    assert left == "frozenset()"


KILLED = """
import asyncio, sys
from pathlib import Path
from sealift.cli.demo.containerd import OwnContainerd
from sealift.cli.demo.leavings import RunDirectory
from tests.peers.test_cri_containerd import run_a_pod

async def main():
    run = RunDirectory.create(Path(sys.argv[1]))
    own = OwnContainerd(run, sandbox_image=sys.argv[2])
    await own.start()
    await run_a_pod(own, sys.argv[3], Path(sys.argv[4]))
    print("running", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def another_process(program: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


async def test_after_sigkill_the_kernel_ends_it_and_the_next_run_clears_it(
    with_images: Registry, machine: Ground, tmp_path: Path
) -> None:
    require_root("run containerd")
    before = traces("no such mark")
    parent = machine.scratch / "runs"
    process = another_process(
        KILLED, str(parent), f"{with_images.address}/{PAUSE}", f"{with_images.address}/{APP}", str(tmp_path)
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        (running,) = parent.iterdir()
        assert traces(running.name).processes
        assert sweep(parent) == (), "a run that lives is left alone"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    await until(lambda: not traces(running.name).processes)
    left = traces(running.name)
    assert (left.mounts, left.network_namespaces) == (frozenset(), frozenset())
    assert left.cgroups
    assert sweep(parent) == (running.name,)
    assert traces(running.name) == before


async def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    require_root("run containerd")
    with RunDirectory.create() as run:
        own = OwnContainerd(run, sandbox_image="x", programs=Programs("/bin/false", ()), snapshotter="native")
        with pytest.raises(ContainerdFailed) as caught:
            await own.start()
        await own.stop()
    assert caught.value.why == "it printed nothing"
    assert not run.path.exists()


async def test_a_path_too_long_for_a_socket_is_said_so(tmp_path: Path) -> None:
    parent = tmp_path / ("x" * 90)
    with RunDirectory.create(parent) as run:
        own = OwnContainerd(run, sandbox_image="x", programs=Programs("/bin/false", ()))
        with pytest.raises(ContainerdFailed) as caught:
            await own.start()
    assert "TMPDIR" in str(caught.value.hint)
