"""What explain prints: the contract's document, and the text for a person."""

import json

import pytest
from tests.kubernetes.explain.manifests import (
    APP,
    evidence_of,
    explained,
    explained_image,
    login,
    pod,
    secret,
)

from sealift.kubernetes.explain.report import document, explain, text

_REASON = "the path /v2 has no trailing slash, so the kubelet reads it as a repository prefix"


def plain(words: str, _role: str) -> str:
    return words


def marked(words: str, role: str) -> str:
    return f"<{role}>{words}</>"


def test_the_contracts_document() -> None:
    found = explained(
        pod(names="regcred,old", name="nginx-pod"),
        secret({"private-registry.io": login("ashok")}),
        secret({"https://private-registry.io/v2": login("ashok")}, name="old"),
    )
    assert document([found]) == {
        "images": [
            {
                "object": {"kind": "Pod", "namespace": "default", "name": "nginx-pod"},
                "field": "spec.containers[0].image",
                "container": "app",
                "image": APP,
                "reference": {
                    "registry": "private-registry.io",
                    "path": "apps/internal-app",
                    "tag": "latest",
                    "digest": None,
                },
                "runtimeImage": f"{APP}:latest",
                "pullPolicy": "Always",
                "orderRandom": False,
                "attempts": [
                    {
                        "source": {"kind": "Secret", "namespace": "default", "name": "regcred"},
                        "key": "private-registry.io",
                        "username": "ashok",
                        "passwordSha256": None,
                        "outcome": None,
                    }
                ],
                "nearMisses": [
                    {
                        "source": {"kind": "Secret", "namespace": "default", "name": "old"},
                        "key": "https://private-registry.io/v2",
                        "reason": _REASON,
                    }
                ],
                "findings": [
                    {
                        "code": "SL104",
                        "severity": "info",
                        "certain": True,
                        "summary": "the key https://private-registry.io/v2 in the Secret old does not serve"
                        f" {APP}: {_REASON}",
                        "fix": "sealift secret create old -n default --docker-server=private-registry.io"
                        " --docker-username=ashok --password-stdin < PASSWORD_FILE | kubectl apply -f -",
                    }
                ],
                "verdict": "unknown",
            }
        ]
    }


def test_the_anonymous_attempt_is_written_as_nulls() -> None:
    (image,) = document([explained(pod(names=None))])["images"]
    assert image["attempts"] == [
        {"source": None, "key": None, "username": None, "passwordSha256": None, "outcome": None}
    ]


def test_a_name_that_cannot_be_read_has_no_reference() -> None:
    (image,) = document([explained(pod("Nginx:1"), secret({}))])["images"]
    assert (image["reference"], image["runtimeImage"], image["attempts"], image["verdict"]) == (
        None,
        None,
        [],
        "fails",
    )
    assert image["pullPolicy"] == "IfNotPresent"


def test_an_image_alone_has_no_object() -> None:
    digest = f"sha256:{'a' * 64}"
    (image,) = document([explained_image(f"nginx:1@{digest}")])["images"]
    assert (image["object"], image["field"], image["container"]) == (None, None, None)
    assert image["reference"] == {
        "registry": "docker.io",
        "path": "library/nginx",
        "tag": "1",
        "digest": digest,
    }


def test_fingerprints_are_shown_when_they_are_asked_for() -> None:
    found = explained(pod(), secret({"private-registry.io": login(password="hunter2")}))
    shown = document([found], fingerprints=True)["images"][0]["attempts"][0]["passwordSha256"]
    assert shown == "f52fbd32b2b3"
    hidden = [json.dumps(document([found])), text([found], {}, plain)]
    assert not any("f52fbd32b2b3" in each or "hunter2" in each for each in hidden)


def test_two_spellings_are_said_to_have_no_order() -> None:
    found = explained(
        pod(), secret({"private-registry.io": login("a"), "https://private-registry.io": login("b")})
    )
    assert document([found])["images"][0]["orderRandom"] is True
    assert "does not fix the order" in text([found], {}, plain)


def test_a_password_in_a_key_is_masked_and_bytes_are_made_printable() -> None:
    found = explained(
        pod(),
        secret({"u:hunter2@private-registry.io": {"auth": "/zpw"}, "https://x:hunter2@quay.io/v2": {}}),
    )
    (image,) = document([found])["images"]
    assert image["attempts"][0]["key"] == "u:***@private-registry.io"
    assert image["attempts"][0]["username"] == "\ufffd"
    assert "hunter2" not in json.dumps(document([found])) + text([found], {}, plain)


def test_the_text_for_a_person() -> None:
    evidence = evidence_of(
        pod(names="regcred,old", name="nginx-pod"),
        secret({"private-registry.io": login("ashok")}),
        secret({"private-registry.io:443": login("ashok")}, name="old"),
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
    )
    assert text([explain(each) for each in evidence], {"Service": 1}, plain) == (
        "Pod nginx-pod in namespace default, f.yaml:1\n"
        "\n"
        "  image         private-registry.io/apps/internal-app\n"
        "  for           spec.containers[0].image (app), f.yaml:7\n"
        "  registry      private-registry.io\n"
        "  repository    apps/internal-app\n"
        "  tag           latest (none was given)\n"
        "  pull policy   Always (filled in by the API server)\n"
        "  attempt 1     ashok, key private-registry.io in Secret regcred\n"
        "  info SL104    the key private-registry.io:443 in the Secret old does not serve\n"
        f"                {APP}: the key has the port :443 and the image has none: a\n"
        "                port counts as written, the default port too\n"
        "                fix: sealift secret create old -n default --docker-server=private-registry.io"
        " --docker-username=ashok --password-stdin < PASSWORD_FILE | kubectl apply -f -\n"
        "  verdict       unknown: files do not prove a pull; --probe asks the registry\n"
        "\n"
        "1 image: 1 unknown\n"
        "not looked at: 1 Service\n"
    )


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        pytest.param(
            (pod(policy="IfNotPresent"), secret("nope")),
            "nothing can be pulled, but the image may be on the node already",
            id="poisoned",
        ),
        pytest.param(
            (pod(policy="Never"), secret({})),
            "nothing is pulled, and files do not say what is on the node",
            id="never pulled",
        ),
    ],
)
def test_nobody_is_told_to_ask_the_registry_where_that_would_say_nothing(
    parts: tuple[str, ...], why: str
) -> None:
    assert f"  verdict       unknown: {why}\n" in text([explained(*parts)], {}, plain)


def test_a_caret_stands_under_what_is_wrong() -> None:
    shown = text([explained_image("r.io/App")], {}, plain)
    assert (
        "  image         r.io/App\n                     ^ a repository is lower case\n"
        "  pull policy   IfNotPresent (filled in by the API server)\n"
    ) in shown


def test_pods_are_headings_and_looks_are_by_role() -> None:
    evidence = evidence_of(pod(name="a"), "---\n", pod("", name="b"), secret("nope"))
    shown = text([explain(each) for each in evidence], {}, marked)
    assert shown.count("<strong>Pod ") == 2
    assert "<error>error SL201</>" in shown
    assert "  verdict       <fails>fails</>\n" in shown
    assert "attempts      none: the keyring cannot be built" in shown
    assert shown.endswith("2 images: 2 fails\n")


def test_nothing_at_all_is_said_so() -> None:
    assert text([], {"ConfigMap": 2}, plain) == "0 images\nnot looked at: 2 ConfigMap\n"
