"""What of a Pod is run, what is passed over and what is refused."""

from typing import Any

import pytest

from sealift.kubernetes.objects import Place, Pod
from sealift.node.pod_plan import ContainerPlan, PodPlan, UnrunnablePod, expand, plan_pod

CONTAINER = {"name": "nginx", "image": "private-registry.io/apps/internal-app"}


def pod(**spec: Any) -> Pod:
    return Pod(
        kind="Pod",
        namespace="default",
        name="nginx-pod",
        place=Place("pod.yaml", 1),
        spec={"containers": [CONTAINER], **spec},
    )


def container(**fields: Any) -> Pod:
    return pod(containers=[{**CONTAINER, **fields}])


def test_the_pod_of_the_story() -> None:
    given = pod(imagePullSecrets=[{"name": "regcred"}], hostNetwork=True)
    assert plan_pod(given) == PodPlan(
        pod=given,
        init_containers=(),
        containers=(
            ContainerPlan(name="nginx", image="private-registry.io/apps/internal-app", pull_policy="Always"),
        ),
        host_network=True,
    )


def test_a_pod_that_says_much() -> None:
    given = pod(
        initContainers=[{"name": "first", "image": "r.io/i:1"}],
        containers=[
            {
                "name": "c",
                "image": "r.io/a:1",
                "imagePullPolicy": "Never",
                "command": ["/bin/$(TOOL)"],
                "args": ["$(PORT)", "$$(PORT)", "$(NOBODY)"],
                "workingDir": "/srv",
                "env": [
                    {"name": "TOOL", "value": "x"},
                    {"name": "PORT", "value": "80"},
                    {"name": "URL", "value": "http://h:$(PORT)"},
                ],
                "tty": True,
                "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1"}},
                "securityContext": {
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "runAsUser": 5,
                },
            }
        ],
        securityContext={"runAsUser": 7, "runAsGroup": 8, "runAsNonRoot": True},
        restartPolicy="OnFailure",
        terminationGracePeriodSeconds=0,
        hostPID=True,
        hostIPC=True,
        tolerations=[{"operator": "Exists"}],
        volumes=[],
    )
    plan = plan_pod(given)
    assert plan == PodPlan(
        pod=given,
        init_containers=(
            ContainerPlan(
                name="first", image="r.io/i:1", pull_policy="IfNotPresent", run_as_user=7, run_as_group=8
            ),
        ),
        containers=(
            ContainerPlan(
                name="c",
                image="r.io/a:1",
                pull_policy="Never",
                command=("/bin/x",),
                args=("80", "$(PORT)", "$(NOBODY)"),
                working_dir="/srv",
                env=(("TOOL", "x"), ("PORT", "80"), ("URL", "http://h:80")),
                tty=True,
                run_as_user=5,
                run_as_group=8,
                read_only_root=True,
                no_new_privileges=True,
            ),
        ),
        restart_policy="OnFailure",
        grace_seconds=0,
        hostname="nginx-pod",
        host_pid=True,
        host_ipc=True,
        warnings=("spec.containers[0].resources is passed over: nothing here acts on it",),
    )


@pytest.mark.parametrize(
    ("given", "field"),
    [
        pytest.param(pod(volumes=[{"name": "v"}]), "spec.volumes", id="volumes"),
        pytest.param(pod(hostUsers=False), "spec.hostUsers", id="user namespaces: false is the odd one"),
        pytest.param(pod(runtimeClassName="gvisor"), "spec.runtimeClassName", id="another runtime"),
        pytest.param(pod(shareProcessNamespace=True), "spec.shareProcessNamespace", id="one PID namespace"),
        pytest.param(pod(securityContext={"fsGroup": 5}), "spec.securityContext.fsGroup", id="pod security"),
        pytest.param(
            container(securityContext={"privileged": True}),
            "spec.containers[0].securityContext.privileged",
            id="privileged",
        ),
        pytest.param(
            container(securityContext={"runAsNonRoot": True}),
            "spec.containers[0].securityContext.runAsNonRoot",
            id="an image's user is not looked up",
        ),
        pytest.param(container(volumeMounts=[{"name": "v"}]), "spec.containers[0].volumeMounts", id="mounts"),
        pytest.param(container(envFrom=[{}]), "spec.containers[0].envFrom", id="environment from elsewhere"),
        pytest.param(
            container(env=[{"name": "A", "valueFrom": {"fieldRef": {}}}]),
            "spec.containers[0].env[0].valueFrom",
            id="a value from elsewhere",
        ),
        pytest.param(container(lifecycle={"preStop": {}}), "spec.containers[0].lifecycle", id="hooks"),
        pytest.param(container(stdin=True), "spec.containers[0].stdin", id="input"),
        pytest.param(
            container(imagePullPolicy="always"), "spec.containers[0].imagePullPolicy", id="no such policy"
        ),
        pytest.param(container(image=""), "spec.containers[0].image", id="no image"),
        pytest.param(container(name=None), "spec.containers[0].name", id="no name"),
        pytest.param(pod(containers=[CONTAINER, CONTAINER]), "spec.containers", id="a name twice"),
        pytest.param(pod(containers=[]), "spec.containers", id="no container"),
        pytest.param(pod(containers="x"), "spec.containers", id="no list"),
        pytest.param(pod(containers=["x"]), "spec.containers[0]", id="no object"),
        pytest.param(
            pod(initContainers=[{**CONTAINER, "name": "i", "restartPolicy": "Always"}]),
            "spec.initContainers[0].restartPolicy",
            id="sidecars",
        ),
        pytest.param(pod(restartPolicy="Sometimes"), "spec.restartPolicy", id="no such restart policy"),
        pytest.param(
            pod(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds", id="negative grace"
        ),
        pytest.param(
            pod(terminationGracePeriodSeconds=True),
            "spec.terminationGracePeriodSeconds",
            id="grace is no truth",
        ),
    ],
)
def test_refused_by_name(given: Pod, field: str) -> None:
    with pytest.raises(UnrunnablePod) as caught:
        plan_pod(given)
    assert caught.value.field == field
    assert str(caught.value) == "cannot run pod/nginx-pod (pod.yaml:1)"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$(A)$(A)", "11"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)", "$(B)"),
        ("$A $(", "$A $("),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected
