"""``sealift node run`` on a real containerd: what each Pod gets, in a kubelet's words, and a clean end."""

import base64
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.peers.own_containerd import open_registry, own, with_images
from tests.peers.registries import PASSWORD, USERNAME, Registry

from sealift.cli.demo.containerd import OwnContainerd
from sealift.node.cri import CriRuntime

pytestmark = pytest.mark.peers

__all__ = ["open_registry", "own", "with_images"]  # fixtures

SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a run printed, and how it ended."""

    documents: list[dict[str, Any]]
    status: int
    err: str

    def events(self) -> list[tuple[str, str]]:
        return [(one["reason"], one["message"]) for one in self.documents if one["kind"] == "PodEvent"]

    def waiting(self) -> list[tuple[str, str]]:
        states = [one["state"] for one in self.documents if one["kind"] == "ContainerState"]
        return [
            (state["waiting"]["reason"], state["waiting"]["message"])
            for state in states
            if "waiting" in state
        ]

    def lines(self) -> list[str]:
        return [one["line"] for one in self.documents if one["kind"] == "ContainerLog"]


Document = dict[str, Any]


def is_waiting(reason: str) -> Callable[[Document], bool]:
    return lambda one: one.get("state", {}).get("waiting", {}).get("reason") == reason


def prints(line: str) -> Callable[[Document], bool]:
    return lambda one: bool(one.get("line") == line)


def ends(one: Document) -> bool:
    return "terminated" in one.get("state", {})


class Node:
    """Runs manifests, and presses Ctrl-C when enough was seen."""

    def __init__(self, own: OwnContainerd, directory: Path) -> None:
        self.endpoint = own.endpoint
        self.directory = directory

    def run(
        self, *manifests: Document, seen: Callable[[Document], bool], flags: tuple[str, ...] = ()
    ) -> Shown:
        path = self.directory / "manifests.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}))
        command = (*("node", "run", "-f", str(path)), *("--runtime-endpoint", self.endpoint), "-o", "json")
        process = subprocess.Popen(
            [sys.executable, "-m", "sealift", *command, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        clock = threading.Timer(SECONDS, process.kill)
        clock.start()
        documents = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                documents.append(json.loads(line))
                if seen(documents[-1]):
                    process.send_signal(signal.SIGINT)
            _, err = process.communicate()
        finally:
            clock.cancel()
            process.kill()
            process.wait()
        return Shown(documents, process.returncode, err)


@pytest.fixture
def node(own: OwnContainerd, tmp_path: Path) -> Node:
    return Node(own, tmp_path)


@pytest.fixture
def image(registry_with_passwords: Registry) -> str:
    return registry_with_passwords.image("apps/internal-app", ":latest")


@pytest.fixture(autouse=True)
async def no_image_and_no_sandbox(own: OwnContainerd, image: str) -> None:
    async with CriRuntime(own.endpoint) as runtime:
        await runtime.remove(image)
        assert await runtime.sandboxes({}) == ()


def pod(image: str, *secrets: str, name: str = "nginx-pod", **fields: Any) -> Document:
    container = {"name": "nginx", "image": image, **fields.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "hostNetwork": True,
            "containers": [container],
            "imagePullSecrets": [{"name": secret} for secret in secrets],
            **fields,
        },
    }


def secret(
    image: str, *, name: str = "regcred", password: str = PASSWORD, key: str | None = None
) -> Document:
    key = image.partition("/")[0] if key is None else key
    config = json.dumps({"auths": {key: {"username": USERNAME, "password": password}}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
    }


def refused(image: str) -> str:
    host = image.partition("/")[0]
    return (
        f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": '
        f"pulling from host {host} failed with status code [manifests latest]: 401 Unauthorized"
    )


def test_with_its_secret_it_runs_and_ctrl_c_ends_it(node: Node, image: str) -> None:
    shown = node.run(pod(image, "regcred"), secret(image), seen=prints("line        2"))
    assert [reason for reason, _ in shown.events()] == ["Pulling", "Pulled", "Created", "Started", "Killing"]
    assert shown.lines() == ["line        1", "line        2", "bye"]
    assert shown.waiting() == []
    assert shown.status == 130


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param([], id="none"),
        pytest.param(["wrong"], id="a wrong password"),
        pytest.param(["elsewhere"], id="for another host"),
        pytest.param(["wrong", "elsewhere"], id="two that do not help"),
    ],
)
def test_without_the_right_one_it_waits(node: Node, image: str, secrets: list[str]) -> None:
    shown = node.run(
        pod(image, *secrets),
        secret(image, name="wrong", password=PASSWORD[:-1] + "X"),
        secret(image, name="elsewhere", key="registry.example.com"),
        secret(image),
        seen=is_waiting("ImagePullBackOff"),
    )
    text = refused(image)
    assert shown.waiting() == [
        ("ErrImagePull", text),
        ("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {text}'),
    ]
    assert shown.events() == [
        ("Pulling", f'Pulling image "{image}"'),
        ("Failed", f'Failed to pull image "{image}": {text}'),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", f'Back-off pulling image "{image}"'),
        ("Failed", "Error: ImagePullBackOff"),
    ]
    assert PASSWORD not in json.dumps(shown.documents) + shown.err
    assert shown.status == 130


def test_a_wrong_one_before_the_right_one_does_no_harm(node: Node, image: str) -> None:
    shown = node.run(
        pod(image, "wrong", "regcred"),
        secret(image, name="wrong", password="no"),
        secret(image),
        seen=prints("line        1"),
    )
    assert shown.waiting() == []


def test_a_missing_secret_is_said(node: Node, image: str) -> None:
    shown = node.run(pod(image, "regcred"), seen=is_waiting("ErrImagePull"))
    assert shown.events()[0] == (
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.",
    )


def test_a_broken_secret_is_reason_and_message(node: Node, image: str) -> None:
    broken = secret(image)
    broken["data"][".dockerconfigjson"] = base64.b64encode(b'{"auths":{"x":{"auth":"!"}}}').decode()
    text = "illegal base64 data at input byte 0"
    shown = node.run(pod(image, "regcred"), broken, seen=is_waiting(text))
    assert shown.waiting() == [(text, text)]


def test_a_missing_tag(node: Node, image: str) -> None:
    missing = image.replace(":latest", ":nope")
    shown = node.run(pod(missing, "regcred"), secret(image), seen=is_waiting("ErrImagePull"))
    ((_, message),) = shown.waiting()
    assert message == (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{missing}": '
        f'failed to resolve reference "{missing}": {missing}: not found'
    )


def test_what_one_pod_pulled_another_does_not_get_for_nothing(node: Node, image: str) -> None:
    mine = pod(image, "regcred", name="mine", container={"imagePullPolicy": "IfNotPresent"})
    node.run(mine, secret(image), seen=prints("line        1"))
    yours = pod(image, name="yours", container={"imagePullPolicy": "IfNotPresent"})
    assert node.run(yours, seen=is_waiting("ErrImagePull")).waiting() == [("ErrImagePull", refused(image))]
    never = pod(image, name="never", container={"imagePullPolicy": "Never"})
    ((reason, message),) = node.run(never, seen=is_waiting("ErrImageNeverPull")).waiting()
    assert (reason, message) == (
        "ErrImageNeverPull",
        f'Container image "{image}" is not present with pull policy of Never',
    )
    shown = node.run(never, seen=prints("line        1"), flags=("--trust-present-images",))
    assert shown.events()[0] == (
        "Pulled",
        f'Container image "{image}" already present on machine and can be accessed by the pod',
    )


def test_a_program_that_is_not_there(node: Node, image: str) -> None:
    shown = node.run(
        pod(image, "regcred", container={"command": ["/no/such"]}),
        secret(image),
        seen=is_waiting("RunContainerError"),
    )
    ((_, message),) = shown.waiting()
    assert "no such file or directory" in message
    assert ("Failed", f"Error: {message}") in shown.events()


def test_a_network_of_its_own_is_not_to_be_had(node: Node, image: str) -> None:
    shown = node.run(pod(image, hostNetwork=False), seen=ends)
    assert shown.documents == []
    assert shown.status == 8
    assert "spec.hostNetwork: true" in shown.err


def test_two_pods_side_by_side(node: Node, image: str) -> None:
    seen: set[str] = set()

    def both(one: Document) -> bool:
        if one["kind"] == "ContainerLog":
            seen.add(one["object"]["name"])
        return seen == {"one", "two"}

    shown = node.run(
        pod(image, "regcred", name="one"), pod(image, "regcred", name="two"), secret(image), seen=both
    )
    assert shown.status == 130
    assert [message for reason, message in shown.events() if reason == "Killing"] == [
        "Stopping container nginx"
    ] * 2
