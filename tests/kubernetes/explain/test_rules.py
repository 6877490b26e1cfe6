"""What the evidence supports: one row a situation."""

import base64
import json

import pytest
from tests.kubernetes.explain.manifests import (
    APP,
    NOW,
    account,
    codes,
    explained,
    explained_image,
    login,
    pod,
    secret,
)

from sealift.kubernetes.explain.collect import Question, gather
from sealift.kubernetes.explain.findings import PAGE_BY_CODE
from sealift.kubernetes.explain.rules import explain
from sealift.kubernetes.inventory import take_inventory
from sealift.kubernetes.manifests import read_documents

_GOOD = secret({"private-registry.io": login()})
_HUB = "https://index.docker.io/v1/"


def _token(expiry: object) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expiry}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{claims}.sig"


@pytest.mark.parametrize(
    ("parts", "found", "verdict"),
    [
        pytest.param((pod(), _GOOD), [], "unknown", id="nothing to say"),
        # ------------------------------------------------ which credential
        pytest.param(
            (pod(), secret({"quay.io": login()})), [("SL101", "error", False)], "unknown", id="no key matches"
        ),
        pytest.param((pod(), secret({_HUB: login()})), [("SL101", "error", False)], "unknown", id="S-2"),
        pytest.param(
            (pod(names=None), account()), [("SL102", "warning", False)], "unknown", id="nobody names a Secret"
        ),
        pytest.param(
            (pod("nginx", names=None), account()),
            [("SL102", "info", False), ("SL113", "info", False)],
            "unknown",
            id="nobody does, for a public image",
        ),
        pytest.param((pod(),), [("SL103", "warning", False)], "unknown", id="missing"),
        pytest.param(
            (pod(names="regcred,gone"), _GOOD),
            [("SL103", "warning", False)],
            "unknown",
            id="missing beside one that matches",
        ),
        pytest.param(
            (pod(), secret({"https://private-registry.io/v2": login()})),
            [("SL104", "error", False)],
            "unknown",
            id="near miss",
        ),
        pytest.param(
            (pod(names="regcred,old"), _GOOD, secret({"private-registry.io:443": login()}, name="old")),
            [("SL104", "info", True)],
            "unknown",
            id="near miss beside a match",
        ),
        pytest.param(
            (pod(names="regcred"), secret({"private-registry.io": login()}, namespace="other")),
            [("SL105", "error", False), ("SL103", "warning", False)],
            "unknown",
            id="in another namespace",
        ),
        pytest.param(
            (pod(names=None), account(), _GOOD),
            [("SL106", "error", False)],
            "unknown",
            id="there and not named",
        ),
        pytest.param(
            (pod("nginx"), secret({"docker.io": login("stale"), _HUB: login("good")})),
            [("SL107", "warning", True)],
            "unknown",
            id="S-3",
        ),
        pytest.param(
            (pod("localhost/app"), secret({_HUB: login()})),
            [("SL108", "warning", True)],
            "unknown",
            id="Hub credential to localhost",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login("a"), "https://private-registry.io": login("b")})),
            [("SL109", "warning", True)],
            "unknown",
            id="two spellings",
        ),
        pytest.param(
            (pod(names=None),),
            [("SL102", "warning", False), ("SL110", "info", False)],
            "unknown",
            id="the ServiceAccount is not known",
        ),
        pytest.param(
            (pod(names="own"), secret({"quay.io": login()}, name="own"), account("regcred"), _GOOD),
            [("SL111", "error", False)],
            "unknown",
            id="the Pod's list hides the ServiceAccount's",
        ),
        pytest.param(
            (pod(names=""), account("regcred"), secret({"quay.io": login()})),
            [("SL102", "warning", False), ("SL112", "info", True)],
            "unknown",
            id="opted out",
        ),
        pytest.param(
            (pod(names="regcred,"), _GOOD), [("SL112", "warning", True)], "unknown", id="an empty name"
        ),
        pytest.param(
            (pod("apps/internal-app"), _GOOD),
            [("SL101", "error", False), ("SL114", "warning", False), ("SL113", "info", False)],
            "unknown",
            id="the registry was left out",
        ),
        pytest.param((pod("nginx"), _GOOD), [("SL114", "info", False)], "unknown", id="a public sidecar"),
        # ------------------------------------------------ what is in a Secret
        pytest.param(
            (pod(), secret({"private-registry.io": {"auth": "hunter2!"}})),
            [("SL201", "error", True)],
            "fails",
            id="poison",
        ),
        pytest.param(
            (pod(f"{APP}:1"), secret("nope")),
            [("SL201", "error", False)],
            "unknown",
            id="poison, IfNotPresent by tag",
        ),
        pytest.param(
            (pod(policy="Never"), secret("nope")),
            [("SL201", "error", False), ("SL309", "info", True)],
            "unknown",
            id="poison, Never",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login()}, kind="Opaque")),
            [("SL202", "error", False)],
            "unknown",
            id="Opaque",
        ),
        pytest.param(
            (pod("registry.k8s.io/pause:3.9"), secret({}, kind="Opaque")),
            [("SL202", "info", True)],
            "unknown",
            id="Opaque, for an image that needs none",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login()}, key="config.json")),
            [("SL203", "error", False)],
            "unknown",
            id="another data key",
        ),
        pytest.param((pod(), secret("")), [("SL204", "error", False)], "unknown", id="empty"),
        pytest.param(
            (pod(), secret("{}")),
            [("SL101", "error", False), ("SL204", "error", False)],
            "unknown",
            id="no entry",
        ),
        pytest.param(
            (pod(), secret('{"auths":{"private-registry.io":{}},"credsStore":"desktop"}')),
            [("SL205", "warning", True), ("SL206", "info", True)],
            "unknown",
            id="Docker Desktop",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": {"identitytoken": "t", "auth": "MDA6"}})),
            [("SL207", "warning", False)],
            "unknown",
            id="identity token",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(password="pw\n")})),
            [("SL208", "warning", False)],
            "unknown",
            id="line break",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(user="ashok ")})),
            [("SL208", "warning", False)],
            "unknown",
            id="blank",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(password="${TOKEN}")})),
            [("SL209", "warning", False)],
            "unknown",
            id="variable",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(password="$TOKEN")})),
            [("SL209", "warning", False)],
            "unknown",
            id="variable, bare",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(password="a$b")})),
            [],
            "unknown",
            id="a dollar in a password",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": {**login("u", "p"), "auth": "YTpi"}})),
            [("SL210", "info", False)],
            "unknown",
            id="auth differs",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": {"auth": "dTr/"}})),
            [("SL211", "error", False)],
            "unknown",
            id="not UTF-8",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": {"auth": "OnA="}})),
            [("SL212", "warning", True)],
            "unknown",
            id="no user name",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(password=_token(1_700_000_000))})),
            [("SL213", "error", False)],
            "unknown",
            id="expired token",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(password=_token(4_000_000_000))})),
            [],
            "unknown",
            id="good token",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login(password=_token("soon"))})),
            [],
            "unknown",
            id="token without a time",
        ),
        *(
            pytest.param(
                (pod(), secret({"private-registry.io": login(password=word)})), [], "unknown", id=why
            )
            for word, why in (
                (_token(10**400), "a token for ever"),
                ("eyJ.!!!.x", "no token: no base64"),
                ("eyJ.W10.x", "no token: a list"),
                ("a.b.c", "no token"),
            )
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login("AWS")})),
            [("SL214", "info", False)],
            "unknown",
            id="ECR",
        ),
        pytest.param(
            (pod(), secret({"private-registry.io": login("robot")})),
            [("SL215", "warning", False)],
            "unknown",
            id="robot",
        ),
        # ------------------------------------------------ the image and the Pod
        pytest.param((pod("Nginx"), _GOOD), [("SL301", "error", True)], "fails", id="upper case"),
        pytest.param((pod(""), _GOOD), [("SL303", "error", True)], "fails", id="no image"),
        pytest.param((pod("nginx:1\n"), _GOOD), [("SL304", "error", True)], "fails", id="white space"),
        pytest.param((pod("r.io/x:${TAG}"), _GOOD), [("SL305", "error", True)], "fails", id="shell variable"),
        pytest.param((pod("{{ .Values.image }}"), _GOOD), [("SL305", "error", True)], "fails", id="helm"),
        pytest.param((pod("https://r.io/x"), _GOOD), [("SL306", "error", True)], "fails", id="scheme"),
        pytest.param(
            (pod("localhost:5000"), secret({_HUB: login()})),
            [("SL307", "warning", False)],
            "unknown",
            id="a tag that looks like a port",
        ),
        pytest.param((pod(policy="Sometimes"), _GOOD), [("SL308", "error", True)], "fails", id="no policy"),
        pytest.param((pod(policy="Never"), _GOOD), [("SL309", "info", True)], "unknown", id="Never"),
        pytest.param((pod(f"{APP}:Latest"), _GOOD), [("SL310", "warning", False)], "unknown", id="Latest"),
        pytest.param((pod(f"{APP}:lastest"), _GOOD), [("SL310", "warning", False)], "unknown", id="lastest"),
        pytest.param(
            (pod(f"sha256:{'a' * 64}"), secret({_HUB: login()})),
            [("SL311", "warning", False)],
            "unknown",
            id="image ID",
        ),
    ],
)
def test_findings(parts: tuple[str, ...], found: list[tuple[str, str, bool]], verdict: str) -> None:
    explanation = explained(*parts)
    assert (codes(explanation), explanation.verdict) == (found, verdict)
    assert all(one.summary and one.fix for one in explanation.findings)
    assert "hunter2" not in repr(explanation.findings)


