"""A real server is killed before every single step of a push, one after the other."""

import os
import sys
from itertools import count
from pathlib import Path
from random import Random

import pytest
from tests.registry.server import dying_server
from tests.registry.server.pushers import Blob, Line, Pusher, ServerGone
from tests.registry.server.serving import serving
from tests.registry.server.test_killed import Tally, go_on, look_at_files, make_old, upload_files

SEED = int(os.environ.get("SEALIFT_KILL_SEED", "1"))


def steps_of(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_before_every_step_of_a_push_it_keeps_what_it_has_confirmed(tmp_path: Path) -> None:
    random, data, steps = Random(SEED), tmp_path / "data", tmp_path / "steps"
    shared = [Blob(random.getrandbits(64), 70_000)]
    owner, pusher = (
        Pusher(f"kill/{name}", Random(random.getrandbits(64)), shared) for name in ("owner", "steps")
    )
    pusher.others = [owner]
    tally = Tally()
    killed_before: list[str] = []
    left: set[str] = set()
    for number in count(1):
        program = (sys.executable, str(Path(dying_server.__file__)), str(steps), str(number))
        with serving(tmp_path, "--workers", "2", program=program) as server:
            tally.swept += look_at_files(data, left, since=0.0)
            go_on(server, [owner, pusher], tally)
            token = server.token(owner.repository, pusher.repository)
            line = Line((server.host, server.port), token, lambda: None)
            if number == 1:
                owner.push_shared(line)
            ends = server.ends()
            steps.touch()
            try:
                pusher.push_image(line)
            except ServerGone:
                line.close()
                server.await_ends(ends)
            else:
                line.close()
                assert len(steps_of(steps)) < number
                break
        taken = steps_of(steps)
        assert len(taken) >= number, "it ended, and not at the step"
        killed_before.append(taken[number - 1])
        steps.unlink()
        left = upload_files(data)
        make_old(data)
    print(f"{len(killed_before)} kills, before: {', '.join(killed_before)}; {tally.resumed} uploads went on")
    print(f"{tally.anew} began anew, {tally.swept} half files swept")
    assert set(killed_before) >= {
        "create",
        "write",
        "sync",
        "rename",
        "remove",
        "begin",
        "commit",
        "committed",
    }
    assert tally.resumed
    assert tally.anew
    assert tally.swept
