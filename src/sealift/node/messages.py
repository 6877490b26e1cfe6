"""What a kubelet shows to people: events, and the reason and message of a container that waits.

Everything here is text from text. The words are those of kubelet 1.36, so that
whoever knows them from a cluster, or searches for them, finds the same here.

Spec: R-IMG-2 to R-IMG-18, R-KEY-22, R-KEY-27, R-KEY-28; texts of a running
kubelet in kubelet-observed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sealift.image.reference import MalformedReference, go_quoted

ERR_IMAGE_PULL: Final = "ErrImagePull"
IMAGE_PULL_BACK_OFF: Final = "ImagePullBackOff"
ERR_IMAGE_NEVER_PULL: Final = "ErrImageNeverPull"
INVALID_IMAGE_NAME: Final = "InvalidImageName"
IMAGE_INSPECT_ERROR: Final = "ImageInspectError"
REGISTRY_UNAVAILABLE: Final = "RegistryUnavailable"
SIGNATURE_VALIDATION_FAILED: Final = "SignatureValidationFailed"
CREATE_CONTAINER_ERROR: Final = "CreateContainerError"
RUN_CONTAINER_ERROR: Final = "RunContainerError"
CRASH_LOOP_BACK_OFF: Final = "CrashLoopBackOff"

_UNKNOWN: Final = "Unknown"
_MILLISECONDS: Final = 1000

_BY_PREFIX: Final = (
    (REGISTRY_UNAVAILABLE, "because the registry is unavailable"),
    (SIGNATURE_VALIDATION_FAILED, "because the signature validation failed"),
)
"""Errors of the runtime that a kubelet knows by how they begin (R-IMG-15)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a Pod."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """``state.waiting`` of a container's status: why it does not run."""

    reason: str
    message: str


# ---- errors of the runtime


def error_text(code: str, description: str) -> str:
    """An error of a CRI call as a kubelet quotes it (R-IMG-15).

    gRPC's frame is taken off where the code is Unknown, which is what
    containerd gives for most failures, and stays for every other code.
    """
    if code == _UNKNOWN:
        return description
    return f"rpc error: code = {code} desc = {description}"


def aggregate(texts: Sequence[str]) -> str:
    """The errors of all credentials that were tried, as one text (R-KEY-27).

    One text bare; several different ones in brackets, in order, each once.
    """
    distinct = tuple(dict.fromkeys(texts))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"


def pull_failure(image: str, text: str) -> Waiting:
    """Reason and message for a pull that failed with `text` (R-IMG-15).

    Several errors in brackets are never taken for the two special ones (R-KEY-28).
    """
    for reason, words in _BY_PREFIX:
        if text.startswith(reason):
            return Waiting(reason, f"image pull failed for {image} {words}{text.removeprefix(reason)}")
    return Waiting(ERR_IMAGE_PULL, text)


# ---- reasons to wait


def in_back_off(image: str, before: Waiting | None) -> Waiting:
    """Waiting for the next attempt; `before` is the failure that led here (R-IMG-9)."""
    text = _back_off_text(image)
    if before is not None:
        text = f"{text}: {before.reason}: {before.message}"
    return Waiting(IMAGE_PULL_BACK_OFF, text)


def never_pull(image: str) -> Waiting:
    """Policy Never, and not here: or here, and not for this Pod, which is not to be told apart (R-IMG-7)."""
    return Waiting(
        ERR_IMAGE_NEVER_PULL, f"Container image {go_quoted(image)} is not present with pull policy of Never"
    )


def invalid_name(image: str, refusal: MalformedReference) -> Waiting:
    """The image of the Pod is no image name (R-IMG-2)."""
    return Waiting(
        INVALID_IMAGE_NAME, f"Failed to apply default image tag {go_quoted(image)}: {refusal.kubelet_message}"
    )


def inspect_failed(text: str) -> Waiting:
    """The runtime could not say whether the image is here (R-IMG-3). The name is empty upstream, too."""
    return Waiting(IMAGE_INSPECT_ERROR, f'Failed to inspect image "": {text}')


