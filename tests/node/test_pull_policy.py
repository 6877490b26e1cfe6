"""What is done about an image, and under which name it is remembered."""

import pytest

from sealift.node.pull_policy import Step, looks_locally, next_step, policy_in_effect, recorded_name


@pytest.mark.parametrize(
    ("policy", "image", "expected"),
    [
        pytest.param("", "r.io/apps/internal-app", "Always", id="no tag is latest"),
        pytest.param("", "r.io/a:1", "IfNotPresent", id="a tag"),
        pytest.param("", "r.io/a@sha256:" + "0" * 64, "IfNotPresent", id="a digest"),
        pytest.param("", "r.io/a:latest@sha256:" + "0" * 64, "Always", id="the tag decides (R-POL-2)"),
        pytest.param("", "r.io/Big", "IfNotPresent", id="no name at all (R-POL-3)"),
        pytest.param("Never", "r.io/a", "Never", id="what is written stands"),
    ],
)
def test_policy_in_effect(policy: str, image: str, expected: str) -> None:
    assert policy_in_effect(policy, image) == expected


@pytest.mark.parametrize(
    ("policy", "present", "allowed", "expected"),
    [
        ("Always", False, False, Step.PULL),
        ("Always", True, True, Step.PULL),
        ("IfNotPresent", False, False, Step.PULL),
        ("IfNotPresent", True, False, Step.PULL),
        ("IfNotPresent", True, True, Step.USE),
        ("IfNotPresent", False, True, Step.PULL),
        ("Never", False, False, Step.REFUSE),
        ("Never", False, True, Step.REFUSE),
        ("Never", True, False, Step.REFUSE),
        ("Never", True, True, Step.USE),
    ],
)
def test_next_step(policy: str, present: bool, allowed: bool, expected: Step) -> None:
    assert next_step(policy, present=present, allowed=allowed) is expected


def test_only_always_does_not_look() -> None:
    assert [looks_locally(one) for one in ("Always", "IfNotPresent", "Never")] == [False, True, True]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param("nginx", "nginx", id="bare"),
        pytest.param("nginx:1", "nginx", id="tag"),
        pytest.param("nginx:1@sha256:" + "0" * 64, "nginx", id="tag and digest"),
        pytest.param("docker.io/library/nginx:1", "docker.io/library/nginx", id="not made short"),
        pytest.param("localhost:5000/x", "localhost:5000/x", id="a port is no tag"),
        pytest.param("localhost:5000/x:1", "localhost:5000/x", id="a port and a tag"),
        pytest.param("x@sha256:" + "0" * 64, "x", id="digest"),
    ],
)
def test_recorded_name_is_the_spelling_without_tag_and_digest(image: str, expected: str) -> None:
    assert recorded_name(image) == expected
