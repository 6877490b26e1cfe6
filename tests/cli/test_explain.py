"""``sealift explain`` at the command line."""

import asyncio
import io
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from tests.fakes.scripted_registry import ScriptedRegistry, Step, challenge
from tests.kubernetes.explain.manifests import account, login, pod, secret

from sealift.cli import main
from sealift.cli.explain import KINDS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEALIFT_OUTPUT", raising=False)
    (tmp_path / "pod.yaml").write_text(pod())
    (tmp_path / "regcred.yaml").write_text(secret({"private-registry.io": login(password="hunter2")}))
    (tmp_path / "spoilt.yaml").write_text(secret({"private-registry.io": {"auth": "hunter2!"}}))
    return tmp_path


def explain(*arguments: str) -> int:
    return main.run(["explain", *arguments])


def test_the_story(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("-f", "pod.yaml", "-f", "regcred.yaml", "-o", "json") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["apiVersion"], document["kind"]) == ("sealift.dev/v1alpha1", "PullExplanation")
    assert [image["attempts"][0]["key"] for image in document["images"]] == ["private-registry.io"]
    assert err == ""
    assert "hunter2" not in out


def test_yaml_is_the_same_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("-f", "pod.yaml", "-f", "regcred.yaml", "--fingerprints", "-o", "yaml") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert explain("-f", "pod.yaml", "-f", "regcred.yaml", "--fingerprints", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out) == shown
    assert shown["images"][0]["attempts"][0]["passwordSha256"] == "f52fbd32b2b3"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(("-f", "pod.yaml", "-f", "spoilt.yaml"), 1, id="something certain stands against it"),
        pytest.param(("-f", "pod.yaml"), 0, id="a Secret that is not in the input"),
        pytest.param(("-f", "pod.yaml", "--complete"), 1, id="a Secret that is not there"),
        pytest.param(("nginx",), 0, id="an image"),
        pytest.param(("Nginx:",), 1, id="a name that cannot be read is a finding"),
        pytest.param(("docker.io/deploy/web",), 0, id="an image that looks like an object"),
        pytest.param(("apps/web",), 0, id="no kind"),
        pytest.param(("deploy/web:1",), 0, id="no object's name"),
        pytest.param(("-f", "."), 1, id="a directory, with the poison in it"),
    ],
)
def test_exit_status(
    arguments: tuple[str, ...], status: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(*arguments) == status
    out, err = capsys.readouterr()
    assert out.endswith("\n")
    assert err == ""
    assert "hunter2" not in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("a: [", "bad.yaml:2: this is not YAML", id="not YAML"),
        pytest.param("just text\n", "bad.yaml:1: the document is text and must be a mapping", id="text"),
        pytest.param("a: b\n", "bad.yaml:1: the object has no kind", id="no Kubernetes"),
        pytest.param(
            "kind: Secret\nmetadata: {name: s}\ndata:\n  .dockerconfigjson: hunter2!\n",
            "bad.yaml:4: data[.dockerconfigjson] of the Secret default/s is not base64",
            id="broken base64",
        ),
    ],
)
def test_input_that_cannot_be_read(
    content: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.yaml").write_text(content)
    assert explain("-f", "pod.yaml", "-f", "bad.yaml") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(f"error: {re.escape(message)}\n  why: .+\n  next: .+\n", err)
    assert "hunter2" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((), "there is nothing to explain", id="nothing"),
        pytest.param(("-f", "gone.yaml"), "gone.yaml: the file cannot be read", id="no file"),
        pytest.param(("SL999",), "there is no finding SL999", id="no code"),
        pytest.param(("x", "--kubelet-version", "two"), "'two' is no version of Kubernetes", id="no version"),
        pytest.param(("x", "--node-config", "."), ". is not read in this version", id="a certs.d directory"),
        pytest.param(
            ("x", "--node-config", "gone.json"), "gone.json: the file cannot be read", id="no config"
        ),
        pytest.param(("x", "--probe", "--platform", "linux"), "'linux' is not a platform", id="no platform"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(f"error: {re.escape(message)}.*\n  why: .+\n  next: .+\n", err)


@pytest.mark.parametrize("word", [name for kind, names in KINDS.items() for name in (kind, *names.split())])
def test_objects_of_a_cluster_are_not_read_yet(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(f"{word}/web", "-n", "prod") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {word}/web is an object of a cluster, and this version reads no cluster\n")
    assert f"written docker.io/{word}/web\n" in err
    assert "secret,serviceaccount -n prod -o yaml | sealift explain --complete -f -\n" in err


def test_a_page_of_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("sl104") == 0
    assert capsys.readouterr().out.startswith("SL104: a key nearly matches the image\n\n")


def test_a_short_name_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("nginx") == 0
    out = capsys.readouterr().out
    assert (
        "  registry      docker.io\n  repository    library/nginx\n  tag           latest (none was given)\n"
        in out
    )
    assert "SL302" in out
    assert "nginx/nginx" in out


def test_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "pod.yaml").read_bytes())))
    assert explain("-f", "-", "-f", "regcred.yaml") == 0
    assert "-:7" in capsys.readouterr().out


