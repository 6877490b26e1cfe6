"""The generated messages: made from the .proto beside them, and numbered as the interface has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sealift.node.cri_v1
from sealift.node.cri_v1 import cri_pb2

FOLDER = Path(sealift.node.cri_v1.__file__).parent

NUMBERS = {
    "AuthConfig": {
        "username": 1,
        "password": 2,
        "auth": 3,
        "server_address": 4,
        "identity_token": 5,
        "registry_token": 6,
    },
    "ContainerConfig": {
        "metadata": 1,
        "image": 2,
        "command": 3,
        "args": 4,
        "working_dir": 5,
        "envs": 6,
        "labels": 9,
        "annotations": 10,
        "log_path": 11,
        "tty": 14,
        "linux": 15,
    },
    "ContainerStatus": {
        "id": 1,
        "metadata": 2,
        "state": 3,
        "created_at": 4,
        "started_at": 5,
        "finished_at": 6,
        "exit_code": 7,
        "image": 8,
        "image_ref": 9,
        "reason": 10,
        "message": 11,
        "log_path": 15,
    },
    "CreateContainerRequest": {"pod_sandbox_id": 1, "config": 2, "sandbox_config": 3},
    "Image": {"id": 1, "repo_tags": 2, "repo_digests": 3, "size": 4},
    "ImageSpec": {"image": 1, "annotations": 2, "user_specified_image": 18, "runtime_handler": 19},
    "LinuxContainerConfig": {"security_context": 2},
    "LinuxContainerSecurityContext": {
        "namespace_options": 3,
        "run_as_user": 5,
        "readonly_rootfs": 7,
        "no_new_privs": 11,
        "run_as_group": 12,
    },
    "LinuxPodSandboxConfig": {"cgroup_parent": 1, "security_context": 2},
    "LinuxSandboxSecurityContext": {"namespace_options": 1},
    "NamespaceOption": {"network": 1, "pid": 2, "ipc": 3},
    "PodSandboxConfig": {
        "metadata": 1,
        "hostname": 2,
        "log_directory": 3,
        "labels": 6,
        "annotations": 7,
        "linux": 8,
    },
    "PodSandboxMetadata": {"name": 1, "uid": 2, "namespace": 3, "attempt": 4},
    "PullImageRequest": {"image": 1, "auth": 2, "sandbox_config": 3},
    "StopContainerRequest": {"container_id": 1, "timeout": 2},
    "VersionResponse": {"version": 1, "runtime_name": 2, "runtime_version": 3, "runtime_api_version": 4},
}
"""Fields of Kubernetes 1.36, k8s.io/cri-api, pkg/apis/runtime/v1/api.proto, where order could be mixed up."""


@pytest.mark.parametrize("message", sorted(NUMBERS))
def test_numbers_of_the_interface(message: str) -> None:
    descriptor = getattr(cri_pb2, message).DESCRIPTOR
    assert {field.name: field.number for field in descriptor.fields} == NUMBERS[message]
    assert descriptor.full_name == f"runtime.v1.{message}"


def test_generated_files_are_what_the_proto_makes(tmp_path: Path) -> None:
    done = subprocess.run(
        [FOLDER / "make"],
        env={**os.environ, "PYTHON": sys.executable, "OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("cri_pb2.py", "cri_pb2.pyi"):
        made = (tmp_path / "sealift/node/cri_v1" / name).read_text()
        assert made == (FOLDER / name).read_text(), (
            f"{name} is not what cri.proto makes: run {FOLDER / 'make'}"
        )
