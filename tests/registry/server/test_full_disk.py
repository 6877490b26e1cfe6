"""The real server on a disk of its own that is full: what is refused, what goes on, and what is left."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.peers.ground import await_that
from tests.registry_requests import Pusher, code_of, digest_of
from tests.served import Served, basic
from tests.small_disk import SmallDisk, serving_on_small_disk

FULL = (507, "UNAVAILABLE")
NO_RESERVE = {"SEALIFT_RESERVE_FREE": "0B"}


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def workers(request: pytest.FixtureRequest) -> tuple[str, str]:
    return ("--workers", str(request.param))


def _check_unharmed(served: Served, before: list[int]) -> None:
    """No process has died, and nobody forgot to expect what happened."""
    assert served.processes() == before
    said = served.log.read_text()
    assert "Traceback" not in said
    assert "panicked" not in said


def test_while_the_disk_is_full_pulls_logins_and_deletes_go_on_and_pushes_are_refused(
    workers: tuple[str, str], tmp_path: Path
) -> None:
    with serving_on_small_disk(tmp_path, "24m", *workers) as (served, disk):
        before, pusher, layer = served.processes(), Pusher(served), os.urandom(2_000_000)
        kept = pusher.push_image("kept", layer)
        for tag in ("old", "older"):
            pusher.push_image(tag, tag.encode() * 1000)
        other = Pusher(served, "admin/other")
        other.push_image("v1", b"other")
        upload = pusher.begin().headers["location"]
        disk.fill()

        for refused in (
            pusher.begin(),
            pusher.push_blob(b"more"),
            pusher.ask("PATCH", upload, b"more"),
            pusher.push_manifest("new", json.dumps({"tag": "old"}).encode()),
        ):
            assert code_of(refused) == FULL
            assert int(refused.headers["retry-after"]) > 0

        for method in ("GET", "HEAD"):
            for path, content in ((f"blobs/{digest_of(layer)}", layer), ("manifests/kept", kept)):
                got = pusher.ask(method, path)
                assert (got.status, int(got.headers["content-length"])) == (200, len(content))
                assert got.body == (content if method == "GET" else b"")
        scope = "repository%3Aadmin%2Fapp%3Apull"
        for _ in range(3):  # each of these would like to be written down
            assert served.ask("GET", f"/token?scope={scope}", None, served.as_admin()).status == 200
            wrong = {"Authorization": basic("admin", "wrong")}
            assert served.ask("GET", f"/token?scope={scope}", None, wrong).status == 401
        assert served.ask("GET", "/healthz").status == 200

        assert pusher.ask("DELETE", "manifests/old").status == 202
        assert pusher.ask("DELETE", f"manifests/{digest_of(_manifest_of(pusher, 'older'))}").status == 202
        assert pusher.ask("DELETE", upload).status == 204
        assert pusher.ask("DELETE", "/api/v1/repositories/admin/other").status == 204
        assert pusher.ask("GET", "manifests/old").status == 404

        disk.free()
        pusher.push_image("new", os.urandom(3_000_000))
        assert sorted(json.loads(pusher.ask("GET", "tags/list").body)["tags"]) == ["kept", "new"]
        _check_unharmed(served, before)
        disk.check_whole()


def _manifest_of(pusher: Pusher, tag: str) -> bytes:
    return pusher.ask("GET", f"manifests/{tag}").body


def test_a_streamed_upload_that_meets_the_end_of_the_disk(workers: tuple[str, str], tmp_path: Path) -> None:
    with serving_on_small_disk(tmp_path, "16m", *workers) as (served, disk):
        before, pusher = served.processes(), Pusher(served)
        upload = pusher.begin().headers["location"]

        def stream() -> Iterator[bytes]:
            for _ in range(24):
                yield b"x" * (1 << 20)

        refused = pusher.ask("PATCH", upload, stream())
        assert code_of(refused) == FULL
        # What deletes and logins need is still there: the upload has taken all but the reserve.
        assert disk.free_bytes() > 100_000
        came = int(pusher.ask("GET", upload).headers["range"].partition("-")[2]) + 1
        assert 1 << 20 < came < 16 << 20
        assert came == (disk.data / "uploads" / upload.rpartition("/")[2]).stat().st_size
        assert code_of(pusher.push_blob(bytes(2 << 20))) == FULL
        assert pusher.ask("DELETE", upload).status == 204
        pusher.push_image("v1", b"x" * 1000)
        _check_unharmed(served, before)
        disk.check_whole()


def test_a_disk_that_fills_up_between_the_bytes_and_the_commit(
    workers: tuple[str, str], tmp_path: Path
) -> None:
    """No reserve, and the room for deletes is used up: the commit has not one byte."""
    with serving_on_small_disk(tmp_path, "16m", *workers, environment=NO_RESERVE) as (served, disk):
        before, pusher, content = served.processes(), Pusher(served), os.urandom(500_000)
        upload = pusher.begin().headers["location"]
        assert pusher.ask("PATCH", upload, content).status == 202
        (disk.data / "reserve").unlink()
        disk.fill()
        path = f"{upload}?digest={digest_of(content)}"
        assert code_of(pusher.ask("PUT", path)) == FULL
        assert pusher.ask("GET", f"blobs/{digest_of(content)}").status == 404
        disk.free()
        assert pusher.ask("PUT", path).status in {201, 404}, "it goes on, or it is begun again"
        assert pusher.push_blob(content).status == 201
        assert pusher.push_manifest("v1", content).status == 201
        _check_unharmed(served, before)
        disk.check_whole()


def test_a_catalog_that_outgrows_the_disk(workers: tuple[str, str], tmp_path: Path) -> None:
    """Manifests until there is no room for the catalog's log; what was answered with 201 is there."""
    with serving_on_small_disk(tmp_path, "12m", *workers, environment=NO_RESERVE) as (served, disk):
        before, pusher = served.processes(), Pusher(served)
        assert pusher.push_blob(b"{}").status == 201
        disk.fill(but=600_000)
        taken = []
        for number in range(200):
            reply = pusher.push_manifest(f"t{number}", b"{}", annotations={"x": f"{number}" * 5000})
            if reply.status != 201:
                assert code_of(reply) == FULL
                break
            taken.append(reply.headers["docker-content-digest"])
        assert 0 < len(taken) < 200
        assert "the room that was kept for deletes is used" in served.log.read_text()
        for number, digest in enumerate(taken):
            assert digest_of(pusher.ask("GET", f"manifests/t{number}").body) == digest
        disk.free()
        pusher.push_image("v1", b"layer")
        _check_unharmed(served, before)
        disk.check_whole()


