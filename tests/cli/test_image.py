"""The image commands as a user types them, against our own registry."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.cli.outcomes import Command, check_refused, files_in
from tests.cli.scripted import beside
from tests.client.images import Sample, sample_image, sample_index, write_layout
from tests.fakes.scripted_registry import Reply, Step, anonymous_ping, json_error
from tests.peers.images import SampleImage
from tests.raw_repository import RawRepository
from tests.served import SEALIFT, Served, basic

pytestmark = pytest.mark.usefixtures("home")

INDEX = sample_index()


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An index of two platforms, as ``v1``."""
    return write_layout(tmp_path / "layout", INDEX, "v1")


@pytest.fixture
def pushed(sealift: Command, logged_in: Served, layout: Path) -> str:
    """The index in the registry: its name there."""
    name = logged_in.image("admin/app")
    outcome = sealift("push", f"oci:{layout}:v1", name)
    assert (outcome.status, outcome.out) == (0, f"{name}@{INDEX.root.digest}\n".encode()), outcome
    return name


def document(sealift: Command, *arguments: str) -> dict[str, object]:
    """What a command says in JSON; YAML has to say the same."""
    outcome = sealift(*arguments, "-o", "json")
    assert outcome.status == 0, outcome
    found: dict[str, object] = json.loads(outcome.out)
    assert found["apiVersion"] == "sealift.dev/v1alpha1"
    assert yaml.safe_load(sealift(*arguments, "-o", "yaml").out) == found
    return found


def blobs(directory: Path) -> dict[str, bytes]:
    return files_in(directory / "blobs")


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_all_platforms_go_there_and_come_back(
    kind: str, sealift: Command, pushed: str, layout: Path, tmp_path: Path
) -> None:
    there, again = f"{kind}:{tmp_path}/there", f"oci:{tmp_path}/again:v2"
    outcome = sealift("pull", pushed, there)
    assert (outcome.status, outcome.out) == (0, f"{there} {INDEX.root.digest}\n".encode()), outcome
    assert sealift("copy", there, again).status == 0
    assert blobs(tmp_path / "again") == blobs(layout)


def test_a_docker_archive_holds_one_platform(
    sealift: Command, pushed: str, logged_in: Served, tmp_path: Path
) -> None:
    file = tmp_path / "image.tar"
    assert sealift("pull", pushed, f"docker-archive:{file}", "--platform", "linux/arm64").status == 0
    target = logged_in.image("admin/from-archive")
    assert sealift("push", f"docker-archive:{file}", target).status == 0
    shown = document(sealift, "inspect", target)
    assert shown["platform"] == "linux/arm64"
    layers = shown["layers"]
    assert isinstance(layers, list)
    assert [each["digest"] for each in layers] == [str(each.digest) for each in INDEX.manifests[1].layers]


def test_a_second_push_sends_nothing(sealift: Command, pushed: str, layout: Path) -> None:
    report = document(sealift, "push", f"oci:{layout}", pushed)
    assert report == {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "CopyReport",
        "source": f"oci:{layout}",
        "destination": f"docker://{pushed}",
        "digest": str(INDEX.root.digest),
        "mediaType": INDEX.root.media_type,
        "size": len(INDEX.root.body),
        "manifests": 3,
        "blobs": {"sent": 0, "existed": 4, "mounted": 0, "leftOut": 0},
        "bytesSent": 0,
    }


def test_between_repositories_blobs_are_mounted(sealift: Command, pushed: str, logged_in: Served) -> None:
    outcome = sealift("copy", f"docker://{pushed}", f"docker://{logged_in.image('admin/mounted')}")
    assert outcome.status == 0
    assert outcome.err.count("mounted") == 4


def test_what_is_attached_comes_along_where_it_is_asked_for(
    sealift: Command, pushed: str, logged_in: Served
) -> None:
    source = RawRepository(logged_in.address, "admin/app", basic("admin", logged_in.admin_password))
    subject = {
        "mediaType": INDEX.root.media_type,
        "digest": str(INDEX.root.digest),
        "size": len(INDEX.root.body),
    }
    kind = "application/vnd.example.signature"
    signature = source.push_image("a signature", subject=subject, artifactType=kind)
    names = [f"docker://{pushed}", f"docker://{logged_in.image('admin/attached')}"]
    outcome = sealift("copy", "--referrers", *names)
    assert outcome.out.decode().strip() == f"{names[1].removeprefix('docker://')}@{INDEX.root.digest}"
    there = replace(source, name="admin/attached")
    assert there.referrers(str(INDEX.root.digest)) == [signature["digest"]]
    assert document(sealift, "copy", "--referrers", *names)["referrers"] == [signature]
    shown = sealift("inspect", logged_in.image("admin/attached", f"@{signature['digest']}"))
    assert f"Artifact: {kind}" in shown.out.decode().splitlines()


