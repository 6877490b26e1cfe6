"""A backup of a server at work: several clients push and delete all the while."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cli.outcomes import run_program
from tests.served import Served, serving

CLIENTS = 3
BEFORE = 12
"""Images that are pushed before the backup begins."""


@dataclass
class Worker:
    """A client that pushes images one after another and deletes every third of those it pushes meanwhile."""

    server: Served
    number: int
    pushed: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Reference to the manifest and the layer, of what was answered 201 and is to stay."""
    failures: list[str] = field(default_factory=list)
    deleted: int = 0

    @property
    def repository(self) -> str:
        return f"admin/app{self.number}"

    def push(self, tag: str) -> tuple[bytes, bytes]:
        layer = hashlib.sha256(f"{self.number} {tag}".encode()).digest() * 2000
        config = json.dumps({"tag": tag, "by": self.number}).encode()
        for blob in (layer, config):
            digest = "sha256:" + hashlib.sha256(blob).hexdigest()
            self.expect(201, "POST", f"blobs/uploads/?digest={digest}", blob)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": described(config, "application/vnd.oci.image.config.v1+json"),
                "layers": [described(layer, "application/vnd.oci.image.layer.v1.tar")],
            }
        ).encode()
        self.expect(201, "PUT", f"manifests/{tag}", manifest)
        return manifest, layer

    def expect(self, status: int, method: str, rest: str, body: bytes | None = None) -> None:
        headers = {
            **self.server.as_admin(),
            "Content-Type": "application/vnd.oci.image.manifest.v1+json",
        }
        answer = self.server.ask(method, f"/v2/{self.repository}/{rest}", body, headers)
        if answer.status != status:
            self.failures.append(f"{method} {rest}: {answer.status} {answer.body!r}")

    def work(self, stop: threading.Event) -> None:
        count = 0
        while not stop.is_set():
            tag = f"during{count}"
            self.push(tag)
            if count % 3 == 2:
                self.expect(202, "DELETE", f"manifests/{tag}")
                self.deleted += 1
            count += 1


def described(content: bytes, media_type: str) -> dict[str, object]:
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


@contextmanager
def at_work(workers: list[Worker]) -> Iterator[None]:
    """The clients work until the context ends."""
    stop = threading.Event()
    threads = [threading.Thread(target=worker.work, args=(stop,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("name", ["backup", "backup.tar"])
def test_all_that_was_there_before_it_began_is_in_it_and_whole(tmp_path: Path, name: str) -> None:
    backup, back = tmp_path / name, tmp_path / "back"
    with serving(tmp_path / "data", "--workers", "2") as server:
        workers = [Worker(server, number) for number in range(CLIENTS)]
        for worker in workers:
            for count in range(BEFORE // CLIENTS):
                worker.pushed[f"before{count}"] = worker.push(f"before{count}")
        with at_work(workers):
            for _ in range(3):
                done = run_program("backup", str(backup), "--data", str(server.data), cwd=tmp_path)
                assert done.status == 0, done
            checked = run_program("storage", "check", "--deep", "--data", str(server.data), cwd=tmp_path)
            assert checked.status == 0, checked
        assert [worker.failures for worker in workers] == [[]] * CLIENTS
        assert sum(worker.deleted for worker in workers) > 0
        password = server.admin_password
    done = run_program("restore", str(backup), "--data", str(back), cwd=tmp_path)
    assert done.status == 0, done
    checked = run_program("storage", "check", "--deep", "-o", "json", "--data", str(back), cwd=tmp_path)
    assert (checked.status, json.loads(checked.out)["faults"]) == (0, [])
    with serving(back) as server:
        (back / "admin-password").write_text(password)  # it is in no backup; who restores knows it
        for worker in workers:
            for tag, (manifest, layer) in worker.pushed.items():
                blob = "blobs/sha256:" + hashlib.sha256(layer).hexdigest()
                for rest, content in ((f"manifests/{tag}", manifest), (blob, layer)):
                    path = f"/v2/{worker.repository}/{rest}"
                    assert server.ask("GET", path, headers=server.as_admin()).body == content
