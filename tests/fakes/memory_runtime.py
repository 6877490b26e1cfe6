"""A `RuntimeService` in memory, whose containers print what a test wrote down for them.

    runtime = MemoryRuntime(programs={image_id: [Program(lines=("a", "b"), exit_code=0)]})

Each start of an image takes the next `Program` of its list, the last one again
and again. A program without `exit_code` runs until it is stopped. Logs are
written to real files, in the format of the interface. `calls` notes what was
asked, in order. It passes tests/contracts/runtime_service.py.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealift.node.errors import RuntimeRefused
from sealift.node.sandbox import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    RuntimeCondition,
    RuntimeVersion,
    Sandbox,
    SandboxConfig,
)

TIME = "2026-11-23T13:40:55.963153645Z"


@dataclass(frozen=True, slots=True)
class Program:
    """What one start of a container prints, and how it ends."""

    lines: tuple[str, ...] = ("line 1",)
    exit_code: int | None = None
    """None: it runs until it is stopped, and ends with 0."""

    refused: str = ""
    """What StartContainer fails with, if it is set."""

    stays_created: bool = False
    """Whether a failed start leaves the container as it was made. containerd's has ended then."""

    farewell: str = ""
    """Printed when it is told to end."""

    stops: bool = True
    """Whether it heeds SIGTERM. One that does not ends when the grace is 0."""


@dataclass(slots=True)
class MemoryRuntime:
    """Sandboxes and containers by ID."""

    programs: Mapping[str, Sequence[Program]]
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Call and Pod or container name."""

    graces: list[int] = field(default_factory=list)
    refuse_sandbox: str = ""
    starts: dict[str, int] = field(default_factory=dict)
    configs: list[ContainerConfig] = field(default_factory=list)
    _sandboxes: dict[str, tuple[SandboxConfig, bool]] = field(default_factory=dict)
    _containers: dict[str, "_Container"] = field(default_factory=dict)
    _made: int = 0

    async def version(self) -> RuntimeVersion:
        return RuntimeVersion(name="memory", version="1", api_version="v1")

    async def conditions(self) -> tuple[RuntimeCondition, ...]:
        return (
            RuntimeCondition(type="RuntimeReady", status=True),
            RuntimeCondition(type="NetworkReady", status=False, reason="NetworkPluginNotReady"),
        )

    async def run_sandbox(self, config: SandboxConfig) -> str:
        self.calls.append(("RunPodSandbox", config.name))
        if self.refuse_sandbox:
            raise RuntimeRefused(call="RunPodSandbox", code="Unknown", description=self.refuse_sandbox)
        sandbox_id = self._id()
        self._sandboxes[sandbox_id] = (config, True)
        await asyncio.sleep(0)  # it is made, and who asked may not wait for the answer any more
        return sandbox_id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await asyncio.sleep(0)  # a place to be cancelled at, as a real one has
        if sandbox_id not in self._sandboxes:
            return
        config, _ = self._sandboxes[sandbox_id]
        self.calls.append(("StopPodSandbox", config.name))
        self._sandboxes[sandbox_id] = (config, False)
        for container_id, container in self._containers.items():
            if container.sandbox_id == sandbox_id:
                self._end(container_id, 137)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        config, _ = self._sandboxes.pop(sandbox_id, (None, False))
        if config is not None:
            self.calls.append(("RemovePodSandbox", config.name))
        self._containers = {key: one for key, one in self._containers.items() if one.sandbox_id != sandbox_id}

    async def sandboxes(self, labels: Mapping[str, str]) -> tuple[Sandbox, ...]:
        return tuple(
            Sandbox(
                id=key,
                namespace=one.namespace,
                name=one.name,
                uid=one.uid,
                ready=ready,
                labels=one.labels,
            )
            for key, (one, ready) in self._sandboxes.items()
            if labels.items() <= one.labels.items()
        )

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        self.calls.append(("CreateContainer", config.name))
        if config.image_id not in self.programs:
            raise RuntimeRefused(call="CreateContainer", code="NotFound", description="no such image")
        container_id = self._id()
        self._containers[container_id] = _Container(
            sandbox_id,
            config,
            Path(sandbox.log_directory) / config.log_path,
            ContainerStatus(id=container_id, name=config.name, state=ContainerState.CREATED),
        )
        self.configs.append(config)
        return container_id

    async def start_container(self, container_id: str) -> None:
        container = self._containers[container_id]
        name = container.config.name
        self.calls.append(("StartContainer", name))
        if container.config.command == ("/no/such/program",):
            text = 'exec: "/no/such/program": stat /no/such/program: no such file or directory: unknown'
            self._end(container_id, 128, "StartError")
            raise RuntimeRefused(call="StartContainer", code="Unknown", description=text)
        programs = self.programs[container.config.image_id]
        number = self.starts.get(name, 0)
        self.starts[name] = number + 1
        program = programs[min(number, len(programs) - 1)]
        if program.refused:
            if not program.stays_created:
                self._end(container_id, 128, "StartError")
            raise RuntimeRefused(call="StartContainer", code="Unknown", description=program.refused)
        container.program = program
        container.log.write_text("".join(f"{TIME} stdout F {line}\n" for line in program.lines))
        container.status = replace(container.status, state=ContainerState.RUNNING, started_at=1)
        if program.exit_code is not None:
            self._end(container_id, program.exit_code)

    async def stop_container(self, container_id: str, *, grace_seconds: int) -> None:
        container = self._containers[container_id]
        self.calls.append(("StopContainer", container.config.name))
        self.graces.append(grace_seconds)
        if container.program is not None and container.program.stops:
            if container.program.farewell and container.status.state is ContainerState.RUNNING:
                with container.log.open("a") as log:
                    log.write(f"{TIME} stdout F {container.program.farewell}\n")
            self._end(container_id, 0)
        elif grace_seconds == 0:
            self._end(container_id, 137)

    async def remove_container(self, container_id: str) -> None:
        container = self._containers.pop(container_id, None)
        if container is not None:
            self.calls.append(("RemoveContainer", container.config.name))

    async def container_status(self, container_id: str) -> ContainerStatus:
        if container_id not in self._containers:
            raise RuntimeRefused(call="ContainerStatus", code="NotFound", description="no such container")
        return self._containers[container_id].status

    def _end(self, container_id: str, exit_code: int, reason: str = "") -> None:
        container = self._containers[container_id]
        if container.status.state is not ContainerState.EXITED:
            container.status = replace(
                container.status,
                state=ContainerState.EXITED,
                exit_code=exit_code,
                reason=reason or ("Completed" if exit_code == 0 else "Error"),
                finished_at=2,
            )

    def _id(self) -> str:
        self._made += 1
        return f"id{self._made}"


@dataclass(slots=True)
class _Container:
    sandbox_id: str
    config: ContainerConfig
    log: Path
    status: ContainerStatus
    program: Program | None = None
