"""What every `RuntimeService` does. A test file of an implementation derives from the class below.

The implementation is given an image whose program prints numbered lines and
ends with status 0 when it is told to end.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from sealift.node.cri_log import LogReader
from sealift.node.errors import RuntimeRefused
from sealift.node.runtime_service import RuntimeService
from sealift.node.sandbox import ContainerConfig, ContainerState, SandboxConfig

LABELS = {"sealift.dev/contract": "yes"}


class RuntimeServiceContract:
    """Derive, and give the three fixtures `runtime`, `image_id` and `log_directory`."""

    def sandbox(self, log_directory: Path, uid: str = "u1") -> SandboxConfig:
        return SandboxConfig(
            namespace="default",
            name="nginx-pod",
            uid=uid,
            log_directory=str(log_directory),
            host_network=True,
            labels=LABELS,
        )

    def container(self, image_id: str) -> ContainerConfig:
        return ContainerConfig(name="nginx", image_id=image_id, image="r/apps/internal-app", log_path="0.log")

    async def test_a_pod_from_beginning_to_end(
        self, runtime: RuntimeService, image_id: str, log_directory: Path
    ) -> None:
        config = self.sandbox(log_directory)
        sandbox = await runtime.run_sandbox(config)
        (listed,) = await runtime.sandboxes(LABELS)
        assert (listed.id, listed.namespace, listed.name, listed.uid, listed.ready) == (
            sandbox,
            "default",
            "nginx-pod",
            "u1",
            True,
        )
        container = await runtime.create_container(sandbox, self.container(image_id), config)
        status = await runtime.container_status(container)
        assert (status.id, status.name, status.state) == (container, "nginx", ContainerState.CREATED)
        await runtime.start_container(container)
        assert (await runtime.container_status(container)).state is ContainerState.RUNNING
        await until(lambda: b" F " in content(log_directory / "0.log"))
        await runtime.stop_container(container, grace_seconds=30)
        await runtime.stop_container(container, grace_seconds=30)
        status = await runtime.container_status(container)
        assert (status.state, status.exit_code, status.reason) == (ContainerState.EXITED, 0, "Completed")
        assert 0 < status.started_at <= status.finished_at
        lines = LogReader().feed(content(log_directory / "0.log"))
        assert {line.stream for line in lines} == {"stdout"}
        for _ in range(2):
            await runtime.remove_container(container)
            await runtime.stop_sandbox(sandbox)
            await runtime.remove_sandbox(sandbox)
        assert await runtime.sandboxes(LABELS) == ()

    async def test_a_sandbox_takes_its_containers_with_it(
        self, runtime: RuntimeService, image_id: str, log_directory: Path
    ) -> None:
        config = self.sandbox(log_directory, uid="u2")
        sandbox = await runtime.run_sandbox(config)
        container = await runtime.create_container(sandbox, self.container(image_id), config)
        await runtime.start_container(container)
        await runtime.stop_sandbox(sandbox)
        assert (await runtime.container_status(container)).state is ContainerState.EXITED
        await runtime.remove_sandbox(sandbox)
        with pytest.raises(RuntimeRefused) as caught:
            await runtime.container_status(container)
        assert (caught.value.call, caught.value.code) == ("ContainerStatus", "NotFound")

    async def test_a_program_that_is_not_in_the_image_does_not_start(
        self, runtime: RuntimeService, image_id: str, log_directory: Path
    ) -> None:
        config = self.sandbox(log_directory, uid="u3")
        sandbox = await runtime.run_sandbox(config)
        no_program = ContainerConfig(
            name="nginx", image_id=image_id, image="r/x", command=("/no/such/program",), log_path="0.log"
        )
        container = await runtime.create_container(sandbox, no_program, config)
        with pytest.raises(RuntimeRefused) as caught:
            await runtime.start_container(container)
        assert "no such file or directory" in caught.value.description
        status = await runtime.container_status(container)
        assert (status.state, status.exit_code, status.reason) == (ContainerState.EXITED, 128, "StartError")
        await runtime.stop_sandbox(sandbox)
        await runtime.remove_sandbox(sandbox)

    async def test_an_image_that_is_not_here_makes_no_container(
        self, runtime: RuntimeService, log_directory: Path
    ) -> None:
        config = self.sandbox(log_directory, uid="u4")
        sandbox = await runtime.run_sandbox(config)
        with pytest.raises(RuntimeRefused):
            await runtime.create_container(sandbox, self.container("sha256:" + "0" * 64), config)
        await runtime.stop_sandbox(sandbox)
        await runtime.remove_sandbox(sandbox)

    async def test_it_says_what_it_is(self, runtime: RuntimeService) -> None:
        version = await runtime.version()
        assert version.name
        assert version.version
        assert {one.type for one in await runtime.conditions()} >= {"RuntimeReady", "NetworkReady"}


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


async def until(done: Callable[[], bool]) -> None:
    """Wait for what another process does: there is no event to wait for."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110  see above
            await asyncio.sleep(0.01)
