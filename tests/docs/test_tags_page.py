"""The page about tags, typed as it stands, in one shell, with what it shows compared."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import answers, blocks_of
from tests.peers.ground import Enclosure, enclosure
from tests.peers.images import sample_image
from tests.peers.programs import search_path

pytestmark = [pytest.mark.peers]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tags-history-and-immutability.md"
END = "<-- end of block"

SERVER = """
sealift serve --listen 127.0.0.1:5000 --data registry > serve.log 2>&1 &
until grep -q ^serving serve.log; do sleep 0.2; done
sealift login 127.0.0.1:5000 --username admin --password-stdin < registry/admin-password
"""


@pytest.fixture
def ground() -> Iterator[Enclosure]:
    """A machine as a reader has it: port 5000 free, and two images."""
    with enclosure(own_network=True) as made:
        for name in ("good", "bad"):
            sample_image(made.scratch / "samples" / name).layout.rename(made.scratch / name)
        yield made


def test_every_block_of_the_page_does_what_it_says(ground: Enclosure) -> None:
    blocks = blocks_of(PAGE)
    assert len(blocks) > 5
    typed = "".join(f'{block.commands}\necho "{END} $?"\n' for block in blocks)
    script = f'set +e; exec 2>&1; cd {ground.scratch}\n{SERVER}\necho "{END} $?"\n{typed}'
    environment = {"PATH": f"{Path(sys.executable).parent}:{search_path()}", "HOME": str(ground.scratch)}
    shown = ground.run("bash", "-c", script, env=environment, seconds=240).out
    parts = shown.split(END)
    assert len(parts) == len(blocks) + 2, shown
    wrong = []
    outputs = [part.partition("\n")[2] for part in parts[1:]]
    statuses = [int(part.split(maxsplit=1)[0]) for part in parts[2:]]
    for block, output, status in zip(blocks, outputs, statuses, strict=False):
        if (status != 0) is not block.fails or not (block.answer is None or answers(output, block.answer)):
            wrong.append(f"{PAGE.name}:{block.line}: status {status}\n{block.commands}-->\n{output}")
    assert not wrong, "\n\n".join(wrong)
