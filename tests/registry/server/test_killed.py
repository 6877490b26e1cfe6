"""The server is killed while clients push, again and again, and what it has promised is there.

Each kill is a SIGKILL to the whole process group, at a random moment, and then
a start on the same data. What was answered 201 is complete and byte-exact, no
tag names a manifest with missing parts, what was interrupted goes on or begins
anew, and what is left over goes with the sweep.

``make kill-test`` is the long form. SEALIFT_KILLS sets the number of kills and
SEALIFT_KILL_SEED repeats a run as far as the machine does.
"""

import os
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from tests.registry.server.pushers import Blob, Line, Pusher, Sent
from tests.registry.server.serving import Server, serving

KILLS = int(os.environ.get("SEALIFT_KILLS", "25"))
SEED = int(os.environ.get("SEALIFT_KILL_SEED", str(secrets.randbits(32))))

CLIENTS = 4
MOST_STEPS = 250
"""Of all clients together, from the first one that gets going to the kill: answers, and pieces sent."""

MOST_DELAY_SECONDS = 0.02
"""After that step, so that a kill falls anywhere between two of them."""

PATIENCE_SECONDS = 60.0


@dataclass
class Steps:
    """Counts what the clients do, and tells when it was so much."""

    taken: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def step(self) -> None:
        with self.changed:
            self.taken += 1
            self.changed.notify_all()

    def await_number(self, number: int, failed: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.taken >= number or failed(), PATIENCE_SECONDS), self


@dataclass
class Tally:
    """What happened in all cycles."""

    kills: int = 0
    in_flight: int = 0
    """Kills that hit an upload or a commit."""
    hit: Counter[str] = field(default_factory=Counter)
    """Which requests were hit, and whether all of each had been sent."""
    resumed: int = 0
    anew: int = 0
    half_files: int = 0
    """Files found in the directory of uploads after a kill."""
    swept: int = 0

    def __str__(self) -> str:
        hit = ", ".join(f"{number} {what}" for what, number in self.hit.most_common())
        return (
            f"{self.kills} kills, {self.in_flight} with an upload or a commit in flight ({hit}); "
            f"{self.half_files} half files found, {self.swept} of them without owner and swept, "
            f"{self.resumed} uploads went on, {self.anew} began anew"
        )


def kill_while_they_push(server: Server, pushers: list[Pusher], random: Random, tally: Tally) -> None:
    """Have all clients push, and kill the server after some steps of theirs."""
    token = server.token(*(pusher.repository for pusher in pushers))
    steps, over = Steps(), threading.Event()
    failures: list[BaseException] = []

    def run(pusher: Pusher, line: Line) -> None:
        try:
            pusher.push_until_gone(line, over)
        except BaseException as failure:  # noqa: BLE001 - raised again below, in the test's own thread
            failures.append(failure)
            steps.step()

    lines = [Line((server.host, server.port), token, steps.step) for _ in pushers]
    threads = [
        threading.Thread(target=run, args=each, daemon=True) for each in zip(pushers, lines, strict=True)
    ]
    for thread in threads:
        thread.start()
    steps.await_number(random.randint(1, MOST_STEPS), lambda: bool(failures))
    time.sleep(random.choice((0, random.uniform(0, MOST_DELAY_SECONDS))))
    over.set()
    before: list[Sent | None] = [line.sent for line in lines]
    server.kill()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    if failures:
        raise failures[0]
    # Sent before the kill, and never answered: nothing that came later counts.
    hit = [was for line, was in zip(lines, before, strict=True) if was is not None and line.sent is was]
    tally.kills += 1
    tally.in_flight += bool(hit)
    tally.hit.update(f"{each.what} {'sent' if each.whole else 'being sent'}" for each in hit)


def check_catalog(data: Path) -> None:
    """The catalog is sound, and each of its rows has what it stands on."""
    with closing(sqlite3.connect(f"file:{data / 'catalog.sqlite3'}?mode=ro", uri=True)) as catalog:
        assert catalog.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert catalog.execute("PRAGMA foreign_key_check").fetchall() == []
        for digest, size in catalog.execute("SELECT digest, size FROM blob"):
            algorithm, encoded = digest.split(":")
            path = data / "blobs" / algorithm / encoded[:2] / encoded
            assert path.stat().st_size == size, digest
        missing = catalog.execute("""
            SELECT r.repository_id, r.manifest_digest, r.digest FROM manifest_reference r
            WHERE r.kind IN ('config', 'layer') AND NOT EXISTS
                (SELECT 1 FROM blob_link l WHERE l.repository_id = r.repository_id AND l.digest = r.digest)
            OR r.kind = 'manifest' AND NOT EXISTS
                (SELECT 1 FROM manifest m WHERE m.repository_id = r.repository_id AND m.digest = r.digest)
        """).fetchall()
        assert missing == []


