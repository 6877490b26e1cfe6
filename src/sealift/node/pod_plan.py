"""A Pod from a manifest, as far as we run it: what is made of each field, and what is refused.

A field that would change what a container is or sees, and that we do not
carry out, is refused by name before anything starts: a Pod that runs without
its volume is worse than one that does not run. A field that only a cluster
needs (scheduling, Services) is passed over, and one whose lack can be lived
with (limits, probes) is passed over with a warning.

Spec: Kubernetes API v1, PodSpec and Container; R-POL-1, R-POL-5; expansion of
``$(NAME)`` as in k8s.io/kubernetes/third_party/forked/golang/expansion.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, cast

from sealift.errors import SealiftError
from sealift.kubernetes.objects import Pod
from sealift.node.pull_policy import PULL_POLICIES, policy_in_effect

RestartPolicy = Literal["Always", "OnFailure", "Never"]

DEFAULT_GRACE_SECONDS: Final = 30
"""``terminationGracePeriodSeconds`` where the Pod has none."""

MAX_HOSTNAME: Final = 63
"""Characters. A Pod's name may be longer, and is cut where it becomes the host's name."""

_CARRIED_OUT: Final = frozenset(
    {
        "containers",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostUsers",
        "hostname",
        "imagePullSecrets",
        "initContainers",
        "restartPolicy",
        "securityContext",
        "serviceAccount",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
    }
)
_OF_CLUSTERS: Final = frozenset(
    {
        "affinity",
        "automountServiceAccountToken",
        "dnsPolicy",
        "enableServiceLinks",
        "nodeName",
        "nodeSelector",
        "os",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "readinessGates",
        "schedulerName",
        "schedulingGates",
        "tolerations",
        "topologySpreadConstraints",
    }
)
_CONTAINER_CARRIED_OUT: Final = frozenset(
    {
        "args",
        "command",
        "env",
        "image",
        "imagePullPolicy",
        "name",
        "ports",  # which a runtime is only told of to be kind
        "securityContext",
        "stdin",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "tty",
        "workingDir",
    }
)
_CONTAINER_WARNED: Final = frozenset(
    {"livenessProbe", "readinessProbe", "resizePolicy", "resources", "startupProbe"}
)
_SECURITY_CARRIED_OUT: Final = frozenset({"runAsUser", "runAsGroup", "runAsNonRoot"})
_CONTAINER_SECURITY_CARRIED_OUT: Final = _SECURITY_CARRIED_OUT | {
    "allowPrivilegeEscalation",
    "readOnlyRootFilesystem",
}
_HARMLESS: Final[tuple[object, ...]] = (None, False, [], {}, "")
"""Values with which any field says nothing."""


class NothingToRun(SealiftError):
    """The manifests hold no Pod, or something else than Pods to run."""

    exit_status: ClassVar[int] = 2


class UnrunnablePod(SealiftError):
    """A Pod asks for something that is not done here, or for something that no kubelet does.

    Attributes:
        field: The path of the field: ``spec.volumes``.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, pod: Pod, field: str, why: str, *, hint: str | None = None) -> None:
        place = f" ({pod.place})" if pod.place is not None else ""
        super().__init__(
            f"cannot run pod/{pod.name}{place}",
            why=f"{field}: {why}",
            hint=hint or f"take {field} out of the Pod to run it here, or run the Pod in a cluster",
        )
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """One container, with everything settled that the manifest can settle."""

    name: str
    image: str
    pull_policy: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    tty: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    read_only_root: bool = False
    no_new_privileges: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPlan:
    """A Pod that can be run here."""

    pod: Pod
    init_containers: tuple[ContainerPlan, ...]
    containers: tuple[ContainerPlan, ...]
    restart_policy: RestartPolicy = "Always"
    grace_seconds: int = DEFAULT_GRACE_SECONDS
    hostname: str = ""
    """Empty where the network, and with it the name, is the host's."""

    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    warnings: tuple[str, ...] = ()
    """What is passed over and could be missed."""

    @property
    def number_of_containers(self) -> int:
        """Init containers counted."""
        return len(self.init_containers) + len(self.containers)


def plan_pod(pod: Pod) -> PodPlan:
    """What is run for a Pod.

    Raises:
        UnrunnablePod: Something in it is not done here.
    """
    spec = pod.spec
    for key, value in spec.items():
        if key not in _CARRIED_OUT | _OF_CLUSTERS and value not in _HARMLESS:
            raise UnrunnablePod(pod, f"spec.{key}", "is not supported by `sealift node run`")
    if spec.get("hostUsers") is False:
        raise UnrunnablePod(pod, "spec.hostUsers", "user namespaces are not supported by `sealift node run`")
    security = _mapping(pod, "spec.securityContext", spec.get("securityContext"))
    _refuse_others(pod, "spec.securityContext", security, _SECURITY_CARRIED_OUT)
    warnings: list[str] = []
    kinds = {}
    for kind in ("initContainers", "containers"):
        kinds[kind] = tuple(
            _container(pod, f"spec.{kind}[{index}]", one, security, warnings)
            for index, one in enumerate(_sequence(pod, f"spec.{kind}", spec.get(kind)))
        )
    if not kinds["containers"]:
        raise UnrunnablePod(pod, "spec.containers", "there is none", hint="give the Pod a container")
    names = [one.name for plans in kinds.values() for one in plans]
    for name in names:
        if names.count(name) > 1:
            raise UnrunnablePod(
                pod,
                "spec.containers",
                f"two containers are called {name!r}",
                hint="give each container of a Pod its own name",
            )
    policy = spec.get("restartPolicy") or "Always"
    if policy not in {"Always", "OnFailure", "Never"}:
        raise UnrunnablePod(
            pod,
            "spec.restartPolicy",
            f"{policy!r} is none of Always, OnFailure, Never",
            hint="write one of the three, or leave it out for Always",
        )
    return PodPlan(
        pod=pod,
        init_containers=kinds["initContainers"],
        containers=kinds["containers"],
        restart_policy=cast("RestartPolicy", policy),
        grace_seconds=_grace(pod, spec.get("terminationGracePeriodSeconds")),
        hostname="" if spec.get("hostNetwork") else str(spec.get("hostname") or pod.name)[:MAX_HOSTNAME],
        host_network=bool(spec.get("hostNetwork")),
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        warnings=tuple(warnings),
    )