@pytest.mark.parametrize("which", [0, 1])
def test_a_layout_has_nothing_attached(
    which: int, sealift: Command, pushed: str, layout: Path, tmp_path: Path
) -> None:
    names = [f"docker://{pushed}", f"docker://{pushed}-again"]
    names[which] = f"oci:{layout}:v1" if which == 0 else f"oci:{tmp_path}/new:v1"
    check_refused(sealift("copy", "--referrers", *names), 2, "docker://IMAGE to docker://IMAGE")
    assert not (tmp_path / "new").exists()


def test_what_is_pushed_without_a_tag_is_latest(sealift: Command, logged_in: Served, layout: Path) -> None:
    name = logged_in.image("admin/untagged", "")
    assert sealift("push", f"oci:{layout}", name).status == 0
    assert sealift("tags", name).out == b"latest\n"


def test_what_is_pushed_by_digest_has_no_tag(sealift: Command, logged_in: Served, layout: Path) -> None:
    name = logged_in.image("admin/by-digest", f"@{INDEX.root.digest}")
    assert sealift("push", f"oci:{layout}", name).status == 0
    assert sealift("digest", name).out == f"{INDEX.root.digest}\n".encode()
    assert sealift("tags", logged_in.image("admin/by-digest", "")).out == b""


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "[1:2]:5000"])
def test_a_host_that_is_no_address(host: str, sealift: Command) -> None:
    check_refused(sealift("digest", f"{host}/a/b:1"), 6, host)


def test_a_platform_that_is_not_there(sealift: Command, pushed: str, tmp_path: Path) -> None:
    outcome = sealift("pull", pushed, f"oci:{tmp_path}/x", "--platform", "linux/s390x")
    check_refused(outcome, 3, "linux/amd64, linux/arm64")
    assert not (tmp_path / "x").exists()


# ------------------------------------------------------------------------ looking


def test_the_digest_of_a_name(sealift: Command, pushed: str) -> None:
    assert sealift("digest", pushed).out == f"{INDEX.root.digest}\n".encode()
    assert document(sealift, "digest", f"docker://{pushed}") == {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "ImageDigest",
        "image": pushed,
        "digest": str(INDEX.root.digest),
        "mediaType": INDEX.root.media_type,
        "size": len(INDEX.root.body),
    }


def test_the_tags_of_a_repository(sealift: Command, pushed: str, logged_in: Served) -> None:
    repository = logged_in.image("admin/app", "")
    assert sealift("tags", repository).out == b"v1\n"
    assert document(sealift, "tags", repository)["tags"] == ["v1"]


def test_a_raw_manifest_is_its_bytes(sealift: Command, pushed: str) -> None:
    assert sealift("inspect", pushed, "--raw").out == INDEX.root.body
    assert sealift("inspect", pushed, "--raw", "--platform", "linux/arm64").out == INDEX.manifests[1].body


def test_an_index_is_shown_with_its_platforms(sealift: Command, pushed: str) -> None:
    shown = document(sealift, "inspect", pushed)
    manifests = shown["manifests"]
    assert isinstance(manifests, list)
    assert [each["platform"] for each in manifests] == ["linux/amd64", "linux/arm64"]
    text = sealift("inspect", pushed).out.decode()
    assert f"linux/arm64   {INDEX.manifests[1].digest}" in text


def test_an_image_is_shown_with_its_layers(sealift: Command, pushed: str, layout: Path) -> None:
    shown = document(sealift, "inspect", pushed, "--platform", "linux/amd64")
    assert shown["config"] == {"Cmd": ["/bin/amd64"], "Env": ["PATH=/bin"]}
    (layer,) = INDEX.manifests[0].layers
    assert shown["layers"] == [
        {"digest": str(layer.digest), "mediaType": layer.media_type, "size": layer.size}
    ]
    text = sealift("inspect", f"oci:{layout}:v1", "--platform", "linux/amd64").out.decode()
    assert "Cmd:        /bin/amd64" in text
    assert str(layer.digest) in text