@pytest.mark.parametrize(
    ("parts", "found", "verdict"),
    [
        pytest.param((pod(),), [("SL103", "error", True)], "fails", id="missing for certain"),
        pytest.param(
            (pod(names="regcred,gone"), _GOOD),
            [("SL103", "warning", True)],
            "unknown",
            id="missing, and another one matches",
        ),
        pytest.param(
            (pod("nginx"),),
            [("SL103", "warning", True), ("SL113", "info", False)],
            "unknown",
            id="missing, for a public image",
        ),
        pytest.param(
            (pod(names=None),), [("SL102", "warning", False)], "unknown", id="no ServiceAccount is none"
        ),
        pytest.param(
            (pod(names="gone,bad"), secret("nope", name="bad")),
            [("SL201", "error", True), ("SL103", "warning", True)],
            "fails",
            id="missing beside poison",
        ),
    ],
)
def test_a_complete_input_makes_what_is_missing_certain(
    parts: tuple[str, ...], found: list[tuple[str, str, bool]], verdict: str
) -> None:
    explanation = explained(*parts, complete=True)
    assert (codes(explanation), explanation.verdict) == (found, verdict)


_TEMPLATE = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"
    "      containers: [{name: a, image: CONTAINER}]\n      imagePullSecrets: [{name: regcred}]\n"
)


