"""A home of one's own, the command line in this process, and a server that several tests share."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.outcomes import Command, Outcome
from tests.peers.images import SampleImage, sample_image
from tests.served import Served, serving

from sealift.cli import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any file, and an environment without any setting."""
    for name in list(os.environ):
        if name.startswith(("SEALIFT_", "XDG_", "DOCKER_", "REGISTRY_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def sealift(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line, run in this process."""

    def run(*arguments: str, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        status = main.run(list(arguments))
        out, err = capfdbinary.readouterr()
        return Outcome(status, out, err.decode())

    return run


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> SampleImage:
    """An image with a layer of 3 MiB."""
    return sample_image(tmp_path_factory.mktemp("image"), size=3 * 1024 * 1024)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A registry."""
    with serving(tmp_path_factory.mktemp("server") / "data") as served:
        yield served


@pytest.fixture
def logged_in(sealift: Command, server: Served) -> Served:
    """The registry, with admin's login in this home's login file."""
    outcome = sealift(
        "login", "-u", "admin", "--password-stdin", server.address, stdin=server.admin_password.encode()
    )
    assert outcome.status == 0, outcome
    return server
