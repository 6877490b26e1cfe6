"""Pods of an inventory, put together with a container runtime, and run until they end or are stopped."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sealift.kubernetes.inventory import Inventory
from sealift.kubernetes.objects import Pod
from sealift.kubernetes.pull_secrets.pod_keyring import PodKeyrings, names_in_effect
from sealift.node.cri import CriRuntime
from sealift.node.errors import NoPodNetwork, RuntimeRefused
from sealift.node.image_manager import ImageManager
from sealift.node.pod_plan import NothingToRun, PodPlan, plan_pod
from sealift.node.pod_runner import Phase, PodRunner, Surroundings, side_by_side
from sealift.node.pull_policy import Verification
from sealift.node.reports import Listener

SUCCEEDED: Final = 0
FAILED: Final = 1
SIGNAL_STATUS: Final = 128
"""Plus the number of the signal: 130 for Ctrl-C, as the contract has it."""


class PodRun:
    """Some Pods, ready to be run on a runtime.

    Raises:
        NothingToRun: Something else than Pods is there to be run, or one Pod twice.
        UnrunnablePod: A Pod asks for something that is not done here.
    """

    def __init__(self, inventory: Inventory, *, endpoint: str, verification: Verification) -> None:
        self._inventory = inventory
        self._endpoint = endpoint
        self._verification = verification
        self._keyrings = PodKeyrings(inventory.secrets)
        _check_names(inventory.pods)
        self.plans = tuple(plan_pod(pod) for pod in inventory.pods)
        self._runners: list[PodRunner] = []
        self._received = 0

    def run(self, listener: Listener) -> int:
        """Run the Pods, and return the exit status."""
        return asyncio.run(self._run(listener))

    async def _run(self, listener: Listener) -> int:
        logs = Path(tempfile.mkdtemp(prefix="sealift-node-"))
        try:
            async with CriRuntime(self._endpoint) as runtime:
                await self._check_network(runtime)
                surroundings = Surroundings(
                    runtime=runtime,
                    images=ImageManager(runtime, clock=time.monotonic, verification=self._verification),
                    listener=listener,
                    log_root=logs,
                    run_id=f"{os.getpid()}-{uuid.uuid4().hex[:8]}",
                )
                self._runners = [self._runner(plan, surroundings) for plan in self.plans]
                return await self._until_told()
        finally:
            shutil.rmtree(logs, ignore_errors=True)

    async def _until_told(self) -> int:
        """Run all Pods; the first signal stops them, a further one does not wait for them."""
        everything = asyncio.ensure_future(side_by_side(_phase(runner) for runner in self._runners))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told, number, everything)
        try:
            phases = await everything
        except asyncio.CancelledError:
            if not self._received:
                raise
            return SIGNAL_STATUS + self._received
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return SUCCEEDED if all(phase == "Succeeded" for phase in phases) else FAILED

    def _told(self, number: int, everything: "asyncio.Future[list[Phase]]") -> None:
        if self._received:
            for runner in self._runners:
                runner.hurry()
            return
        self._received = number
        everything.cancel()

    async def _check_network(self, runtime: CriRuntime) -> None:
        """Say now, and for the right reason, what would fail in each sandbox."""
        wanting = [plan.pod.name for plan in self.plans if not plan.host_network]
        conditions = {one.type: one for one in await runtime.conditions()}
        network = conditions.get("NetworkReady")
        if wanting and network is not None and not network.status:
            raise NoPodNetwork(
                f"pod/{wanting[0]} wants a network of its own, and the container runtime has none to give",
                why=network.message or network.reason,
                hint="install a CNI plugin and its configuration, or set spec.hostNetwork: true in the Pod",
            )

    def _runner(self, plan: PodPlan, surroundings: Surroundings) -> PodRunner:
        pod = plan.pod
        account = self._inventory.service_accounts.get((pod.namespace, pod.service_account_name))
        names, _ = names_in_effect(pod, account)
        missing = [name for name in names if (pod.namespace, name) not in self._inventory.secrets]
        return PodRunner(
            plan,
            uid=pod.uid or str(uuid.uuid4()),
            credentials=lambda image: self._keyrings.pull(pod, image, account),
            missing_secrets=tuple(dict.fromkeys(missing)),
            around=surroundings,
        )


async def _phase(runner: PodRunner) -> Phase:
    """How a Pod ends. One whose sandbox is refused has said so in an event, and does not end the others."""
    try:
        return await runner.run()
    except RuntimeRefused:
        return "Failed"


def _check_names(pods: Iterable[Pod]) -> None:
    seen: set[tuple[str, str]] = set()
    for pod in pods:
        if pod.is_template:
            raise NothingToRun(
                f"{pod.kind.lower()}/{pod.name} ({pod.place}) is no Pod",
                why="what makes Pods of it is a cluster; only Pods are run here",
                hint="name a manifest of kind Pod with -f",
            )
        if (pod.namespace, pod.name) in seen:
            raise NothingToRun(
                f"pod/{pod.name} ({pod.place}) is there twice",
                why=f"two Pods of the namespace {pod.namespace} cannot have one name",
                hint="give one of them another name, or leave its file out",
            )
        seen.add((pod.namespace, pod.name))
