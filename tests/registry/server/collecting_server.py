"""A registry whose collector is in a hurry, for the stress test: ``python -m … PORT_FILE DATA``.

No setting of `sealift serve` makes the grace this short, since no push could
live with it. Here it is put together by hand: two workers, on a free port.
"""

import logging
import sys
from pathlib import Path

from sealift.registry.assembly import Parts, open_registry, prepare
from sealift.registry.data_directory import DataDirectory
from sealift.registry.server.listener import listen
from sealift.registry.server.supervisor import Supervisor
from sealift.registry.server.worker import work
from sealift.registry.settings import Collection

WORKERS = 2

IN_A_HURRY = Collection(grace_seconds=4.0, keep_deleted_seconds=0.5, every_seconds=0.05)
"""The grace is what a push may take on a machine that is busy with other tests."""


def main(address: Path, directory: Path) -> None:
    """Serve until told to stop; the address is written once it is served."""
    logging.basicConfig(level=logging.INFO)
    data = DataDirectory(directory)
    with data.lock():
        listening = listen("127.0.0.1", 0, WORKERS)
        prepare(data)
        parts = Parts(data=data, workers=WORKERS, collection=IN_A_HURRY)
        Supervisor(
            count=WORKERS,
            work=lambda number, _, ready: work(
                lambda: open_registry(parts),
                listening.keep_only(number),
                tls=None,
                stop_seconds=5,
                ready=ready,
            ),
            stop_listening=listening.close,
            changed=lambda: False,
            ready=lambda: _say(address, listening.address),
        ).run()


def _say(path: Path, address: tuple[str, int]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(f"{address[0]}:{address[1]}")
    partial.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
