"""The options that say how a registry is reached."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.cli.outcomes import Command, check_refused
from tests.cli.scripted import beside
from tests.client.images import sample_image
from tests.fakes.scripted_registry import (
    Reply,
    ScriptedRegistry,
    Seen,
    Step,
    anonymous_ping,
    challenge,
    server_tls,
)

pytestmark = pytest.mark.usefixtures("home")

ROOT = sample_image().root


def served() -> list[Step]:
    manifest = Reply(
        200, [("Content-Type", ROOT.media_type), ("Docker-Content-Digest", str(ROOT.digest))], ROOT.body
    )
    return [anonymous_ping(), Step("HEAD", "/v2/a/b/manifests/1", manifest)]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def over_tls(authority: trustme.CA) -> Iterator[ScriptedRegistry]:
    with beside(lambda _: served(), tls=server_tls(authority)) as registry:
        yield registry


def test_a_ca_file_makes_a_registry_known(
    sealift: Command, over_tls: ScriptedRegistry, authority: trustme.CA, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    outcome = sealift("digest", f"{over_tls.host}/a/b:1", "--ca-file", str(path))
    assert (outcome.status, outcome.err) == (0, "")


def test_without_it_the_registry_is_refused_and_plain_http_is_not_tried(
    sealift: Command, over_tls: ScriptedRegistry
) -> None:
    for flags in ((), ("--plain-http",)):
        outcome = sealift("digest", f"{over_tls.host}/a/b:1", *flags)
        check_refused(outcome, 6, "unable to get local issuer certificate")
        assert "--ca-file" in outcome.err
    assert over_tls.seen == []


def test_checks_are_switched_off_aloud(sealift: Command, over_tls: ScriptedRegistry) -> None:
    outcome = sealift("digest", f"{over_tls.host}/a/b:1", "--insecure-skip-tls-verify")
    assert outcome.status == 0
    assert outcome.err.startswith("warning: certificates are not checked")


def test_settings_come_from_the_environment_too(
    sealift: Command,
    over_tls: ScriptedRegistry,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("SEALIFT_CA_FILE", str(path))
    monkeypatch.setenv("SEALIFT_DEBUG", "1")
    outcome = sealift("digest", f"{over_tls.host}/a/b:1")
    assert outcome.status == 0
    assert f"debug: [1] > GET {over_tls.url}/v2/" in outcome.err


def test_no_environment_switches_checks_off(
    sealift: Command, over_tls: ScriptedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALIFT_INSECURE_SKIP_TLS_VERIFY", "1")
    assert sealift("digest", f"{over_tls.host}/a/b:1").status == 6


def test_a_token_server_in_another_domain_takes_the_users_word(sealift: Command) -> None:
    """The realm cannot be reached here; what counts is whether the credential would have gone."""

    def asks(_: Seen) -> Reply:
        return challenge('Bearer realm="https://auth.elsewhere.test/token",service="s"')

    with beside(lambda _: [Step("GET", "/v2/", asks, times=0)]) as registry:
        login = ("login", "-u", "u", "-p", "p", registry.host)
        check_refused(sealift(*login), 4, "https://auth.elsewhere.test/token")
        outcome = sealift(*login, "--trust-realm", "auth.elsewhere.test")
        check_refused(outcome, 6, "auth.elsewhere.test")
