"""``sealift node run``: what it refuses, and how. Pods that run are in tests/peers/test_cri_pods.py."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sealift.cli.main import run

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: nginx-pod}
spec:
  hostNetwork: true
  containers:
  - name: nginx
    image: private-registry.io/apps/internal-app
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec: {containers: [{name: c, image: x}]}
"""


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    return path


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["node", "run", "-f", "no-such.yaml"]) == 2
    assert capsys.readouterr().err == (
        "error: no-such.yaml: the file cannot be read\n"
        "  why: no such file or directory\n"
        "  next: ls -l no-such.yaml\n"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "there is no Pod in", id="no Pod"
        ),
        pytest.param(DEPLOYMENT, "deployment/web", id="a template"),
        pytest.param(f"{POD}---\n{POD}", "pod/nginx-pod", id="the same Pod twice"),
        pytest.param(
            POD.replace("hostNetwork: true", "volumes: [{name: v}]"),
            "cannot run pod/nginx-pod",
            id="a volume",
        ),
        pytest.param("{", "", id="no YAML"),
    ],
)
def test_manifests_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(content)
    assert run(["node", "run", "-f", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err
    assert "  why: " in printed.err
    assert "  next: " in printed.err


def test_no_runtime(pod: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = f"unix://{tmp_path}/no.sock"
    assert run(["node", "run", "-f", str(pod), "--runtime-endpoint", endpoint]) == 6
    assert capsys.readouterr().err == (
        f"error: no container runtime answers at {endpoint}\n"
        "  why: there is no such socket\n"
        "  next: start containerd or CRI-O, or name its socket with --runtime-endpoint\n"
    )


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:1", "run/x.sock", ""])
def test_an_endpoint_that_is_none(pod: Path, capsys: pytest.CaptureFixture[str], endpoint: str) -> None:
    status = run(["node", "run", "-f", str(pod), "--runtime-endpoint", endpoint or "unix://"])
    assert status == 2
    assert "is no runtime endpoint" in capsys.readouterr().err


def test_a_file_that_is_no_socket(pod: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["node", "run", "-f", str(pod), "--runtime-endpoint", str(pod)]) == 6
    assert "why: that file is not a socket" in capsys.readouterr().err


def test_a_socket_that_nobody_listens_at(
    pod: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    assert run(["node", "run", "-f", str(pod), "--runtime-endpoint", f"unix://{path}"]) == 6
    assert "why: nothing listens there" in capsys.readouterr().err


def test_without_grpc_it_says_how_to_get_it(pod: Path) -> None:
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "from sealift.cli.main import run; sys.exit(run(['node', 'run', '-f', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(pod)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 8
    assert done.stderr.startswith("error: this needs gRPC, which is not installed\n")
    assert done.stderr.endswith("  next: pip install 'sealift[node]'\n")
