"""``sealift explain --probe`` against a registry of ours: the whole way from a manifest to a verdict."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.explain.manifests import account, login, pod, secret
from tests.peers.images import sample_image, sample_index
from tests.served import Served, serving

from sealift.cli import main


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a private image, a private index, and accounts with and without the right to pull."""
    folder = tmp_path_factory.mktemp("probe")
    with serving(folder / "data") as served, pytest.MonkeyPatch.context() as patched:
        patched.setenv("DOCKER_CONFIG", str(folder / "docker"))
        patched.setenv("SEALIFT_SERVER", served.address)
        (folder / "admin").write_text(served.admin_password)
        (folder / "ashok").write_text("ashok-password")
        image = sample_image(folder / "image").layout
        index = sample_index(folder / "index").layout
        for arguments, given in (
            (["login", served.address, "-u", "admin", "--password-stdin"], "admin"),
            (["account", "add", "ashok", "--password-stdin"], "ashok"),
            (["account", "add", "other", "--password-stdin"], "ashok"),
            (["repo", "create", "apps/web"], None),
            (["repo", "create", "apps/index"], None),
            (["repo", "create", "apps/public", "--visibility", "public"], None),
            (["grant", "add", "--to", "ashok", "--repo", "apps/*", "--actions", "pull"], None),
            (["push", f"oci:{image}", served.image("apps/web"), "--progress", "none"], None),
            (["push", f"oci:{image}", served.image("apps/public"), "--progress", "none"], None),
            (["push", f"oci:{index}", served.image("apps/index"), "--progress", "none"], None),
        ):
            with (folder / (given or "admin")).open("rb") as standard_input:
                patched.setattr("sys.stdin", _TextOf(standard_input))
                assert main.run(arguments) == 0, arguments
        yield served


class _TextOf:
    """Standard input that reads from a file."""

    def __init__(self, file: Any) -> None:
        self.buffer = file

    def read(self, size: int = -1) -> str:
        return self.buffer.read(size).decode()  # type: ignore[no-any-return]  # bytes decode to text

    def isatty(self) -> bool:
        return False


def probed(text: str, folder: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, Any]:
    """Status, and the one image of the document."""
    (folder / "pod.yaml").write_text(text)
    status = main.run(["explain", "-f", str(folder / "pod.yaml"), "--probe", "-o", "json", *flags])
    out = capsys.readouterr().out
    assert "ashok-password" not in out
    (image,) = json.loads(out)["images"]
    return status, image


def outcomes(image: Any) -> list[str | None]:
    return [one["outcome"] and one["outcome"]["status"] for one in image["attempts"]]


def test_the_good_credential_pulls(
    registry: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = pod(registry.image("apps/web")) + secret({registry.address: login("ashok", "ashok-password")})
    status, image = probed(text, tmp_path, capsys)
    assert (status, outcomes(image), image["verdict"], image["findings"]) == (0, ["ok"], "pulls", [])
    assert image["attempts"][0]["outcome"]["httpStatus"] == 200


def test_the_next_credential_is_tried_and_the_rest_is_not(
    registry: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {
        registry.image("apps/web", ""): login("ashok", "wrong"),
        registry.image("apps", ""): login("ashok", "ashok-password"),
        registry.address: login("nobody", "asks"),
    }
    status, image = probed(pod(registry.image("apps/web")) + secret(keys), tmp_path, capsys)
    assert (status, outcomes(image), image["verdict"]) == (0, ["unauthenticated", "ok", None], "pulls")


@pytest.mark.parametrize(
    ("user", "password", "selector", "found"),
    [
        pytest.param("ashok", "wrong", ":v1", ("unauthenticated", "SL401"), id="wrong password"),
        pytest.param("other", "ashok-password", ":v1", ("forbidden", "SL402"), id="no right"),
        pytest.param("ashok", "ashok-password", ":gone", ("notFound", "SL403"), id="no such tag"),
    ],
)
def test_a_refusal_is_a_verdict(  # noqa: PLR0917  pytest passes by name
    user: str,
    password: str,
    selector: str,
    found: tuple[str, str],
    registry: Served,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = pod(registry.image("apps/web", selector)) + secret({registry.address: login(user, password)})
    status, image = probed(text, tmp_path, capsys)
    assert (status, outcomes(image), image["verdict"]) == (1, [found[0]], "fails")
    assert [one["code"] for one in image["findings"]] == [found[1]]


def test_without_a_secret_the_registry_refuses(
    registry: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, image = probed(pod(registry.image("apps/web"), names=None) + account(), tmp_path, capsys)
    assert (status, outcomes(image), image["verdict"]) == (1, ["unauthenticated"], "fails")


def test_a_secret_that_is_not_in_the_input_may_hold_the_credential(
    registry: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = pod(registry.image("apps/web"))
    status, image = probed(text, tmp_path, capsys)
    assert (status, outcomes(image), image["verdict"]) == (0, ["unauthenticated"], "unknown")
    assert not any(one["certain"] for one in image["findings"])
    status, image = probed(text, tmp_path, capsys, "--complete")
    assert (status, image["verdict"]) == (1, "fails")


def test_a_public_image_that_was_seen_to_work_is_no_cause_for_a_warning(
    registry: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = pod(registry.image("apps/public"), names=None) + secret({registry.address: login()})
    status, image = probed(text, tmp_path, capsys)
    assert (status, outcomes(image), image["verdict"]) == (0, ["ok"], "pulls")
    assert {one["severity"] for one in image["findings"]} == {"info"}


def test_a_platform_that_is_not_in_the_index(
    registry: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = pod(registry.image("apps/index")) + secret({registry.address: login("ashok", "ashok-password")})
    assert probed(text, tmp_path, capsys, "--platform", "linux/arm64")[1]["verdict"] == "pulls"
    status, image = probed(text, tmp_path, capsys, "--platform", "linux/s390x")
    assert (status, outcomes(image), image["verdict"]) == (1, ["platformMissing"], "fails")