def _container(
    pod: Pod, field: str, value: Any, pod_security: Mapping[str, Any], warnings: list[str]
) -> ContainerPlan:
    container = _mapping(pod, field, value)
    for key, one in container.items():
        if one in _HARMLESS:
            continue
        if key in _CONTAINER_WARNED:
            warnings.append(f"{field}.{key} is passed over: nothing here acts on it")
        elif key not in _CONTAINER_CARRIED_OUT or key == "stdin":
            raise UnrunnablePod(pod, f"{field}.{key}", "is not supported by `sealift node run`")
    security = _mapping(pod, f"{field}.securityContext", container.get("securityContext"))
    _refuse_others(pod, f"{field}.securityContext", security, _CONTAINER_SECURITY_CARRIED_OUT)
    user = security.get("runAsUser", pod_security.get("runAsUser"))
    if security.get("runAsNonRoot", pod_security.get("runAsNonRoot")) and not user:
        raise UnrunnablePod(
            pod,
            f"{field}.securityContext.runAsNonRoot",
            "who the image runs as is not looked up here",
            hint="say which user with runAsUser",
        )
    name = container.get("name")
    if not isinstance(name, str) or not name:
        raise UnrunnablePod(
            pod, f"{field}.name", "is missing", hint="give each container of a Pod its own name"
        )
    image = container.get("image")
    if not isinstance(image, str) or not image:
        raise UnrunnablePod(pod, f"{field}.image", "is missing", hint="name the image of the container")
    policy = policy_in_effect(container.get("imagePullPolicy") or "", image)
    if policy not in PULL_POLICIES:
        raise UnrunnablePod(
            pod,
            f"{field}.imagePullPolicy",
            f"{policy!r} is none of {', '.join(PULL_POLICIES)}",
            hint="write one of the three, or leave it out for the default",
        )
    env = _environment(pod, f"{field}.env", container.get("env"))
    known = dict(env)
    return ContainerPlan(
        name=name,
        image=image,
        pull_policy=policy,
        command=tuple(expand(str(one), known) for one in container.get("command") or ()),
        args=tuple(expand(str(one), known) for one in container.get("args") or ()),
        working_dir=container.get("workingDir") or "",
        env=env,
        tty=bool(container.get("tty")),
        run_as_user=user,
        run_as_group=security.get("runAsGroup", pod_security.get("runAsGroup")),
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
    )


def _environment(pod: Pod, field: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Names and values, where a later value may use an earlier name."""
    known: dict[str, str] = {}
    for index, one in enumerate(_sequence(pod, field, value)):
        variable = _mapping(pod, f"{field}[{index}]", one)
        if variable.get("valueFrom"):
            raise UnrunnablePod(pod, f"{field}[{index}].valueFrom", "is not supported by `sealift node run`")
        known[str(variable.get("name"))] = expand(str(variable.get("value") or ""), known)
    return tuple(known.items())


_REFERENCE: Final = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`text` with ``$(NAME)`` replaced where NAME is known; ``$$`` stands for one dollar sign.

    A name that is not known stays as it is written.
    """
    return _REFERENCE.sub(lambda found: _replacement(found, known), text)


def _replacement(found: re.Match[str], known: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    return known.get(found[1], found[0])


def _grace(pod: Pod, value: Any) -> int:
    if value is None:
        return DEFAULT_GRACE_SECONDS
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UnrunnablePod(
            pod,
            "spec.terminationGracePeriodSeconds",
            f"{value!r} is no number of seconds",
            hint="write a whole number, 0 or more",
        )
    return value


def _refuse_others(pod: Pod, field: str, value: Mapping[str, Any], known: frozenset[str]) -> None:
    for key, one in value.items():
        if key not in known and one not in _HARMLESS:
            raise UnrunnablePod(pod, f"{field}.{key}", "is not supported by `sealift node run`")


def _mapping(pod: Pod, field: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UnrunnablePod(pod, field, "is no object", hint=f"write {field} as key: value pairs")
    return value


def _sequence(pod: Pod, field: str, value: Any) -> Iterator[Any]:
    if value is None:
        return iter(())
    if not isinstance(value, list):
        raise UnrunnablePod(pod, field, "is no list", hint=f"write {field} as a list")
    return iter(value)
