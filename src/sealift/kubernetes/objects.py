"""The few Kubernetes objects that decide how an image is pulled, and the fields of them that count.

Spec: R-SEC-1, R-ADM-13, R-ADM-14, R-KEY-24.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DOCKER_CONFIG_JSON: Final = "kubernetes.io/dockerconfigjson"
DOCKER_CONFIG: Final = "kubernetes.io/dockercfg"

DATA_KEYS: Final[Mapping[str, str]] = {DOCKER_CONFIG_JSON: ".dockerconfigjson", DOCKER_CONFIG: ".dockercfg"}
"""The data key that goes with each type of Secret that the kubelet reads. No other pair counts (R-SEC-2)."""

DEFAULT_NAMESPACE: Final = "default"
DEFAULT_SERVICE_ACCOUNT: Final = "default"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, for whoever has to find it."""

    file: str
    line: int
    """Counted from 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A Secret, with `stringData` already laid over `data`, as the API server stores it."""

    namespace: str
    name: str
    type: str
    data: Mapping[str, bytes] = field(repr=False)
    immutable: bool = False
    """Whether its content cannot be changed (R-SEC-19)."""

    uid: str = ""
    """Empty for a manifest. A node's pull records know a Secret by it (R-ENS-9)."""

    place: Place | None = None
    data_places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    """Where each data key stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A ServiceAccount, as far as pulling goes. Its `secrets` have nothing to do with it (R-ADM-13)."""

    namespace: str
    name: str
    image_pull_secrets: tuple[str, ...] = ()
    uid: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """One image that a Pod needs."""

    field: str
    """The path to it in the object: ``spec.containers[0].image``."""

    container: str | None
    """Name of the container, or of the volume for an image volume; None where it has none."""

    image: str
    pull_policy: str
    """As it is written; empty where the API server has to fill it in (R-POL-1)."""

    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A Pod, or the Pod that a workload's template will make."""

    kind: str
    """Of the object that holds it: ``Pod``, ``Deployment``, …"""

    namespace: str
    name: str
    service_account_name: str = DEFAULT_SERVICE_ACCOUNT
    image_pull_secrets: tuple[str, ...] = ()
    """Names as they stand, empty ones included: ``[{}]`` is a list of one (R-KEY-24)."""

    images: tuple[ImageUse, ...] = ()
    uid: str = ""
    place: Place | None = None
    pull_secrets_place: Place | None = None
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The whole Pod spec as it was read, for whoever runs it."""

    @property
    def is_template(self) -> bool:
        """Whether this is the template of a workload: there the API server checks less (R-POL-6)."""
        return self.kind != "Pod"
