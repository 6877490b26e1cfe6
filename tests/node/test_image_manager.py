"""EnsureImageExists, step by step, against a runtime and a registry in memory."""

from collections.abc import Callable, Mapping

import pytest
from tests.fakes.memory_image_service import MemoryImageService, MemoryRegistry
from tests.node.simulated_time import SimulatedTime

from sealift.kubernetes.objects import DOCKER_CONFIG_JSON, Pod, Secret
from sealift.kubernetes.pull_secrets.pod_keyring import PodPull, pod_pull
from sealift.node.image_manager import ImageManager, Need
from sealift.node.messages import Event, Waiting
from sealift.node.pull_policy import Verification
from sealift.node.sandbox import SandboxConfig

HOST = "127.0.0.1:5443"
IMAGE = f"{HOST}/private/ok:1"
SANDBOX = SandboxConfig(namespace="default", name="p", uid="u", log_directory="/logs")
R401 = (
    f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
    f"pulling from host {HOST} failed with status code [manifests 1]: 401 Unauthorized"
)


def secret(name: str, config: str) -> Secret:
    return Secret(
        namespace="default", name=name, type=DOCKER_CONFIG_JSON, data={".dockerconfigjson": config.encode()}
    )


SECRETS = {
    ("default", one.name): one
    for one in (
        secret("good", f'{{"auths":{{"{HOST}":{{"username":"ashok","password":"s3cret"}}}}}}'),
        secret("same", f'{{"auths":{{"{HOST}":{{"username":"ashok","password":"s3cret"}}}}}}'),
        secret("wrong", f'{{"auths":{{"{HOST}":{{"username":"ashok","password":"old"}}}}}}'),
        secret("other-host", '{"auths":{"other.io":{"username":"ashok","password":"s3cret"}}}'),
        secret("empty", f'{{"auths":{{"{HOST}":{{}}}}}}'),
        secret("broken", f'{{"auths":{{"{HOST}":{{"auth":"!!!"}}}}}}'),
    )
}


class World:
    """A manager with all around it, and what it told."""

    def __init__(
        self,
        images: Mapping[str, Mapping[str, str]] | None = None,
        *,
        verification: Verification = Verification.ALWAYS,
    ) -> None:
        self.time = SimulatedTime()
        self.registry = MemoryRegistry(dict(images or {IMAGE: {"ashok": "s3cret"}}))
        self.service = MemoryImageService(self.registry)
        self.manager = ImageManager(self.service, clock=self.time.clock, verification=verification)
        self.events: list[Event] = []
        self.lookups = 0

    async def ensure(
        self, *secrets: str, image: str = IMAGE, policy: str = "Always", uid: str = "u"
    ) -> str | Waiting:
        self.events = []
        need = Need(
            pod_uid=uid,
            image=image,
            policy=policy,
            sandbox=SANDBOX,
            credentials=self.credentials(image, secrets),
        )
        return await self.manager.ensure(need, self.events.append)

    def credentials(self, image: str, secrets: tuple[str, ...]) -> Callable[[], PodPull]:
        pod = Pod(kind="Pod", namespace="default", name="p", image_pull_secrets=secrets)

        def look_up() -> PodPull:
            self.lookups += 1
            return pod_pull(pod, image, SECRETS, None)

        return look_up

    def told(self) -> list[tuple[str, str]]:
        return [(event.reason, event.message) for event in self.events]


def waits(outcome: str | Waiting) -> Waiting:
    assert isinstance(outcome, Waiting)
    return outcome


async def test_a_good_secret() -> None:
    world = World()
    outcome = await world.ensure("good")
    assert isinstance(outcome, str)
    assert world.told() == [
        ("Pulling", f'Pulling image "{IMAGE}"'),
        (
            "Pulled",
            f'Successfully pulled image "{IMAGE}" in 0s (0s including waiting). Image size: 1028557 bytes.',
        ),
    ]
    assert world.service.pulls == [(IMAGE, "ashok")]


async def test_no_secret_then_back_off_then_again() -> None:
    world = World()
    failed = Waiting("ErrImagePull", R401)
    backing_off = Waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {R401}')
    assert await world.ensure() == failed
    assert world.told() == [
        ("Pulling", f'Pulling image "{IMAGE}"'),
        ("Failed", f'Failed to pull image "{IMAGE}": {R401}'),
        ("Failed", "Error: ErrImagePull"),
    ]
    assert await world.ensure() == backing_off
    assert world.told() == [
        ("BackOff", f'Back-off pulling image "{IMAGE}"'),
        ("Failed", "Error: ImagePullBackOff"),
    ]
    assert world.events[0].type == "Normal"
    for window in (10, 20, 40):
        assert world.manager.seconds_left("u", IMAGE) == window
        world.time.now += window
        assert await world.ensure() == failed
    assert world.service.pulls == [(IMAGE, None)] * 4


async def test_another_pod_does_not_wait() -> None:
    world = World()
    await world.ensure()
    assert waits(await world.ensure(uid="v")).reason == "ErrImagePull"


async def test_each_credential_in_order_until_one_works() -> None:
    world = World()
    assert isinstance(await world.ensure("wrong", "good", "same"), str)
    assert world.service.pulls == [(IMAGE, "ashok")] * 2