def check_blob_files(data: Path, *, since: float = 0.0) -> None:
    """Each file stands under the digest of its bytes, one that no row names too."""
    for path in (data / "blobs").rglob("*"):
        if path.is_file() and path.stat().st_mtime >= since:
            assert sha256(path.read_bytes()).hexdigest() == path.name


def upload_files(data: Path) -> set[str]:
    return {path.name for path in (data / "uploads").iterdir()}


def upload_rows(data: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{data / 'catalog.sqlite3'}?mode=ro", uri=True)) as catalog:
        return {name for (name,) in catalog.execute("SELECT id FROM upload")}


def make_old(data: Path) -> None:
    """Let two hours pass for the files of uploads. The sweep spares what was touched in the last one."""
    for path in (data / "uploads").iterdir():
        os.utime(path, (0, 0))


def await_that(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)  # the sweep of another process has no event to wait for


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * KILLS)
def test_killed_at_any_moment_it_keeps_what_it_has_confirmed(tmp_path: Path) -> None:
    print(f"seed {SEED}: SEALIFT_KILL_SEED={SEED} SEALIFT_KILLS={KILLS}")
    random = Random(SEED)
    began = time.monotonic()
    shared = [Blob(random.getrandbits(64), size) for size in (10, 5_000, 80_000, 400_000, 2_500_000)]
    pushers = [Pusher(f"kill/c{n}", Random(random.getrandbits(64)), shared) for n in range(CLIENTS)]
    for pusher in pushers:
        pusher.others = [each for each in pushers if each is not pusher]
    tally = Tally()
    data = tmp_path / "data"
    killed_at = 0.0
    left_files: set[str] = set()
    for _ in range(KILLS):
        with serving(tmp_path, "--workers", "2") as server:
            tally.swept += look_at_files(data, left_files, since=killed_at)
            go_on(server, pushers, tally)
            killed_at = time.time() - 1
            kill_while_they_push(server, pushers, random, tally)
        left_files = upload_files(data)
        tally.half_files += len(left_files)
        make_old(data)
    with serving(tmp_path, "--workers", "2") as server:
        tally.swept += look_at_files(data, left_files, since=0.0)
        go_on(server, pushers, tally)
        token = server.token(*(pusher.repository for pusher in pushers))
        for pusher in pushers:
            line = Line((server.host, server.port), token, lambda: None)
            pusher.look_at_everything(line, all_of_it=True)
            line.close()
        assert server.stop() == 0
    left = upload_rows(data)
    assert left >= {upload.path.rpartition("/")[2] for pusher in pushers for upload in pusher.book.uploads}
    make_old(data)
    with closing(sqlite3.connect(data / "catalog.sqlite3")) as catalog, catalog:
        catalog.execute("UPDATE upload SET updated_at = 0")
    with serving(tmp_path, "--workers", "2") as server:
        await_that(lambda: not upload_rows(data) and not upload_files(data), "the sweep leaves uploads")
        assert server.stop() == 0
    seconds = time.monotonic() - began
    print(f"{tally}; {len(left)} idle uploads ended by the last sweep; {seconds:.0f} s")
    assert tally.kills == KILLS
    assert tally.in_flight * 2 >= KILLS, str(tally)


def look_at_files(data: Path, left: set[str], *, since: float) -> int:
    """The catalog and the files after a start, before anybody goes on; how many of the `left` were swept."""
    check_catalog(data)
    check_blob_files(data, since=since)
    await_that(lambda: upload_files(data) <= upload_rows(data), "the sweep leaves bytes without an owner")
    return len(left - upload_files(data))


def go_on(server: Server, pushers: list[Pusher], tally: Tally) -> None:
    """What was interrupted goes on, and what was promised is there."""
    token = server.token(*(pusher.repository for pusher in pushers))
    for pusher in pushers:
        line = Line((server.host, server.port), token, lambda: None)
        resumed, anew = pusher.go_on_with_uploads(line, leave=0.2)
        pusher.look_at_everything(line)
        line.close()
        tally.resumed += resumed
        tally.anew += anew
