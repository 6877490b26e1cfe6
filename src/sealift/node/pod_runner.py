"""One Pod, from its manifest to its logs, on a container runtime.

A `PodRunner` does for one Pod what a kubelet does: sandbox, init containers
one after the other, containers side by side, each with its image first; it
starts again what ended, as the Pod says; and when it is cancelled, it stops
and removes what it made.

Spec: R-IMG-1 (images are seen to at each start of a container), R-KEY-22;
Kubernetes documentation, "Pod Lifecycle" (restart policy and its back-off).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from sealift.kubernetes.pull_secrets.pod_keyring import PodPull
from sealift.node import messages
from sealift.node.backoff import Backoff
from sealift.node.cri_log import LogLine, LogReader
from sealift.node.errors import RuntimeRefused, RuntimeUnreachable
from sealift.node.image_manager import Clock, ImageManager, Need
from sealift.node.messages import Event, Waiting
from sealift.node.pod_plan import ContainerPlan, PodPlan
from sealift.node.reports import (
    ContainerEnds,
    ContainerPrints,
    ContainerRuns,
    ContainerWaits,
    Listener,
    PodEvent,
)
from sealift.node.runtime_service import RuntimeService
from sealift.node.sandbox import ContainerConfig, ContainerState, ContainerStatus, SandboxConfig

LOGGER = logging.getLogger(__name__)

SYNC_SECONDS: Final = 1.0
"""From a failed pull to the look that finds the Pod in back-off. A kubelet looks again after one to ten."""

RESYNC_SECONDS: Final = 10.0
"""Between two tries of what has no back-off of its own (R-IMG-23)."""

POLL_SECONDS: Final = 0.1
"""Between two looks at a running container and its log."""

LOG_CHUNK: Final = 256 * 1024
"""Bytes of a log file that are read at once."""

LABEL: Final = "sealift.dev/node-run"
"""On each sandbox and container made here: the run that made it."""

Phase = Literal["Succeeded", "Failed"]
Sleep = Callable[[float], Awaitable[None]]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What Pods are run with, the same for all Pods of one run."""

    runtime: RuntimeService
    images: ImageManager
    listener: Listener
    log_root: Path
    """A directory of our own; each Pod gets one below it."""

    run_id: str
    clock: Clock = time.monotonic
    sleep: Sleep = asyncio.sleep


