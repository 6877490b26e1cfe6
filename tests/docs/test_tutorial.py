"""The tutorial, typed as it stands: each block, in order, in one shell, with what it shows compared."""

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import Block, answers, blocks_of
from tests.peers.daemons import start_containerd
from tests.peers.ground import Enclosure, enclosure
from tests.peers.programs import require_program, search_path

from sealift.cli.demo.image import write_layout
from sealift.cli.demo.program import ARCHITECTURES, waiting_program

pytestmark = [pytest.mark.peers, pytest.mark.slow]

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
END = "<-- end of block"


@pytest.fixture
def node() -> Iterator[tuple[Enclosure, Path]]:
    """A machine as a reader has it: port 5000 free, a containerd that knows its pause image."""
    for program in ("buildah", "busybox", "ctr"):
        require_program(program)
    with enclosure(own_network=True) as ground:
        endpoint = start_containerd(ground)
        layout, archive = ground.scratch / "pause", ground.scratch / "pause.tar"
        programs = {one: waiting_program(one) for one in ARCHITECTURES}
        write_layout(layout, tag="3.6", name="pause", programs=programs)
        with tarfile.open(archive, "w") as tar:
            tar.add(layout, ".")
        name = ["--base-name", "registry.k8s.io/pause"]
        imported = ["-n", "k8s.io", "images", "import", *name, str(archive)]
        ground.run("ctr", "--address", str(endpoint), *imported).checked()
        yield ground, endpoint


def _script(blocks: list[Block]) -> str:
    """All blocks for one shell; after each a line with the status of its last command."""
    parts = ["set +e; exec 2>&1"]
    for block in blocks:
        parts += [block.commands, f'echo "{END} $?"']
    return "\n".join(parts)


def test_every_block_of_the_tutorial_does_what_it_says(node: tuple[Enclosure, Path]) -> None:
    ground, endpoint = node
    blocks = blocks_of(TUTORIAL)
    assert len(blocks) > 10
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{search_path()}",
        "SEALIFT_RUNTIME_ENDPOINT": f"unix://{endpoint}",
        "STORAGE_DRIVER": "vfs",
        "BUILDAH_ISOLATION": "chroot",
    }
    script = f"cd {ground.scratch}\n" + _script(blocks)
    shown = ground.run("bash", "-c", script, env=environment, seconds=240).out
    parts = shown.split(END)
    assert len(parts) == len(blocks) + 1, shown
    wrong = []
    outputs = [parts[0], *(part.partition("\n")[2] for part in parts[1:])]
    statuses = [int(part.split(maxsplit=1)[0]) for part in parts[1:]]
    for block, output, status in zip(blocks, outputs, statuses, strict=False):
        if (status != 0) is not block.fails or not (block.answer is None or answers(output, block.answer)):
            wrong.append(f"docs/tutorial.md:{block.line}: status {status}\n{block.commands}-->\n{output}")
    assert not wrong, "\n\n".join(wrong)