async def test_no_anonymous_attempt_after_a_credential() -> None:
    world = World({IMAGE: {"nobody": "knows"}})
    assert waits(await world.ensure("wrong")).message == R401
    assert world.service.pulls == [(IMAGE, "ashok")]


async def test_the_same_error_twice_is_shown_once() -> None:
    world = World()
    assert await world.ensure("wrong", "empty") == Waiting("ErrImagePull", R401)
    assert world.service.pulls == [(IMAGE, "ashok"), (IMAGE, "")]


async def test_a_secret_of_another_host_is_no_secret() -> None:
    world = World()
    await world.ensure("other-host")
    assert world.service.pulls == [(IMAGE, None)]


async def test_a_missing_tag_keeps_its_frame() -> None:
    world = World()
    image = f"{HOST}/private/ok:nope"
    waiting = waits(await world.ensure("good", image=image))
    assert waiting.reason == "ErrImagePull"
    assert waiting.message.startswith('rpc error: code = NotFound desc = failed to pull and unpack image "')


async def test_the_runtime_gets_the_default_tag_and_messages_do_not() -> None:
    world = World({f"{HOST}/private/ok:latest": {}})
    await world.ensure(image=f"{HOST}/private/ok")
    assert world.service.pulls == [(f"{HOST}/private/ok:latest", None)]
    assert world.told()[0] == ("Pulling", f'Pulling image "{HOST}/private/ok"')


async def test_a_broken_secret_is_reason_and_message_and_nothing_is_pulled() -> None:
    world = World()
    text = "illegal base64 data at input byte 0"
    assert await world.ensure("good", "broken") == Waiting(text, text)
    assert world.told() == [("Failed", f"Error: {text}")]
    assert world.service.pulls == []


async def test_a_name_that_is_none() -> None:
    world = World()
    waiting = waits(await world.ensure(image="r.io/Big"))
    assert waiting.reason == "InvalidImageName"
    assert world.told() == [("InspectFailed", waiting.message), ("Failed", "Error: InvalidImageName")]
    assert world.lookups == 0


async def test_a_runtime_that_cannot_tell() -> None:
    world = World()
    world.service.broken = "database is locked"
    expected = 'Failed to inspect image "": rpc error: code = Internal desc = database is locked'
    assert await world.ensure("good", policy="IfNotPresent") == Waiting("ImageInspectError", expected)
    assert world.told() == [("InspectFailed", expected), ("Failed", "Error: ImageInspectError")]


async def test_never_and_absent() -> None:
    world = World()
    expected = f'Container image "{IMAGE}" is not present with pull policy of Never'
    assert await world.ensure("good", policy="Never") == Waiting("ErrImageNeverPull", expected)
    assert world.told() == [("ErrImageNeverPull", expected), ("Failed", "Error: ErrImageNeverPull")]


PRESENT = f'Container image "{IMAGE}" already present on machine and can be accessed by the pod'


@pytest.mark.parametrize("policy", ["IfNotPresent", "Never"])
@pytest.mark.parametrize("given", ["good", "same"])
async def test_who_shows_the_same_credential_may_have_what_is_here(policy: str, given: str) -> None:
    world = World()
    pulled = await world.ensure("good")
    assert await world.ensure(given, policy=policy, uid="v") == pulled
    assert world.told() == [("Pulled", PRESENT)]
    assert len(world.service.pulls) == 1


async def test_who_shows_none_does_not_get_what_is_here() -> None:
    world = World()
    await world.ensure("good")
    assert await world.ensure(policy="IfNotPresent", uid="v") == Waiting("ErrImagePull", R401)


async def test_never_does_not_tell_that_it_is_here() -> None:
    world = World()
    await world.ensure("good")
    assert waits(await world.ensure(policy="Never", uid="v")).reason == "ErrImageNeverPull"


async def test_what_nobody_had_to_show_anything_for_is_everyones() -> None:
    world = World({IMAGE: {}})
    pulled = await world.ensure(policy="IfNotPresent")
    assert await world.ensure("broken", policy="IfNotPresent", uid="v") == pulled
    assert world.lookups == 1, "a Secret that is not needed is not read (R-IMG-6)"


async def test_an_image_that_others_put_there_is_asked_for_again() -> None:
    world = World()
    stranger = World()
    await stranger.ensure("good")
    world.service.present = dict(stranger.service.present)
    assert waits(await world.ensure(policy="IfNotPresent")).reason == "ErrImagePull"
    assert isinstance(await world.ensure("good", policy="IfNotPresent", uid="v"), str)


async def test_unless_what_is_here_is_everyones_by_order() -> None:
    world = World(verification=Verification.NEVER)
    stranger = World()
    await stranger.ensure("good")
    world.service.present = dict(stranger.service.present)
    assert isinstance(await world.ensure(policy="Never"), str)
    assert world.lookups == 0


async def test_another_spelling_asks_again() -> None:
    image = "docker.io/library/nginx:1"
    world = World({image: {}})
    await world.ensure(image=image)
    world.registry.images[image] = {"u": "p"}
    assert waits(await world.ensure(image="nginx:1", policy="IfNotPresent", uid="v")).reason == "ErrImagePull"


async def test_a_registry_that_is_down() -> None:
    world = World()
    world.registry.unreachable = True
    assert waits(await world.ensure("good")).message == (
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
        f'failed to do request: Head "http://{HOST}/v2/private/ok/manifests/1": '
        f"dial tcp {HOST}: connect: connection refused"
    )