class PodRunner:
    """One Pod. `run` it once; cancel that to stop the Pod.

    Args:
        plan: What to run.
        uid: The Pod's UID: from its manifest, or made up by the caller.
        credentials: What the Pod's Secrets give for the text of an image,
            which is an image name by then.
        missing_secrets: Pull Secrets that the Pod names and that are not there.
        around: Runtime, listener, directories, time.
    """

    def __init__(
        self,
        plan: PodPlan,
        *,
        uid: str,
        credentials: Callable[[str], PodPull],
        missing_secrets: tuple[str, ...] = (),
        around: Surroundings,
    ) -> None:
        pod = plan.pod
        self._plan = plan
        self._credentials = credentials
        self._missing_secrets = missing_secrets
        self._around = around
        self._name = f"{pod.namespace}/{pod.name}"
        self._full_name = f"{pod.name}_{pod.namespace}({uid})"
        self._hurry = asyncio.Event()
        self._containers: dict[str, str] = {}
        self._tails: dict[str, _Tail] = {}
        self._restarts = Backoff()
        self._sandbox = SandboxConfig(
            namespace=pod.namespace,
            name=pod.name,
            uid=uid,
            log_directory=str(around.log_root / f"{pod.namespace}_{pod.name}_{uid}"),
            hostname=plan.hostname,
            host_network=plan.host_network,
            host_pid=plan.host_pid,
            host_ipc=plan.host_ipc,
            labels={
                "io.kubernetes.pod.name": pod.name,
                "io.kubernetes.pod.namespace": pod.namespace,
                "io.kubernetes.pod.uid": uid,
                LABEL: around.run_id,
            },
        )

    def hurry(self) -> None:
        """Stop without grace: what still runs when the Pod is stopped is killed at once."""
        self._hurry.set()

    async def run(self) -> Phase:
        """Run the Pod to its end, and return how it ended.

        A Pod that restarts for ever has no end: cancel the call. However it
        ends, the Pod is stopped and removed first.

        Raises:
            RuntimeRefused: The sandbox could not be made.
            RuntimeUnreachable: The runtime went away.
        """
        for warning in self._plan.warnings:
            LOGGER.warning("pod/%s: %s", self._plan.pod.name, warning)
        self._tell_missing()
        sandbox_id = await self._make_sandbox()
        try:
            for container in self._plan.init_containers:
                if not await self._live(sandbox_id, container, init=True):
                    return "Failed"
            ends = await side_by_side(
                self._live(sandbox_id, one, init=False) for one in self._plan.containers
            )
            return "Succeeded" if all(ends) else "Failed"
        finally:
            await _to_the_end(self._take_down(sandbox_id))

    # ---- the sandbox

    async def _make_sandbox(self) -> str:
        _make_directory(Path(self._sandbox.log_directory))
        making = asyncio.ensure_future(self._around.runtime.run_sandbox(self._sandbox))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            await _to_the_end(self._take_down_unfinished(making))
            raise
        except RuntimeRefused as refusal:
            text = messages.error_text(refusal.code, refusal.description)
            self._event(messages.sandbox_failed(text))
            raise

    async def _take_down_unfinished(self, making: asyncio.Future[str]) -> None:
        """Remove a sandbox whose making nobody waits for any more: the runtime finishes it all the same."""
        with suppress(RuntimeRefused, RuntimeUnreachable):
            await self._take_down(await making)

    async def _take_down(self, sandbox_id: str) -> None:
        """Stop the containers, all at once, then remove the sandbox with all in it."""
        runtime = self._around.runtime
        await side_by_side(self._stop(name, container_id) for name, container_id in self._containers.items())
        for end in (runtime.stop_sandbox, runtime.remove_sandbox):
            try:
                await end(sandbox_id)
            except RuntimeRefused as refusal:
                self._warn(refusal)

    async def _stop(self, name: str, container_id: str) -> None:
        runtime = self._around.runtime
        try:
            if (await runtime.container_status(container_id)).state is not ContainerState.RUNNING:
                return
            self._event(messages.stopping(name))
            grace = 0 if self._hurry.is_set() else self._plan.grace_seconds
            stopping = asyncio.ensure_future(runtime.stop_container(container_id, grace_seconds=grace))
            hurrying = asyncio.ensure_future(self._hurry.wait())
            await asyncio.wait({stopping, hurrying}, return_when=asyncio.FIRST_COMPLETED)
            hurrying.cancel()
            if not stopping.done():
                await runtime.stop_container(container_id, grace_seconds=0)
            await stopping
            self._print_rest(name)
        except RuntimeRefused as refusal:
            self._warn(refusal)

    # ---- one container

    async def _live(self, sandbox_id: str, plan: ContainerPlan, *, init: bool) -> bool:
        """One container through all its starts. Whether its last end was a good one."""
        attempt = 0
        while True:
            image_id = await self._image(plan)
            container_id = await self._start(sandbox_id, plan, image_id, attempt)
            if container_id is None:
                await self._around.sleep(RESYNC_SECONDS)
                continue
            status = await self._follow(plan, container_id, attempt)
            if not self._again(status, init=init):
                return status.exit_code == 0
            attempt += 1
            # The first start after an end comes at once, the next ones after 10, 20, 40 … seconds.
            wait = self._restarts.window_seconds(plan.name, self._around.clock())
            if wait > 0:
                self._event(messages.restart_back_off(plan.name, self._full_name))
                self._waits(plan, messages.crash_loop(wait, container=plan.name, pod=self._full_name))
                await self._around.sleep(wait)
            self._restarts.failed(plan.name, self._around.clock())
            await self._remove(plan.name)

    def _again(self, status: ContainerStatus, *, init: bool) -> bool:
        """Whether a container that ended is started again."""
        if self._plan.restart_policy == "Never":
            return False
        if init or self._plan.restart_policy == "OnFailure":
            return status.exit_code != 0
        return True

    async def _image(self, plan: ContainerPlan) -> str:
        """The image's ID, after as many attempts as it takes."""
        images = self._around.images
        need = Need(
            pod_uid=self._sandbox.uid,
            image=plan.image,
            policy=plan.pull_policy,
            sandbox=self._sandbox,
            credentials=lambda: self._credentials(plan.image),
        )
        while True:
            outcome = await images.ensure(need, self._event)
            if isinstance(outcome, str):
                return outcome
            self._waits(plan, outcome)
            wait = images.seconds_left(need.pod_uid, plan.image)
            if wait == 0:
                await self._around.sleep(RESYNC_SECONDS)
            elif outcome.reason == messages.IMAGE_PULL_BACK_OFF:
                await self._around.sleep(wait)
            else:
                # Right after a failure a kubelet looks again, and finds the Pod in back-off.
                await self._around.sleep(SYNC_SECONDS)
            self._tell_missing()

    async def _start(self, sandbox_id: str, plan: ContainerPlan, image_id: str, attempt: int) -> str | None:
        """A container's ID once it has run, or None where the runtime made none or left it as it was made.

        One that a runtime could not start has ended for it, as containerd has it (128, ``StartError``):
        from there the restart policy goes on, as after any other end.
        """
        runtime = self._around.runtime
        config = ContainerConfig(
            name=plan.name,
            image_id=image_id,
            image=plan.image,
            attempt=attempt,
            command=plan.command,
            args=plan.args,
            working_dir=plan.working_dir,
            env=plan.env,
            tty=plan.tty,
            run_as_user=plan.run_as_user,
            run_as_group=plan.run_as_group,
            read_only_root=plan.read_only_root,
            no_new_privileges=plan.no_new_privileges,
            log_path=_log_path(plan.name, attempt),
            labels={**self._sandbox.labels, "io.kubernetes.container.name": plan.name},
        )
        _make_directory(Path(self._sandbox.log_directory) / plan.name)
        reason = messages.CREATE_CONTAINER_ERROR
        try:
            container_id = await runtime.create_container(sandbox_id, config, self._sandbox)
            self._containers[plan.name] = container_id
            self._event(messages.container_created())
            reason = messages.RUN_CONTAINER_ERROR
            await runtime.start_container(container_id)
        except RuntimeRefused as refusal:
            self._event(messages.container_failed(refusal.description))
            self._waits(plan, Waiting(reason, refusal.description))
            made = self._containers.get(plan.name)
            if made is not None and (await runtime.container_status(made)).state is ContainerState.EXITED:
                return made
            await self._remove(plan.name)
            return None
        self._event(messages.container_started())
        self._around.listener(ContainerRuns(self._name, plan.name))
        return container_id

    async def _follow(self, plan: ContainerPlan, container_id: str, attempt: int) -> ContainerStatus:
        """Pass on the log of a running container until it ends."""
        tail = _Tail(Path(self._sandbox.log_directory) / _log_path(plan.name, attempt))
        self._tails[plan.name] = tail
        while True:
            # Status first: what the file holds once the end was seen is all that there will be.
            status = await self._around.runtime.container_status(container_id)
            self._print(plan.name, tail.more())
            if status.state in {ContainerState.EXITED, ContainerState.UNKNOWN}:
                break
            await self._around.sleep(POLL_SECONDS)
        self._print_rest(plan.name)
        self._around.listener(ContainerEnds(self._name, plan.name, status.exit_code, status.reason))
        return status

    def _print(self, container: str, lines: Iterable[LogLine]) -> None:
        for line in lines:
            self._around.listener(ContainerPrints(self._name, container, line))

    def _print_rest(self, container: str) -> None:
        """The end of a container's log, once."""
        tail = self._tails.pop(container, None)
        if tail is not None:
            self._print(container, (*tail.more(), *tail.rest()))

    async def _remove(self, name: str) -> None:
        container_id = self._containers.pop(name, None)
        if container_id is None:
            return
        try:
            await self._around.runtime.remove_container(container_id)
        except RuntimeRefused as refusal:
            self._warn(refusal)

    # ---- words

    def _tell_missing(self) -> None:
        """With each look at the Pod, whether a pull is needed or not (R-KEY-22)."""
        if self._missing_secrets:
            self._event(messages.secrets_missing(self._missing_secrets))

    def _event(self, event: Event) -> None:
        self._around.listener(PodEvent(self._name, event))

    def _waits(self, plan: ContainerPlan, waiting: Waiting) -> None:
        self._around.listener(ContainerWaits(self._name, plan.name, waiting))

    def _warn(self, refusal: RuntimeRefused) -> None:
        LOGGER.warning("pod/%s: %s: %s", self._plan.pod.name, refusal.call, refusal.description)


def _log_path(container: str, attempt: int) -> str:
    return f"{container}/{attempt}.log"


def _make_directory(path: Path) -> None:
    """The runtime writes logs, and makes no directory for them."""
    path.mkdir(parents=True, exist_ok=True)


class _Tail:
    """A log file, read from where the last reading ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = LogReader()
        self._offset = 0

    def more(self) -> Iterator[LogLine]:
        """The lines that came since."""
        while data := self._read():
            self._offset += len(data)
            yield from self._reader.feed(data)

    def rest(self) -> list[LogLine]:
        """What is left of a line that has no end, after the last reading."""
        return self._reader.finish()

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                return log.read(LOG_CHUNK)
        except FileNotFoundError:
            return b""  # not yet there


async def side_by_side(calls: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """All results. Where one fails, the others are cancelled and waited for, and its error is raised."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` to its end, also when whoever waits is cancelled meanwhile; the cancelling comes after."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and not task.cancelled() and task.exception() is None:
        raise cancelled
    task.result()