@pytest.mark.parametrize(
    ("image", "fix"),
    [
        ("r.io/x:${TAG}", "envsubst < f.yaml | kubectl apply -f -"),
        ("r.io/x:$TAG", "envsubst < f.yaml | kubectl apply -f -"),
        (
            "{{ .Values.image }}",
            "apply what helm makes of the chart: helm template NAME CHART | kubectl apply -f -",
        ),
        (
            "<image>",
            "expand it before the manifest is applied: envsubst, helm template, or kustomize build",
        ),
        (" ", "write an image in f.yaml:7"),
    ],
)
def test_how_an_image_is_filled_in(image: str, fix: str) -> None:
    assert [one.fix for one in explained(pod(image), _GOOD).findings] == [fix]


@pytest.mark.parametrize(
    ("old", "told"),
    [
        pytest.param(
            secret('{"private-registry.io":{}}'),
            "the Secret regcred has no entry in auths: its registries stand at the top, as in a .dockercfg",
            id="without auths",
        ),
        pytest.param(
            secret('{"auths":{"r.io":{}}}', kind="kubernetes.io/dockercfg", key=".dockercfg"),
            f"no key of the Pod's Secrets serves {APP}, so it is pulled anonymously; the keys are: auths,"
            " which a .dockercfg does not have around its registries",
            id="with auths where there is none",
        ),
    ],
)
def test_content_of_the_other_type_is_recognised(old: str, told: str) -> None:
    assert told in [one.summary for one in explained(pod(), old).findings]


def test_a_template_may_hold_white_space_and_its_pods_fail() -> None:
    explanation = explained(_TEMPLATE.replace("CONTAINER", '"nginx "'), _GOOD)
    assert (codes(explanation), explanation.verdict) == ([("SL304", "error", True)], "fails")
    assert "API server refuses" not in explanation.findings[0].summary