def test_what_somebody_wrote_into_an_image_does_not_steer_the_terminal(
    sealift: Command, tmp_path: Path
) -> None:
    evil = "\x1b[2J\x9b31m\u202eevil"
    sample = sample_image(command=evil)
    layout = f"oci:{write_layout(tmp_path / 'evil', sample, 'v1')}"
    for output in ("text", "json", "yaml"):
        printed = sealift("inspect", layout, "-o", output).out.decode()
        assert not set("\x1b\x9b\u202e") & set(printed)
    assert document(sealift, "inspect", layout)["config"] == {"Cmd": [evil], "Env": ["PATH=/bin"]}


# ----------------------------------------------------------------------- deleting


def test_a_tag_goes_and_the_manifest_stays(sealift: Command, pushed: str, logged_in: Served) -> None:
    outcome = sealift("delete", pushed)
    assert (outcome.status, outcome.out) == (0, f"deleted {pushed}\n".encode())
    assert sealift("digest", pushed).status == 3
    pinned = logged_in.image("admin/app", f"@{INDEX.root.digest}")
    assert sealift("digest", pinned).status == 0
    deleted = json.loads(sealift("delete", pinned, "-o", "json").out)
    assert deleted == {"apiVersion": "sealift.dev/v1alpha1", "kind": "Deletion", "image": pinned}
    assert sealift("digest", pinned).status == 3


def test_a_registry_that_deletes_no_tags_says_what_to_type(sealift: Command) -> None:
    refusal = json_error(400, "DIGEST_INVALID")
    with beside(lambda _: [anonymous_ping(), Step("DELETE", "/v2/a/b/manifests/1", refusal)]) as registry:
        outcome = sealift("delete", f"{registry.host}/a/b:1")
    check_refused(outcome, 5, f"sealift delete {registry.host}/a/b@$(sealift digest {registry.host}/a/b:1)")


# -------------------------------------------------------------- being interrupted


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_a_pull_that_is_stopped_leaves_nothing_half_written(
    kind: str, stop: signal.Signals, status: int, home: Path
) -> None:
    """In the middle of a layer."""
    sample = Sample(INDEX.manifests[0], (), INDEX.blobs)
    layer = sample.root.layers[0].digest
    config = sample.root.config
    assert config is not None

    def silent_after_a_while(_: object) -> Reply:
        started.touch()
        return Reply(silent=True)

    started = home / "started"
    script = [
        anonymous_ping(),
        Step(
            "GET",
            "/v2/a/b/manifests/1",
            Reply(200, [("Content-Type", sample.root.media_type)], sample.root.body),
        ),
        Step("GET", f"/v2/a/b/blobs/{config.digest}", Reply(200, body=sample.blobs[config.digest])),
        Step("GET", f"/v2/a/b/blobs/{layer}", silent_after_a_while),
    ]
    with beside(lambda _: script) as registry:
        target = home / "target"
        process = subprocess.Popen(
            [*SEALIFT, "pull", f"{registry.host}/a/b:1", f"{kind}:{target}", "--platform", "linux/amd64"],
            stderr=subprocess.PIPE,
            env={**os.environ},
        )
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.01)  # another process: its progress can only be looked at
        process.send_signal(stop)
        _, err = process.communicate(timeout=30)
    assert process.returncode == status, err
    assert b"Traceback" not in err
    left = [name for name in files_in(home) if "partial" in name or name in {"target", "target/index.json"}]
    assert left == []


def test_progress_can_be_silent(sealift: Command, pushed: str, tmp_path: Path) -> None:
    assert sealift("pull", pushed, f"oci:{tmp_path}/x", "--progress", "none").err == ""
    lines = sealift("pull", pushed, f"oci:{tmp_path}/x", "--progress", "plain").err.splitlines()
    assert lines[0].startswith("4 blobs, ")
    assert all(line.endswith("exists") for line in lines[1:])


def test_the_large_image_too(sealift: Command, logged_in: Served, image: SampleImage, tmp_path: Path) -> None:
    name = logged_in.image("admin/large")
    assert sealift("push", f"oci:{image.layout}:v1", name).status == 0
    assert sealift("pull", name, f"oci:{tmp_path}/x").status == 0
    assert blobs(tmp_path / "x") == blobs(image.layout)