def test_the_reserve_is_for_deletes_and_the_end_of_a_push(tmp_path: Path) -> None:
    reserve = {"SEALIFT_RESERVE_FREE": "4MiB"}
    with serving_on_small_disk(tmp_path, "24m", environment=reserve) as (served, disk):
        pusher = Pusher(served)
        for blob in (b"{}", b"layer"):
            assert pusher.push_blob(blob).status == 201
        disk.fill(but=3 << 20)
        refused = pusher.begin()
        assert code_of(refused) == FULL
        assert pusher.push_manifest("v1", b"{}", b"layer").status == 201
        disk.free()
        disk.fill(but=1 << 20)
        assert code_of(pusher.push_manifest("v2", b"{}", b"layer", annotations={"a": "b"})) == FULL
        assert pusher.push_manifest("v3", b"{}", b"layer").status == 201, "it is there: only a tag is new"
        assert pusher.ask("DELETE", "manifests/v1").status == 202
        disk.free()
        assert pusher.begin().status == 202


def test_what_was_given_up_for_deletes_is_taken_again(tmp_path: Path) -> None:
    with serving_on_small_disk(tmp_path, "24m") as (served, disk):
        pusher = Pusher(served)
        pusher.push_image("v1", b"layer")
        kept = (disk.data / "reserve").stat().st_size
        assert kept >= 64 * 1024
        disk.fill()
        for number in range(60):  # until the log of the catalog has to grow
            pusher.ask("POST", "/api/v1/repositories", json.dumps({"name": f"admin/r{number}"}).encode())
        assert (disk.data / "reserve").stat().st_size == 0
        disk.free()
        assert _taken_again(pusher, disk, kept)


def _taken_again(pusher: Pusher, disk: SmallDisk, size: int) -> bool:
    """Whether the file has its size again; the server looks every five seconds, when it writes."""

    def write_and_look() -> bool:
        pusher.ask("DELETE", pusher.begin().headers["location"])
        return (disk.data / "reserve").stat().st_size == size

    return await_that(write_and_look, seconds=30)
