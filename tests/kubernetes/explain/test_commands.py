"""The commands that mend things: what may be pasted, and what must not be lost by it."""

import pytest
from tests.kubernetes.explain.manifests import account, explained, login, pod, secret

_APP = "private-registry.io"
_MORE = "quay.io"
_OLD = {"kind": "kubernetes.io/dockercfg", "key": ".dockercfg"}
_LOGIN = '{"private-registry.io":{"username":"u","password":"p"}}'


def fix(code: str, *parts: str) -> str:
    """The one fix of that finding."""
    (found,) = {one.fix for one in explained(*parts).findings if one.code == code}
    return found


@pytest.mark.parametrize(
    ("code", "content"),
    [
        pytest.param("SL201", {_APP: {"auth": "!"}, _MORE: login()}, id="poisoned"),
        pytest.param("SL205", {_APP: {}, _MORE: login()}, id="empty"),
        pytest.param("SL208", {_APP: login(password="p\n"), _MORE: login()}, id="line break"),
    ],
)
def test_the_other_entries_of_a_secret_are_kept(code: str, content: dict[str, object]) -> None:
    assert fix(code, pod(), secret(content)) == (
        r"kubectl get secret regcred -n default -o jsonpath='{.data.\.dockerconfigjson}' | base64 -d"
        " > regcred.json && ${EDITOR:-vi} regcred.json && kubectl create secret docker-registry regcred"
        " -n default --from-file=.dockerconfigjson=regcred.json --dry-run=client -o yaml"
        " | kubectl apply -f - && rm regcred.json"
    )


_IMMUTABLE = secret({f"{_APP}/v2": login()}).replace("\ntype:", "\nimmutable: true\ntype:")


@pytest.mark.parametrize(
    "old",
    [
        pytest.param(secret('{"private-registry.io/v2":{}}', **_OLD), id="of the old type"),
        pytest.param(_IMMUTABLE, id="immutable"),
    ],
)
def test_what_cannot_be_changed_is_made_again(old: str) -> None:
    assert fix("SL104", pod(), old).startswith("kubectl delete secret regcred -n default && sealift secret")


def test_a_secret_of_the_old_type_is_copied_as_one() -> None:
    assert fix("SL103", pod(), secret(_LOGIN, namespace="there", **_OLD)) == (
        r"kubectl get secret regcred -n there -o jsonpath='{.data.\.dockercfg}' | base64 -d"
        " | kubectl create secret generic --type=kubernetes.io/dockercfg regcred -n default"
        " --from-file=.dockercfg=/dev/stdin"
    )


def test_a_copy_does_not_meet_a_secret_of_its_name_and_is_named() -> None:
    found = fix("SL105", pod(), secret({"quay.io": login()}), secret({_APP: login()}, namespace="there"))
    assert " kubectl create secret docker-registry regcred-there -n default " in found
    assert found.endswith("  # then add to the Pod's imagePullSecrets in f.yaml:8: - name: regcred-there")


def test_a_job_is_made_again() -> None:
    job = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n"
        "spec: {template: {spec: {containers: [{name: c, image: private-registry.io/x}]}}}\n"
    )
    assert fix("SL106", job, account(), secret({_APP: login()})) == (
        "add to spec.template.spec of the Job in f.yaml:1: imagePullSecrets: [{name: regcred}],"
        " delete the Job and make it again: its template cannot be changed"
    )
