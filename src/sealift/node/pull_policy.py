"""Must an image be pulled, and may this Pod have what is already here?

Spec: R-POL-1 to R-POL-3, R-IMG-3 to R-IMG-8; R-ENS-3, R-ENS-4, R-ENS-10,
R-ENS-12, R-ENS-13 for images that are here.
"""

import enum
import re
from typing import Final

from sealift.image.reference import default_pull_policy

PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
"""All that the API server lets through (R-POL-5)."""

_TAG_AND_DIGEST: Final = re.compile(r"(?::[^/:@]*)?(?:@.*)?$", re.DOTALL)


class Step(enum.Enum):
    """What to do about an image."""

    USE = "use"
    """It is here, and this Pod may have it."""

    PULL = "pull"
    """Ask the registry, with this Pod's own credentials."""

    REFUSE = "refuse"
    """Policy Never, and there is nothing that this Pod may have."""


class Verification(enum.Enum):
    """Which images that are already here need this Pod's credentials to be proved first.

    The names are those of ``imagePullCredentialsVerificationPolicy`` in the
    kubelet's configuration (R-ENS-2), of which these two make sense without
    records that outlive the process.
    """

    ALWAYS = "AlwaysVerify"
    """All of them, unless this very process saw the same credential pull it."""

    NEVER = "NeverVerify"
    """None: whatever is here is everyone's."""


def policy_in_effect(policy: str, image: str) -> str:
    """The pull policy of a container: its own, or what the API server puts in its place (R-POL-1)."""
    return policy or default_pull_policy(image)


def looks_locally(policy: str) -> bool:
    """Whether the runtime is asked for the image before the registry is (R-IMG-3)."""
    return policy != "Always"


def next_step(policy: str, *, present: bool, allowed: bool) -> Step:
    """What to do about an image under `policy`.

    Args:
        policy: One of `PULL_POLICIES`.
        present: Whether the image is here. Not looked at under Always.
        allowed: Whether this Pod has shown, or need not show, that it may have it.
    """
    if policy == "Always":
        return Step.PULL
    if present and allowed:
        return Step.USE
    return Step.REFUSE if policy == "Never" else Step.PULL


def recorded_name(image: str) -> str:
    """The image as pull records know it: as spelt, without tag and digest (R-ENS-10).

    Two spellings of one repository are two names here, as they are for a kubelet.
    """
    return _TAG_AND_DIGEST.sub("", image, count=1)