def test_the_namespace_is_where_objects_stand_that_name_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain("-f", "pod.yaml", "-f", "regcred.yaml", "-n", "prod", "-o", "json") == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert image["object"]["namespace"] == "prod"
    assert (
        image["nearMisses"][0]["reason"] == "the Secret is in the namespace default, and the Pod is in prod"
    )


def test_a_service_account_may_be_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pod.yaml").write_text(pod(names=None) + account("regcred", name="builder"))
    files = ("-f", "pod.yaml", "-f", "regcred.yaml", "-o", "json")
    assert explain(*files, "--service-account", "builder") == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert image["attempts"][0]["username"] == "ashok"


def test_the_nodes_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.json").write_text(json.dumps({"auths": {"private-registry.io": login("node")}}))
    (folder / "broken.json").write_text("nope")
    (folder / ".dockercfg").write_text(json.dumps({"private-registry.io": login("legacy")}))
    nodes = [f"--node-config={name}" for name in ("broken.json", "config.json", ".dockercfg")]
    assert explain("-f", "pod.yaml", *nodes, "-o", "json") == 0
    out, err = capsys.readouterr()
    (attempt,) = json.loads(out)["images"][0]["attempts"]
    assert attempt["source"] == {"kind": "NodeConfig", "namespace": None, "name": "config.json"}
    assert re.fullmatch(
        "warning: the kubelet cannot read broken.json, and passes over it: .*\n"
        "note: .dockercfg does not count: a kubelet takes the first that it can read\n",
        err,
    )
    assert explain("-f", "pod.yaml", "--node-config=.dockercfg", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["attempts"][0]["username"] == "legacy"


def test_other_kubelets_get_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("x", "--kubelet-version", "1.30") == 0
    assert capsys.readouterr().err == "note: the rules of Kubernetes 1.36 are applied\n"


def test_no_pod_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("-f", "regcred.yaml") == 0
    assert capsys.readouterr().err == "there is no Pod in the input, and so no image\n"


def test_probe_asks_and_the_exit_status_tells(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("127.0.0.1:1/apps/web", "--probe", "-o", "json") == 6
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert (image["attempts"][0]["outcome"]["status"], image["verdict"]) == ("unreachable", "unknown")


async def test_probe_of_a_registry_that_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [Step("GET", "/v2/", challenge('Basic realm="r"'), times=0)]
    target = "/v2/apps/web/manifests/latest"
    steps += [
        Step(verb, target, challenge('Basic realm="r"'), times=0, required=False) for verb in ("HEAD", "GET")
    ]
    async with ScriptedRegistry(steps) as registry:
        (folder / "web.yaml").write_text(
            pod(f"{registry.host}/apps/web") + secret({registry.host: login(password="hunter2")})
        )
        # The command brings a loop of its own.
        status = await asyncio.to_thread(explain, "-f", "web.yaml", "--probe", "-o", "json")
    out = capsys.readouterr().out
    (image,) = json.loads(out)["images"]
    assert status == 1
    assert (image["attempts"][0]["outcome"]["httpStatus"], image["verdict"]) == (401, "fails")
    assert "hunter2" not in out
