"""The page about moving from another registry, typed as it stands next to a real docker-registry."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.docs.blocks import answers, blocks_of
from tests.peers.ground import Enclosure, enclosure
from tests.peers.images import sample_image, sample_index
from tests.peers.programs import require_program, search_path
from tests.peers.registries import PASSWORD, USERNAME

pytestmark = [pytest.mark.peers, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "move-from-another-registry.md"
END = "<-- end of block"


@pytest.fixture
def machine() -> Iterator[Enclosure]:
    """A machine with port 5000 free and a docker-registry at 5001, which holds two repositories."""
    program = require_program("docker-registry")
    with enclosure(own_network=True) as ground:
        passwords = ground.scratch / "htpasswd"
        made = ground.run(require_program("htpasswd"), "-iBnC", "4", USERNAME, stdin=PASSWORD).checked()
        passwords.write_text(made.out)
        (ground.scratch / "old-password").write_text(PASSWORD)
        settings = ground.scratch / "old.yml"
        settings.write_text(
            yaml.safe_dump(
                {
                    "version": 0.1,
                    "log": {"accesslog": {"disabled": True}, "level": "error"},
                    "storage": {"filesystem": {"rootdirectory": str(ground.scratch / "old-registry")}},
                    "http": {"addr": "127.0.0.1:5001"},
                    "auth": {"htpasswd": {"realm": "old", "path": str(passwords)}},
                }
            )
        )
        ground.start(program, "serve", str(settings), ready=lambda: ground.listens(5001))
        home = {"DOCKER_CONFIG": str(ground.scratch / "filling")}
        sealift = (sys.executable, "-m", "sealift")
        login = ("login", "-u", USERNAME, "--password-stdin", "127.0.0.1:5001")
        ground.run(*sealift, *login, env=home, stdin=PASSWORD).checked()
        single, index = sample_image(ground.scratch / "single"), sample_index(ground.scratch / "index")
        for image, name in ((single, "web:v1"), (index, "web:multi"), (single, "api:v1")):
            layout = f"oci:{image.layout}:v1"
            ground.run(*sealift, "push", layout, f"127.0.0.1:5001/apps/{name}", env=home).checked()
        yield ground


def test_every_block_of_the_page_does_what_it_says(machine: Enclosure) -> None:
    blocks = blocks_of(PAGE)
    assert len(blocks) >= 7
    parts = [f"cd {machine.scratch}", "set +e; exec 2>&1"]
    for block in blocks:
        parts += [block.commands, f'echo "{END} $?"']
    environment = {"PATH": f"{Path(sys.executable).parent}:{search_path()}"}
    shown = machine.run("bash", "-c", "\n".join([*parts, "kill %1; wait"]), env=environment, seconds=240).out
    pieces = shown.split(END)
    assert len(pieces) == len(blocks) + 1, shown
    outputs = [pieces[0], *(piece.partition("\n")[2] for piece in pieces[1:])]
    statuses = [int(piece.split(maxsplit=1)[0]) for piece in pieces[1:]]
    wrong = [
        f"{PAGE.name}:{block.line}: status {status}\n{block.commands}-->\n{output}"
        for block, output, status in zip(blocks, outputs, statuses, strict=False)
        if status != 0 or not (block.answer is None or answers(output, block.answer))
    ]
    assert not wrong, "\n\n".join(wrong)
