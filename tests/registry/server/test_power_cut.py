"""A power cut at every moment of a real server's life, from its own system calls.

A server runs under strace from its first start through the push of an image.
Two things are shown of what it asked of the system: every answer 201 was
written to the network after all that it promises was synced, in the order that
leaves garbage at most; and from what a power cut at any moment leaves, with the
unsynced kept, lost, torn and mixed, a server starts that has what was answered.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
from tests.peers.programs import require_program
from tests.registry.server.pushers import Answer, Blob, Line, Pusher
from tests.registry.server.serving import serving
from tests.registry.server.system_calls import Disk, File, Keep, SystemCall, read_log, strace

from sealift.registry.assembly import prepare
from sealift.registry.data_directory import DataDirectory

pytestmark = [pytest.mark.peers, pytest.mark.slow]

MIXTURES = int(os.environ.get("SEALIFT_MIXTURES", "2"))
"""How many ways of keeping some of the unsynced are tried at each moment, beside all and nothing."""


class NotingLine(Line):
    """Notes the place of each blob or manifest that was answered 201."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.promised: list[str] = []

    def ask(self, method: str, target: str, *arguments: object, **named: object) -> Answer:
        answer = super().ask(method, target, *arguments, **named)  # type: ignore[arg-type]
        if answer.status == 201:
            place = urlsplit(answer.headers["location"]).path
            tag = target.rpartition("/manifests/")[2] if "/manifests/" in target else ""
            self.promised.append(f"{place} {tag}".strip())
        return answer


@dataclass(frozen=True)
class Recording:
    """A life of a server, and what it promised."""

    data: Path
    calls: list[SystemCall]
    promised: list[str]
    """Path and, for a manifest, tag of each answer 201, in their order."""

    @property
    def answers(self) -> list[SystemCall]:
        """Where each 201 was written to the network."""
        return [
            call
            for call in self.calls
            if "TCP" in call.file and call.texts and call.texts[0].startswith(b"HTTP/1.1 201")
        ]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    require_program("strace")
    directory = tmp_path_factory.mktemp("recorded")
    log = directory / "calls"
    random = Random(1)
    owner, pusher = (
        Pusher(f"cut/{name}", Random(random.getrandbits(64)), [Blob(3, 70_000)]) for name in ("owner", "own")
    )
    pusher.others = [owner]
    program = (*strace(log), sys.executable, "-m", "sealift")
    with serving(directory, program=program) as server:
        token = server.token(owner.repository, pusher.repository)
        line = NotingLine((server.host, server.port), token, lambda: None)
        owner.push_shared(line)
        pusher.push_image(line)
        pusher.push_image(line)  # the tag moves
        line.close()
        os.kill(server.workers[0], signal.SIGTERM)  # the first process is strace
        assert server.process.wait(60) == 0
    calls = read_log(log)
    made = Recording(server.data, calls, line.promised)
    assert len(made.answers) == len(made.promised) == 13
    return made


def test_each_201_goes_out_after_what_it_promises_is_on_the_disk_in_the_order_of_a_commit(
    recording: Recording,
) -> None:
    disk = Disk(recording.data.parent, recording.calls)
    wal = disk_file(disk, recording.data / "catalog.sqlite3-wal")
    renamed = {naming.target: naming for naming in disk.namings if naming.source}
    seen: set[str] = set()
    before = 0
    for answer, promise in zip(recording.answers, recording.promised, strict=True):
        place = promise.split()[0]
        commits = [(begun, end) for begun, end in wal.syncs if before < begun and end < answer.begun]
        if "/blobs/" in place:
            digest = place.rpartition(":")[2]
            path = recording.data / "blobs" / "sha256" / digest[:2] / digest
            name, file = renamed[str(path)], disk_file(disk, path)
            last_write = max(write.returned for write in file.writes)
            assert any(last_write < begun and end < name.begun for begun, end in file.syncs), (
                "data, then name"
            )
            names = disk_file(disk, path.parent)
            name_synced = min(end for begun, end in names.syncs if name.returned < begun)
            home = next(each for each in disk.namings if each.target == str(path.parent))
            homes = disk_file(disk, path.parent.parent)
            assert any(home.returned < begun and end < name.begun for begun, end in homes.syncs)
            commits = [(begun, end) for begun, end in wal.syncs if name_synced < begun and end < answer.begun]
            linked = [write for write in wal.writes if name_synced < write.begun < answer.begun]
            assert linked or place in seen
        if place not in seen:
            assert commits, f"{promise} was answered before its commit was synced"
            last = commits[-1][0]
            begun = [write for write in wal.writes if before < write.begun < last]
            assert begun
        seen.add(place)
        before = answer.begun


