"""A Pod from its plan to its end, on a runtime in memory and in simulated time."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.memory_image_service import MemoryImageService, MemoryRegistry
from tests.fakes.memory_runtime import MemoryRuntime, Program
from tests.node.simulated_time import SimulatedTime

from sealift.kubernetes.objects import DOCKER_CONFIG_JSON, Pod, Secret
from sealift.kubernetes.pull_secrets.pod_keyring import pod_pull
from sealift.node.errors import RuntimeRefused
from sealift.node.image_manager import ImageManager
from sealift.node.pod_plan import plan_pod
from sealift.node.pod_runner import LABEL, PodRunner, Surroundings
from sealift.node.reports import (
    ContainerEnds,
    ContainerPrints,
    ContainerRuns,
    ContainerWaits,
    PodEvent,
    Report,
)

IMAGE = "127.0.0.1:5000/apps/internal-app"
FULL = f"{IMAGE}:latest"
REGCRED = Secret(
    namespace="default",
    name="regcred",
    type=DOCKER_CONFIG_JSON,
    data={
        ".dockerconfigjson": b'{"auths":{"127.0.0.1:5000":{"username":"ashok","password":"s3cret"}}}',
    },
)
LATER = Program(lines=("never",), exit_code=0)


class World:
    """Registry, runtime and time, and what was told."""

    def __init__(self, logs: Path, programs: Sequence[Program]) -> None:
        self.logs = logs
        self.time = SimulatedTime()
        self.registry = MemoryRegistry({FULL: {"ashok": "s3cret"}})
        self.service = MemoryImageService(self.registry)
        self.runtime = MemoryRuntime(programs=_Any(programs))
        self.reports: list[Report] = []

    def runner(self, secrets: tuple[str, ...] = ("regcred",), **spec: Any) -> PodRunner:
        spec = {"containers": [{"name": "nginx", "image": IMAGE}], "hostNetwork": True, **spec}
        pod = Pod(kind="Pod", namespace="default", name="nginx-pod", image_pull_secrets=secrets, spec=spec)
        known = {("default", "regcred"): REGCRED}
        return PodRunner(
            plan_pod(pod),
            uid="u1",
            credentials=lambda image: pod_pull(pod, image, known, None),
            missing_secrets=tuple(name for name in secrets if name != "regcred"),
            around=Surroundings(
                runtime=self.runtime,
                images=ImageManager(self.service, clock=self.time.clock),
                listener=self.reports.append,
                log_root=self.logs,
                run_id="run",
                clock=self.time.clock,
                sleep=self.time.sleep,
            ),
        )

    def events(self) -> list[str]:
        return [f"{one.event.type} {one.event.reason}" for one in self.reports if isinstance(one, PodEvent)]

    def lines(self) -> list[str]:
        return [one.line.text for one in self.reports if isinstance(one, ContainerPrints)]

    def waited(self) -> list[str]:
        return [one.waiting.reason for one in self.reports if isinstance(one, ContainerWaits)]

    async def until(self, kind: type[Report], number: int = 1) -> None:
        async with asyncio.timeout(5):
            while sum(isinstance(one, kind) for one in self.reports) < number:  # noqa: ASYNC110  time is simulated
                await asyncio.sleep(0)


class _Any(dict[str, Sequence[Program]]):
    """The same programs for every image."""

    def __init__(self, programs: Sequence[Program]) -> None:
        super().__init__()
        self._programs = programs

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Sequence[Program]:
        return self._programs


async def test_a_pod_that_ends_well(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(lines=("one", "two"), exit_code=0)])
    assert await world.runner(restartPolicy="Never").run() == "Succeeded"
    assert world.events() == ["Normal Pulling", "Normal Pulled", "Normal Created", "Normal Started"]
    assert world.lines() == ["one", "two"]
    assert world.reports[-1] == ContainerEnds("default/nginx-pod", "nginx", 0, "Completed")
    assert world.runtime.calls == [
        ("RunPodSandbox", "nginx-pod"),
        ("CreateContainer", "nginx"),
        ("StartContainer", "nginx"),
        ("StopPodSandbox", "nginx-pod"),
        ("RemovePodSandbox", "nginx-pod"),
    ]
    (config,) = world.runtime.configs
    assert config.image_id.startswith("sha256:")
    assert config.labels == {
        "io.kubernetes.pod.name": "nginx-pod",
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.uid": "u1",
        "io.kubernetes.container.name": "nginx",
        LABEL: "run",
    }


async def test_a_pod_that_ends_badly(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(exit_code=3)])
    assert await world.runner(restartPolicy="Never").run() == "Failed"


async def test_without_credentials_it_backs_off_until_it_is_stopped(tmp_path: Path) -> None:
    world = World(tmp_path, [LATER])
    running = asyncio.ensure_future(world.runner(secrets=()).run())
    await world.until(ContainerWaits, 4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.waited() == ["ErrImagePull", "ImagePullBackOff"] * 2
    assert world.time.slept[:4] == [1.0, 9.0, 1.0, 19.0]
    assert world.events()[:5] == [
        "Normal Pulling",
        "Warning Failed",
        "Warning Failed",
        "Normal BackOff",
        "Warning Failed",
    ]
    assert world.runtime.calls == [
        ("RunPodSandbox", "nginx-pod"),
        ("StopPodSandbox", "nginx-pod"),
        ("RemovePodSandbox", "nginx-pod"),
    ]


async def test_it_starts_once_the_registry_lets_it(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(exit_code=0)])
    world.registry.unreachable = True
    running = asyncio.ensure_future(world.runner(restartPolicy="Never").run())
    await world.until(ContainerWaits, 2)
    world.registry.unreachable = False
    assert await running == "Succeeded"


async def test_missing_secrets_are_told_with_each_look(tmp_path: Path) -> None:
    world = World(tmp_path, [LATER])
    running = asyncio.ensure_future(world.runner(secrets=("nobody",)).run())
    await world.until(ContainerWaits, 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    missing = [event for event in world.events() if event.endswith("FailedToRetrieveImagePullSecret")]
    assert len(missing) >= 2
    assert world.events()[0] == missing[0]


async def test_a_container_that_always_ends_is_started_again_and_again(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(lines=("x",), exit_code=0)])
    running = asyncio.ensure_future(world.runner().run())
    await world.until(ContainerEnds, 4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    waits = [one.waiting for one in world.reports if isinstance(one, ContainerWaits)]
    assert [one.reason for one in waits[:2]] == ["CrashLoopBackOff"] * 2
    assert waits[0].message == "back-off 10s restarting failed container=nginx pod=nginx-pod_default(u1)"
    assert waits[1].message.startswith("back-off 20s ")
    assert [config.attempt for config in world.runtime.configs[:4]] == [0, 1, 2, 3]
    assert [config.log_path for config in world.runtime.configs[:2]] == ["nginx/0.log", "nginx/1.log"]


async def test_on_failure_ends_with_the_first_success(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(exit_code=1), Program(exit_code=1), Program(exit_code=0)])
    assert await world.runner(restartPolicy="OnFailure").run() == "Succeeded"
    assert world.runtime.starts == {"nginx": 3}


async def test_init_containers_come_first_and_one_by_one(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(exit_code=0)])
    runner = world.runner(
        restartPolicy="Never",
        initContainers=[{"name": "a", "image": IMAGE}, {"name": "b", "image": IMAGE}],
    )
    assert await runner.run() == "Succeeded"
    assert [name for call, name in world.runtime.calls if call == "StartContainer"] == ["a", "b", "nginx"]


async def test_an_init_container_that_is_done_is_not_started_again(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(exit_code=0)])
    running = asyncio.ensure_future(world.runner(initContainers=[{"name": "a", "image": IMAGE}]).run())
    await world.until(ContainerEnds, 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.runtime.starts["a"] == 1


async def test_a_failed_init_container_is_the_end_where_nothing_restarts(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(exit_code=1)])
    runner = world.runner(restartPolicy="Never", initContainers=[{"name": "a", "image": IMAGE}])
    assert await runner.run() == "Failed"
    assert world.runtime.starts == {"a": 1}


async def test_one_image_that_fails_does_not_hold_the_other_container(tmp_path: Path) -> None:
    world = World(tmp_path, [Program()])
    running = asyncio.ensure_future(
        world.runner(
            containers=[
                {"name": "bad", "image": "127.0.0.1:5000/apps/other:1"},
                {"name": "good", "image": IMAGE},
            ]
        ).run()
    )
    await world.until(ContainerRuns)
    await world.until(ContainerWaits)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ContainerRuns("default/nginx-pod", "good") in world.reports


async def test_stopping_gives_grace(tmp_path: Path) -> None:
    world = World(tmp_path, [Program()])
    running = asyncio.ensure_future(world.runner(terminationGracePeriodSeconds=7).run())
    await world.until(ContainerRuns)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.runtime.graces == [7]
    assert world.events()[-1] == "Normal Killing"
    assert world.runtime.calls[-3:] == [
        ("StopContainer", "nginx"),
        ("StopPodSandbox", "nginx-pod"),
        ("RemovePodSandbox", "nginx-pod"),
    ]


async def test_what_it_prints_while_it_is_stopped_is_not_lost(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(farewell="bye")])
    running = asyncio.ensure_future(world.runner().run())
    await world.until(ContainerPrints)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.lines() == ["line 1", "bye"]


async def test_stopping_in_a_hurry_gives_none(tmp_path: Path) -> None:
    world = World(tmp_path, [Program()])
    runner = world.runner()
    running = asyncio.ensure_future(runner.run())
    await world.until(ContainerRuns)
    runner.hurry()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.runtime.graces == [0]


async def test_cancelling_twice_does_not_leave_the_sandbox(tmp_path: Path) -> None:
    world = World(tmp_path, [Program()])
    running = asyncio.ensure_future(world.runner().run())
    await world.until(ContainerRuns)
    running.cancel()
    while ("StopContainer", "nginx") not in world.runtime.calls:  # noqa: ASYNC110  time is simulated
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.runtime.calls[-1] == ("RemovePodSandbox", "nginx-pod")


async def test_cancelling_while_the_sandbox_is_made_removes_it(tmp_path: Path) -> None:
    world = World(tmp_path, [Program()])
    running = asyncio.ensure_future(world.runner().run())
    while not await world.runtime.sandboxes({}):  # noqa: ASYNC110  time is simulated
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await world.runtime.sandboxes({}) == ()


async def test_a_sandbox_that_cannot_be_made(tmp_path: Path) -> None:
    world = World(tmp_path, [Program()])
    world.runtime.refuse_sandbox = "cni plugin not initialized"
    with pytest.raises(RuntimeRefused):
        await world.runner().run()
    (event,) = [one.event for one in world.reports if isinstance(one, PodEvent)]
    assert (event.type, event.reason, event.message) == (
        "Warning",
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: cni plugin not initialized",
    )


async def test_a_container_that_does_not_start_has_ended(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(refused="no such file or directory"), Program(exit_code=0)])
    assert await world.runner(restartPolicy="Never").run() == "Failed"
    assert "Warning Failed" in world.events()
    assert world.waited() == ["RunContainerError"]
    assert world.reports[-1] == ContainerEnds("default/nginx-pod", "nginx", 128, "StartError")


async def test_a_container_that_never_starts_backs_off(tmp_path: Path) -> None:
    world = World(tmp_path, [Program(refused="no such file or directory")])
    running = asyncio.ensure_future(world.runner().run())
    await world.until(ContainerEnds, 4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.waited()[:5] == [
        "RunContainerError",
        "RunContainerError",
        *["CrashLoopBackOff", "RunContainerError"],
        "CrashLoopBackOff",
    ]
    assert world.time.slept[:2] == [10.0, 20.0]


async def test_a_container_that_a_failed_start_leaves_as_it_was_is_made_anew(tmp_path: Path) -> None:
    refused = Program(refused="the node is busy", stays_created=True)
    world = World(tmp_path, [refused, Program(exit_code=0)])
    assert await world.runner(restartPolicy="Never").run() == "Succeeded"
    assert world.waited() == ["RunContainerError"]
    assert 10.0 in world.time.slept
