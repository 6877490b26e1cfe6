"""The part of a container runtime that runs Pods."""

from collections.abc import Mapping
from typing import Protocol

from sealift.node.sandbox import (
    ContainerConfig,
    ContainerStatus,
    RuntimeCondition,
    RuntimeVersion,
    Sandbox,
    SandboxConfig,
)


class RuntimeService(Protocol):
    """Makes sandboxes and containers, and takes them away.

    Stopping and removing may be repeated, and what is gone already is no error.
    All methods raise `RuntimeRefused` where the runtime says no, and
    `RuntimeUnreachable` where nobody answers.

    Spec: Kubernetes CRI, runtime.v1, service RuntimeService.
    """

    async def version(self) -> RuntimeVersion:
        """Which runtime this is (Version)."""

    async def conditions(self) -> tuple[RuntimeCondition, ...]:
        """Whether it can run Pods, and whether it has a Pod network (Status)."""

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """Make and start a sandbox (RunPodSandbox), and return its ID."""

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """End whatever runs in a sandbox, by force if need be (StopPodSandbox)."""

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove a sandbox and its containers (RemovePodSandbox)."""

    async def sandboxes(self, labels: Mapping[str, str]) -> tuple[Sandbox, ...]:
        """The sandboxes that have all these labels (ListPodSandbox)."""

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        """Make a container in a sandbox (CreateContainer), and return its ID."""

    async def start_container(self, container_id: str) -> None:
        """Start a container that was created (StartContainer)."""

    async def stop_container(self, container_id: str, *, grace_seconds: int) -> None:
        """Ask a container to end, and end it by force after the grace (StopContainer)."""

    async def remove_container(self, container_id: str) -> None:
        """Remove a container (RemoveContainer)."""

    async def container_status(self, container_id: str) -> ContainerStatus:
        """How a container is doing (ContainerStatus)."""