def disk_file(disk: Disk, path: Path) -> File:
    return disk.ever[str(path)]


def test_from_a_power_cut_at_any_moment_a_server_starts_that_has_what_was_answered(
    recording: Recording, tmp_path: Path
) -> None:
    disk = Disk(recording.data.parent, recording.calls)
    random = Random(2)
    answers = recording.answers
    states: set[int] = set()
    for moment in disk.moments:
        promised = recording.promised[: sum(answer.returned < moment for answer in answers)]
        ways = [Keep(1.0), Keep(0.0)]
        ways += [
            Keep(random.choice((0.2, 0.5, 0.8)), Random(random.getrandbits(32))) for _ in range(MIXTURES)
        ]
        for keep in ways:
            left = disk.after_power_cut(moment, keep)
            state = hash((len(promised), frozenset(left.items())))
            if state in states:
                continue
            states.add(state)
            check(left, recording.data, tmp_path / "found", promised)
    print(f"{len(disk.moments)} moments, {len(states)} different states of the disk")
    assert len(disk.moments) > 50
    assert len(states) > 50


def check(left: dict[str, bytes | None], recorded: Path, root: Path, promised: list[str]) -> None:
    """Start on what was left, and hold it against what was promised."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for path, content in left.items():
        target = root / Path(path).relative_to(recorded.parent)
        if content is None:
            target.mkdir()
        else:
            target.write_bytes(content)
    data = DataDirectory(root / recorded.name)
    with data.lock():
        prepare(data)
    assert (data.path / "admin-password").read_text().strip()
    with closing(sqlite3.connect(data.catalog)) as catalog:
        assert catalog.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert catalog.execute("PRAGMA foreign_key_check").fetchall() == []
        linked = set(
            catalog.execute(
                "SELECT r.name, l.digest FROM blob_link l JOIN repository r ON r.id = l.repository_id"
            )
        )
        tags = {
            (name, tag): digest
            for name, tag, digest in catalog.execute(
                "SELECT r.name, t.name, t.digest FROM tag t JOIN repository r ON r.id = t.repository_id"
            )
        }
        manifests = {
            (name, digest): body
            for name, digest, body in catalog.execute(
                "SELECT r.name, m.digest, m.body FROM manifest m JOIN repository r ON r.id = m.repository_id"
            )
        }
    for _, digest in linked:
        encoded = digest.removeprefix("sha256:")
        found = (data.blobs / "sha256" / encoded[:2] / encoded).read_bytes()
        assert sha256(found).hexdigest() == encoded
    for (name, digest), body in manifests.items():
        assert f"sha256:{sha256(body).hexdigest()}" == digest
        document = json.loads(body)
        for part in (document["config"], *document["layers"]):
            assert (name, part["digest"]) in linked
    moved: dict[tuple[str, str], str] = {}
    for promise in promised:
        place, _, tag = promise.partition(" ")
        kind = "blobs" if "/blobs/" in place else "manifests"
        name, _, digest = place.removeprefix("/v2/").partition(f"/{kind}/")
        if kind == "blobs":
            assert (name, digest) in linked, f"{promise} was promised"
        else:
            assert (name, digest) in manifests, f"{promise} was promised"
            moved[name, tag] = digest
    for (name, tag), digest in moved.items():
        # The next move may have come as far as the disk: then it is whole, and later.
        assert tags[name, tag] == digest or (name, tags[name, tag]) in set(manifests) - {(name, digest)}
