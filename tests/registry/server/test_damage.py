"""A blob that rots on the disk of a running server, as a client on the wire meets it."""

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contracts.blob_store import varied
from tests.served import Served, serving

CONTENT = varied(3 * 1024 * 1024)
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
BLOB = f"/v2/admin/app/blobs/{DIGEST}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("damage") / "data", "--workers", "2") as served:
        yield served


def push(server: Served) -> None:
    path = f"/v2/admin/app/blobs/uploads/?digest={DIGEST}"
    assert server.ask("POST", path, CONTENT, server.as_admin()).status == 201


def blob_file(server: Served) -> Path:
    encoded = DIGEST.partition(":")[2]
    return server.data / "blobs" / "sha256" / encoded[:2] / encoded


def change(server: Served) -> None:
    """One bit in the middle; the length stays."""
    content = bytearray(CONTENT)
    content[len(content) // 2] ^= 4
    blob_file(server).write_bytes(content)


def test_the_answer_ends_short_everyone_is_refused_from_there_on_and_a_push_heals(server: Served) -> None:
    push(server)
    assert server.ask("GET", BLOB, headers=server.as_admin()).body == CONTENT
    change(server)
    with pytest.raises(http.client.IncompleteRead) as short:
        server.ask("GET", BLOB, headers=server.as_admin())
    assert len(short.value.partial) < len(CONTENT)
    for _ in range(10):  # whichever worker answers
        assert server.ask("GET", BLOB, headers=server.as_admin()).status == 500
        assert server.ask("HEAD", BLOB, headers=server.as_admin()).status == 404
    assert f"ALARM: the stored blob {DIGEST} is damaged" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()
    push(server)
    for _ in range(10):
        assert server.ask("GET", BLOB, headers=server.as_admin()).body == CONTENT


def test_a_range_of_a_changed_blob_is_refused_too(server: Served) -> None:
    push(server)
    change(server)
    asked = {**server.as_admin(), "Range": "bytes=0-99"}
    assert server.ask("GET", BLOB, headers=asked).status == 500
    push(server)
    found = server.ask("GET", BLOB, headers=asked)
    assert (found.status, found.body) == (206, CONTENT[:100])