def undecodable_secret(go_text: str) -> Waiting:
    """A pull Secret that cannot be decoded: the raw error is reason and message both (R-SEC-13)."""
    return Waiting(go_text, go_text)


def crash_loop(seconds: float, *, container: str, pod: str) -> Waiting:
    """A container that ends again and again. `pod` is ``name_namespace(uid)``."""
    return Waiting(
        CRASH_LOOP_BACK_OFF,
        f"back-off {_go_duration(seconds)} restarting failed container={container} pod={pod}",
    )


# ---- events


def pulling(image: str) -> Event:
    """A pull begins (R-IMG-10)."""
    return Event("Normal", "Pulling", f"Pulling image {go_quoted(image)}")


def pulled(image: str, *, pull_seconds: float, total_seconds: float, size: int) -> Event:
    """A pull succeeded (R-IMG-11). `size` is in bytes, 0 where it is not known."""
    return Event(
        "Normal",
        "Pulled",
        f"Successfully pulled image {go_quoted(image)} in {_milliseconds(pull_seconds)} "
        f"({_milliseconds(total_seconds)} including waiting). Image size: {size} bytes.",
    )


def already_present(image: str) -> Event:
    """The image is here, and this Pod may have it (R-IMG-5)."""
    return Event(
        "Normal",
        "Pulled",
        f"Container image {go_quoted(image)} already present on machine and can be accessed by the pod",
    )


def pull_failed(image: str, text: str) -> Event:
    """A pull failed (R-IMG-11). `text` is the error before it became a reason and a message."""
    return Event("Warning", "Failed", f"Failed to pull image {go_quoted(image)}: {text}")


def start_failed(waiting: Waiting) -> Event:
    """What each failure of an image adds (R-IMG-12)."""
    return Event("Warning", "Failed", f"Error: {waiting.reason}")


def back_off(image: str) -> Event:
    """A sync of the Pod came before the next attempt was due (R-IMG-9). Normal, not a warning (R-IMG-18)."""
    return Event("Normal", "BackOff", _back_off_text(image))


def not_pulled(waiting: Waiting) -> Event:
    """The event of a failure before any pull: R-IMG-2, R-IMG-3, R-IMG-4."""
    reason = ERR_IMAGE_NEVER_PULL if waiting.reason == ERR_IMAGE_NEVER_PULL else "InspectFailed"
    return Event("Warning", reason, waiting.message)


def secrets_missing(names: Sequence[str]) -> Event:
    """Pull Secrets that the Pod names and that are not there (R-KEY-22)."""
    return Event(
        "Warning",
        "FailedToRetrieveImagePullSecret",
        f"Unable to retrieve some image pull secrets ({', '.join(names)}); "
        "attempting to pull the image may not succeed.",
    )


def sandbox_failed(text: str) -> Event:
    """The Pod's sandbox could not be made."""
    return Event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {text}")


def container_created() -> Event:
    """A container was created. The name is left out since 1.35, so that events of one Pod add up."""
    return Event("Normal", "Created", "Container created")


def container_started() -> Event:
    """A container runs."""
    return Event("Normal", "Started", "Container started")


def container_failed(description: str) -> Event:
    """The runtime could not create or start a container. Only its own words, without code."""
    return Event("Warning", "Failed", f"Error: {description}")


def stopping(container: str) -> Event:
    """A container is told to end."""
    return Event("Normal", "Killing", f"Stopping container {container}")


def restart_back_off(container: str, pod: str) -> Event:
    """A container waits before it is started again. `pod` is ``name_namespace(uid)``."""
    return Event("Warning", "BackOff", f"Back-off restarting failed container {container} in pod {pod}")


def _back_off_text(image: str) -> str:
    return f"Back-off pulling image {go_quoted(image)}"


def _milliseconds(seconds: float) -> str:
    return _go_duration(int(seconds * 1000) / 1000)


def _go_duration(seconds: float) -> str:
    """As Go prints a duration of whole milliseconds: ``384ms``, ``1.5s``, ``2m40s``, ``1h0m0.25s``."""
    total = round(seconds * 1000)
    if total == 0:
        return "0s"
    if total < _MILLISECONDS:
        return f"{total}ms"
    minutes, rest = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
