"""Texts against those of a running kubelet 1.36 with containerd 1.6.20 and 2.4."""

import pytest

from sealift.image.reference import MalformedReference, apply_default_tag
from sealift.node import messages
from sealift.node.messages import Event, Waiting

R401 = (
    'failed to pull and unpack image "127.0.0.1:5443/private/nosecret:1": failed to resolve reference '
    '"127.0.0.1:5443/private/nosecret:1": pulling from host 127.0.0.1:5443 failed with status code '
    "[manifests 1]: 401 Unauthorized"
)
NOT_FOUND = (
    'failed to pull and unpack image "127.0.0.1:5443/private/ok:nope": failed to resolve reference '
    '"127.0.0.1:5443/private/ok:nope": 127.0.0.1:5443/private/ok:nope: not found'
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("Unknown", "text", id="unknown loses its frame"),
        pytest.param("NotFound", "rpc error: code = NotFound desc = text", id="not found keeps it"),
        pytest.param(
            "DeadlineExceeded", "rpc error: code = DeadlineExceeded desc = text", id="and all others"
        ),
    ],
)
def test_frame_of_an_error(code: str, expected: str) -> None:
    assert messages.error_text(code, "text") == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["a"], "a", id="one bare"),
        pytest.param(["a", "a"], "a", id="the same twice is one"),
        pytest.param(["a", "b", "a"], "[a, b]", id="different ones in order"),
    ],
)
def test_errors_of_several_credentials(texts: list[str], expected: str) -> None:
    assert messages.aggregate(texts) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(R401, Waiting("ErrImagePull", R401), id="401"),
        pytest.param(
            "RegistryUnavailable: connection refused",
            Waiting(
                "RegistryUnavailable",
                "image pull failed for r.io/x because the registry is unavailable: connection refused",
            ),
            id="registry unavailable",
        ),
        pytest.param(
            "SignatureValidationFailed",
            Waiting(
                "SignatureValidationFailed",
                "image pull failed for r.io/x because the signature validation failed",
            ),
            id="signature, nothing after it",
        ),
        pytest.param(
            "rpc error: code = Unavailable desc = RegistryUnavailable: x",
            Waiting("ErrImagePull", "rpc error: code = Unavailable desc = RegistryUnavailable: x"),
            id="a kept frame hides the prefix",
        ),
        pytest.param(
            "[RegistryUnavailable: x, other]",
            Waiting("ErrImagePull", "[RegistryUnavailable: x, other]"),
            id="brackets hide the prefix (R-KEY-28)",
        ),
    ],
)
def test_reason_and_message_of_a_failed_pull(text: str, expected: Waiting) -> None:
    assert messages.pull_failure("r.io/x", text) == expected


def test_b_nosecret_as_observed() -> None:
    image = "127.0.0.1:5443/private/nosecret:1"
    assert messages.pull_failed(image, R401) == Event(
        "Warning", "Failed", f'Failed to pull image "{image}": {R401}'
    )
    failure = messages.pull_failure(image, R401)
    assert messages.start_failed(failure) == Event("Warning", "Failed", "Error: ErrImagePull")
    assert messages.back_off(image) == Event("Normal", "BackOff", f'Back-off pulling image "{image}"')
    waiting = messages.in_back_off(image, failure)
    assert waiting == Waiting("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {R401}')
    assert messages.start_failed(waiting) == Event("Warning", "Failed", "Error: ImagePullBackOff")


def test_e_no_tag_as_observed() -> None:
    image = "127.0.0.1:5443/private/ok:nope"
    text = messages.error_text("NotFound", NOT_FOUND)
    assert messages.pull_failed(image, text).message == (
        f'Failed to pull image "{image}": rpc error: code = NotFound desc = {NOT_FOUND}'
    )


def test_back_off_without_a_known_failure() -> None:
    assert messages.in_back_off("x", None) == Waiting("ImagePullBackOff", 'Back-off pulling image "x"')


def test_s2_never_as_observed() -> None:
    waiting = messages.never_pull("127.0.0.1:5443/private/shared:1")
    text = 'Container image "127.0.0.1:5443/private/shared:1" is not present with pull policy of Never'
    assert waiting == Waiting("ErrImageNeverPull", text)
    assert messages.not_pulled(waiting) == Event("Warning", "ErrImageNeverPull", text)
    assert messages.start_failed(waiting) == Event("Warning", "Failed", "Error: ErrImageNeverPull")


def test_d_missing_secret_as_observed() -> None:
    assert messages.secrets_missing(["not-there", "b"]) == Event(
        "Warning",
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (not-there, b); "
        "attempting to pull the image may not succeed.",
    )


def test_s5_present_as_observed() -> None:
    assert messages.already_present("r:1/x:1") == Event(
        "Normal",
        "Pulled",
        'Container image "r:1/x:1" already present on machine and can be accessed by the pod',
    )


def test_a_good_as_observed() -> None:
    event = messages.pulled(
        "127.0.0.1:5443/private/ok:1", pull_seconds=0.38499, total_seconds=0.38499, size=1028557
    )
    assert event == Event(
        "Normal",
        "Pulled",
        'Successfully pulled image "127.0.0.1:5443/private/ok:1" in 384ms (384ms including waiting). '
        "Image size: 1028557 bytes.",
    )


def test_invalid_name() -> None:
    with pytest.raises(MalformedReference) as caught:
        apply_default_tag("r.io/Big")
    waiting = messages.invalid_name("r.io/Big", caught.value)
    assert waiting.reason == "InvalidImageName"
    assert waiting.message == (
        'Failed to apply default image tag "r.io/Big": couldn\'t parse image name "r.io/Big": '
        "invalid reference format: repository name (Big) must be lowercase"
    )
    assert messages.not_pulled(waiting).reason == "InspectFailed"


def test_inspect_prints_an_empty_name() -> None:
    waiting = messages.inspect_failed("rpc error: code = Internal desc = db")
    assert waiting == Waiting(
        "ImageInspectError", 'Failed to inspect image "": rpc error: code = Internal desc = db'
    )
    assert messages.not_pulled(waiting) == Event("Warning", "InspectFailed", waiting.message)


def test_undecodable_secret_is_reason_and_message() -> None:
    text = "illegal base64 data at input byte 0"
    assert messages.undecodable_secret(text) == Waiting(text, text)


def test_crash_loop() -> None:
    assert messages.crash_loop(10.0, container="c", pod="p_ns(u)") == Waiting(
        "CrashLoopBackOff", "back-off 10s restarting failed container=c pod=p_ns(u)"
    )
    assert messages.crash_loop(160.0, container="c", pod="p_ns(u)").message.startswith("back-off 2m40s ")
    assert messages.restart_back_off("c", "p_ns(u)").type == "Warning"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0.0, "0s", id="nothing"),
        pytest.param(0.0009, "0s", id="below a millisecond"),
        pytest.param(0.029, "29ms", id="milliseconds"),
        pytest.param(1.0, "1s", id="whole seconds"),
        pytest.param(1.493, "1.493s", id="seconds and milliseconds"),
        pytest.param(61.5, "1m1.5s", id="minutes"),
        pytest.param(3600.25, "1h0m0.25s", id="hours name their minutes"),
    ],
)
def test_durations_read_as_go_prints_them(seconds: float, expected: str) -> None:
    event = messages.pulled("x", pull_seconds=seconds, total_seconds=seconds, size=0)
    assert f"in {expected} ({expected} including" in event.message


def test_odd_image_texts_are_quoted_as_go_does() -> None:
    assert messages.pulling('a"b\n').message == r'Pulling image "a\"b\n"'