def test_an_image_volume_of_a_template_may_be_empty() -> None:
    text = _TEMPLATE.replace("containers: [{name: a, image: CONTAINER}]", "volumes: [{name: v, image: {}}]")
    explanation = explained(text, _GOOD)
    assert (codes(explanation), explanation.verdict) == ([("SL303", "warning", False)], "unknown")


def test_a_tutorials_reading_is_put_right() -> None:
    explanation = explained_image("nginx")
    assert codes(explanation) == [("SL302", "warning", True)]
    assert explanation.findings[0].summary == (
        "nginx is docker.io/library/nginx, not nginx/nginx as some tutorials have it:"
        " that is a repository of the Docker Hub user nginx"
    )
    assert explanation.findings[0].fix == "write image: docker.io/library/nginx:latest"


@pytest.mark.parametrize("image", ["nginx/nginx", "quay.io/nginx", "docker.io/nginx"])
def test_other_names_are_no_tutorials(image: str) -> None:
    assert codes(explained_image(image)) == []


def test_an_image_alone_is_told_of_the_secret_that_would_serve_it() -> None:
    explanation = explained_image(APP, _GOOD)
    assert (codes(explanation), explanation.verdict) == ([("SL106", "info", True)], "unknown")


def test_fixes_are_commands_to_paste() -> None:
    two = {"https://private-registry.io/v2": login(), "quay.io": login()}
    fixes = [
        explained(*parts).findings[0].fix
        for parts in (
            (pod(), secret({"https://private-registry.io/v2": login()})),
            (pod(), secret(two)),
            (pod(), secret({"private-registry.io": login()}, kind="Opaque")),
            (pod(), secret({"private-registry.io": login()}, namespace="other")),
            (pod(names=None), account(), _GOOD),
            (_TEMPLATE.replace("CONTAINER", APP), secret({"private-registry.io": login()}, name="x")),
        )
    ]
    make = "sealift secret create {} -n default --docker-server=private-registry.io --docker-username=ashok"
    apply = "--password-stdin < PASSWORD_FILE | kubectl apply -f -"
    path = "jsonpath='{.data.\\.dockerconfigjson}'"
    assert fixes == [
        f"{make.format('regcred')} {apply}",
        (
            f"{make.format('regcred-2')} {apply}"
            "  # then add to the Pod's imagePullSecrets in f.yaml:8: - name: regcred-2"
        ),
        (
            f"kubectl get secret regcred -n default -o {path} | base64 -d > regcred.json"
            " && kubectl delete secret regcred -n default"
            " && kubectl create secret docker-registry regcred -n default"
            " --from-file=.dockerconfigjson=regcred.json && rm regcred.json"
        ),
        (
            f"kubectl get secret regcred -n other -o {path} | base64 -d |"
            " kubectl create secret docker-registry regcred -n default"
            " --from-file=.dockerconfigjson=/dev/stdin"
        ),
        "add to the Pod's spec in f.yaml:1: imagePullSecrets: [{name: regcred}]",
        (
            "kubectl patch deployment web -n default -p"
            ' \'{"spec":{"template":{"spec":{"imagePullSecrets":[{"name":"x"}]}}}}\''
        ),
    ]


def test_names_in_fixes_are_quoted_for_a_shell() -> None:
    hostile = "x; rm -rf ~ \x1b[2J"
    text = pod(names=json.dumps(hostile))
    (finding,) = explained(text).findings
    assert "'x; rm -rf ~ \\x1b[2J'" in finding.fix
    assert "\x1b" not in finding.fix + finding.summary


def test_every_code_that_is_found_has_a_page() -> None:
    seen = {"SL401", "SL402", "SL403", "SL404", "SL405", "SL406", "SL407", "SL302"}
    for mark in test_findings.pytestmark:  # type: ignore[attr-defined]  # the table above
        seen |= {code for row in mark.args[1] for code, _, _ in row.values[1]}
    assert seen == set(PAGE_BY_CODE)


def test_a_variable_from_standard_input_cannot_be_expanded_by_name() -> None:
    inventory = take_inventory(read_documents(pod("${IMAGE}"), "-"))
    (evidence,) = gather(inventory, Question(namespace="default", now=NOW))
    assert explain(evidence)[0].fix.startswith("expand it before the manifest is applied")
