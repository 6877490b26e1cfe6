"""The settings of our containerd, and what is said where it is not there."""

import tomllib
from pathlib import Path

import pytest

from sealift.cli.demo.containerd import Programs, ProgramsMissing, settings


def test_settings_are_toml_and_all_paths_are_ours() -> None:
    directory = Path('/srv/a "b" \\ ü')
    read = tomllib.loads(
        settings(
            directory,
            directory / "sock",
            sandbox_image="127.0.0.1:5000/node/pause:1",
            registry_settings=directory / "certs.d",
            limits=False,
        )
    )
    cri = read["plugins"]["io.containerd.grpc.v1.cri"]
    assert read["version"] == 2
    assert read["grpc"]["address"] == str(directory / "sock")
    for path in (
        read["root"],
        read["state"],
        cri["cni"]["bin_dir"],
        cri["cni"]["conf_dir"],
        cri["registry"]["config_path"],
    ):
        assert Path(path).is_relative_to(directory)
    assert "io.containerd.internal.v1.opt" in read["disabled_plugins"], "it would make /opt/containerd"
    assert (cri["sandbox_image"], cri["disable_cgroup"], cri["disable_apparmor"]) == (
        "127.0.0.1:5000/node/pause:1",
        True,
        True,
    )


def test_without_registry_settings_there_are_none() -> None:
    read = tomllib.loads(settings(Path("/d"), Path("/s"), sandbox_image="x"))
    cri = read["plugins"]["io.containerd.grpc.v1.cri"]
    assert "registry" not in cri
    assert cri["disable_cgroup"] is False
    assert cri["containerd"]["snapshotter"] == "native"


def test_missing_programs_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ProgramsMissing) as caught:
        Programs.find(str(tmp_path))
    assert str(caught.value) == "not on this machine: containerd, containerd-shim-runc-v2, runc"
    assert caught.value.hint == "apt-get install --no-remove containerd runc"


def test_programs_are_found_in_several_directories(tmp_path: Path) -> None:
    for folder, program in (("a", "containerd"), ("a", "containerd-shim-runc-v2"), ("b", "runc")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / program).touch(mode=0o755)
    path = f"{tmp_path}/a:{tmp_path}/b"
    assert Programs.find(path) == Programs(f"{tmp_path}/a/containerd", (f"{tmp_path}/a", f"{tmp_path}/b"))
