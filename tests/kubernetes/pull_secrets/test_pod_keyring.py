"""What a kubelet tries for a Pod: R-SEC-2, R-SEC-12 to R-SEC-14, R-KEY-18 to R-KEY-26, and the scenarios."""

import json
from collections.abc import Mapping

import pytest

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.image.reference import MalformedReference
from sealift.kubernetes.objects import DOCKER_CONFIG, DOCKER_CONFIG_JSON, Pod, Secret, ServiceAccount
from sealift.kubernetes.pull_secrets.pod_keyring import (
    IgnoredSecret,
    NearMiss,
    PodKeyrings,
    PodPull,
    pod_pull,
)

_APP = "private-registry.io/apps/internal-app"


def secret(
    name: str,
    auths: Mapping[str, object] | bytes,
    *,
    namespace: str = "ns",
    kind: str = DOCKER_CONFIG_JSON,
    key: str | None = None,
) -> Secret:
    content = auths if isinstance(auths, bytes) else json.dumps({"auths": auths}).encode()
    return Secret(namespace=namespace, name=name, type=kind, data={key or ".dockerconfigjson": content})


def entry(user: str) -> dict[str, str]:
    return {"username": user, "password": f"{user}-pw"}


def pull(
    *names: str,
    image: str = _APP,
    secrets: tuple[Secret, ...] = (),
    account: ServiceAccount | None = None,
    node: tuple[Credential, ...] = (),
) -> PodPull:
    pod = Pod(kind="Pod", namespace="ns", name="p", image_pull_secrets=names)
    return pod_pull(pod, image, {(one.namespace, one.name): one for one in secrets}, account, node)


def users(found: PodPull) -> list[str | None]:
    return [one.username if one else None for one in found.attempts]


def node_credential(key: str, user: str) -> Credential:
    source = Source(kind="NodeConfig", name="/var/lib/kubelet/config.json")
    return Credential(username=user, password=SecretText("p"), source=source, key=key)


def test_s1_the_story() -> None:
    regcred = secret("regcred", {"private-registry.io": entry("ashok")})
    found = pull("regcred", secrets=(regcred,))
    assert found.attempts == (
        Credential(
            username="ashok",
            password=SecretText("ashok-pw"),
            source=Source(kind="Secret", namespace="ns", name="regcred"),
            key="private-registry.io",
        ),
    )
    assert (found.named, found.named_by, found.missing, found.near_misses) == (("regcred",), "Pod", (), ())
    assert not found.order_random


def test_s2_the_default_server_serves_docker_hub_only() -> None:
    regcred = secret("regcred", {"https://index.docker.io/v1/": entry("ashok")})
    assert users(pull("regcred", secrets=(regcred,))) == [None]


def test_s3_a_docker_io_key_hides_the_hub_key() -> None:
    both = secret("s", {"docker.io": entry("stale"), "https://index.docker.io/v1/": entry("good")})
    found = pull("s", image="nginx", secrets=(both,))
    assert users(found) == ["stale"]
    assert [miss.key for miss in found.near_misses] == ["https://index.docker.io/v1/"]


@pytest.mark.parametrize(
    ("content", "go_text"),
    [
        (b'{"auths":{"a":{"auth":"!"}}}', "illegal base64 data at input byte 0"),
        (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
    ],
)
def test_s4_one_bad_secret_poisons_all(content: bytes, go_text: str) -> None:
    good = secret("good", {"private-registry.io": entry("ashok")})
    bad = secret("bad", content)
    found = pull("good", "bad", secrets=(good, bad), node=(node_credential("private-registry.io", "n"),))
    assert found.attempts == ()
    assert [(one.secret.name, one.error.go_text) for one in found.poisoned] == [("bad", go_text)]


def test_s5_a_missing_secret_is_skipped() -> None:
    found = pull("gone", "gone", image="nginx")
    assert (users(found), found.missing, found.named) == ([None], ("gone",), ("gone", "gone"))


def test_s10_only_the_pods_own_list_counts() -> None:
    secrets = (
        secret("own", {"private-registry.io": entry("own")}),
        secret("sa", {"private-registry.io": entry("sa")}),
    )
    account = ServiceAccount(namespace="ns", name="default", image_pull_secrets=("sa",))
    assert users(pull("own", secrets=secrets, account=account)) == ["own"]
    theirs = pull(secrets=secrets, account=account)
    assert (users(theirs), theirs.named_by) == (["sa"], "ServiceAccount")
    assert users(pull("", secrets=secrets, account=account)) == [None]
    assert pull("", secrets=secrets, account=account).named_by == "Pod"
    assert pull(secrets=secrets).named_by == "nobody"


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        pytest.param(secret("s", {}, kind="Opaque"), "wrongType", id="Opaque"),
        pytest.param(secret("s", {}, kind=DOCKER_CONFIG), "wrongKey", id="the other type's key"),
        pytest.param(secret("s", {}, key="config.json"), "wrongKey", id="another key"),
        pytest.param(secret("s", b""), "empty", id="nothing in it"),
    ],
)
def test_a_secret_that_does_not_qualify_is_ignored(one: Secret, reason: str) -> None:
    found = pull("s", secrets=(one,))
    assert found.attempts == (None,)
    assert [(each.secret, each.reason) for each in found.ignored] == [(one, reason)]


