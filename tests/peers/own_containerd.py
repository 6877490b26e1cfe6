"""A containerd of our own with images to run on it: fixtures, for whoever names them in an import."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.peers.clients import Clients, Skopeo
from tests.peers.ground import Ground
from tests.peers.programs import require_program, require_root
from tests.peers.registries import Registry, answers, free_port

from sealift.cli.demo.containerd import OwnContainerd
from sealift.cli.demo.image import write_layout
from sealift.cli.demo.leavings import RunDirectory
from sealift.cli.demo.program import ARCHITECTURES, ticking_program, waiting_program

PAUSE, APP = "public/pause:1", "public/app:1"


@pytest.fixture(scope="module")
def open_registry(machine: Ground) -> Registry:
    """docker-registry that asks nobody for anything."""
    port = free_port()
    settings = machine.scratch / "open.yml"
    settings.write_text(
        "version: 0.1\n"
        "log: {accesslog: {disabled: true}, level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {machine.scratch}/open}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    program = require_program("docker-registry")
    machine.start(program, "serve", str(settings), ready=answers(f"127.0.0.1:{port}", "/v2/"))
    return Registry("an open docker-registry", f"127.0.0.1:{port}")


@pytest.fixture(scope="module")
def with_images(
    open_registry: Registry,
    registry_with_passwords: Registry,
    clients: Clients,
    tmp_path_factory: pytest.TempPathFactory,
) -> Registry:
    """The open registry with the sandbox's image and one to run; the other one with a private image."""
    directory = tmp_path_factory.mktemp("images")
    skopeo = clients.make("skopeo", directory)
    assert isinstance(skopeo, Skopeo)
    skopeo.log_in(registry_with_passwords).checked()
    pause = {one: waiting_program(one) for one in ARCHITECTURES}
    app = {one: ticking_program(one, line="line", farewell="bye") for one in ARCHITECTURES}
    for name, programs, image in (
        ("pause", pause, open_registry.image("public/pause", ":1")),
        ("app", app, open_registry.image("public/app", ":1")),
        ("app", app, registry_with_passwords.image("apps/internal-app", ":latest")),
    ):
        layout = directory / f"{name}-layout"
        write_layout(layout, tag="t", name=name, programs=programs)
        skopeo.copy(f"oci:{layout}:t", f"docker://{image}", "--all").checked()
    return open_registry


@pytest.fixture(scope="module")
def own(with_images: Registry) -> Iterator[OwnContainerd]:
    require_root("run containerd")
    for program in ("containerd", "runc"):
        require_program(program)
    with RunDirectory.create() as run:
        containerd = OwnContainerd(run, sandbox_image=f"{with_images.address}/{PAUSE}")
        with asyncio.Runner() as runner:
            runner.run(containerd.start())
            yield containerd
            runner.run(containerd.stop())