def test_the_legacy_type_holds_the_entries_at_the_top() -> None:
    content = json.dumps({"private-registry.io": entry("old")}).encode()
    one = secret("s", content, kind=DOCKER_CONFIG, key=".dockercfg")
    assert users(pull("s", secrets=(one,))) == ["old"]


def test_an_empty_entry_is_an_attempt() -> None:
    assert users(pull("s", secrets=(secret("s", {"private-registry.io": {}}),))) == [""]


def test_the_longer_key_comes_first_whatever_its_secret() -> None:
    first = secret("first", {"private-registry.io": entry("short")})
    second = secret("second", {"private-registry.io/apps": entry("long")})
    assert users(pull("first", "second", secrets=(first, second))) == ["long", "short"]


def test_of_equal_keys_the_earlier_secret_comes_first() -> None:
    first = secret("z", {"private-registry.io": entry("1")})
    second = secret("a", {"https://private-registry.io": entry("2")})
    found = pull("z", "a", "z", secrets=(first, second))
    assert users(found) == ["1", "2", "1"]
    assert not found.order_random


def test_the_node_comes_after_the_secrets() -> None:
    one = secret("s", {"private-registry.io": entry("s")})
    node = (node_credential("private-registry.io/apps", "n"), node_credential("quay.io", "q"))
    assert users(pull("s", secrets=(one,), node=node)) == ["s", "n"]
    assert users(pull(node=node)) == ["n"]


def test_two_spellings_in_one_secret_have_no_order() -> None:
    one = secret("s", {"private-registry.io": entry("1"), "https://private-registry.io/v2/": entry("2")})
    found = pull("s", secrets=(one,))
    assert (users(found), found.order_random) == (["2", "1"], True)


def test_secrets_out_of_reach_are_near_misses() -> None:
    unnamed = secret("unnamed", {"private-registry.io": entry("u")})
    elsewhere = [
        secret("regcred", {"private-registry.io": entry("u")}, namespace=f"n{number}") for number in range(5)
    ]
    other = secret("other", {"private-registry.io": entry("u")}, namespace="a")
    found = pull("regcred", secrets=(unnamed, other, *elsewhere))
    assert [(miss.source.namespace, miss.source.name, miss.reason) for miss in found.near_misses] == [
        ("ns", "unnamed", "the key matches, but the Pod does not name this Secret"),
        *(
            (f"n{number}", "regcred", f"the Secret is in the namespace n{number}, and the Pod is in ns")
            for number in range(3)
        ),
    ]
    assert all(miss.would_match for miss in found.near_misses)


def test_keys_that_nearly_match_are_near_misses() -> None:
    one = secret(
        "s", {"https://private-registry.io/v2": entry("u"), "quay.io": entry("q"), "private-registry.io": {}}
    )
    found = pull("s", secrets=(one,))
    assert found.near_misses == (
        NearMiss(
            source=Source(kind="Secret", namespace="ns", name="s"),
            key="https://private-registry.io/v2",
            reason="the path /v2 has no trailing slash, so the kubelet reads it as a repository prefix",
        ),
    )


def test_a_name_that_is_no_name_is_no_pull() -> None:
    with pytest.raises(MalformedReference):
        pull(image="UPPER/case:")


def test_many_pods_share_what_was_decoded() -> None:
    one = secret("s", {"private-registry.io": entry("u")})
    keyrings = PodKeyrings({("ns", "s"): one})
    pods = [Pod(kind="Pod", namespace="ns", name=str(n), image_pull_secrets=("s",)) for n in range(2)]
    first, second = (keyrings.pull(pod, _APP, None) for pod in pods)
    assert first is second
    assert keyrings.decode("ns", "s") is keyrings.decode("ns", "s")
    assert keyrings.decode("ns", "gone") is None
    assert not isinstance(keyrings.decode("ns", "s"), IgnoredSecret)


def test_nothing_shows_a_password() -> None:
    one = secret("s", {"private-registry.io": {"username": "u", "password": "hunter2"}})
    assert "hunter2" not in repr(pull("s", secrets=(one,)))
