"""Pushes, mounts, pulls and deletes beside a collector in a hurry, on a real server with two workers.

Not one operation may fail, nothing that was answered 201 and not deleted may be
missing at the end, and at the end everything that nobody needs has gone.
"""

import base64
import hashlib
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.peers.ground import await_that

from sealift.image.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("SEALIFT_STRESS_SECONDS", "16"))
CLIENTS = 5
SEED = int(os.environ.get("SEALIFT_STRESS_SEED", "20261124"))

LAYERS = [b"layer %d " % number * (1 + 997 * (number % 24)) for number in range(400)]
"""So many that one is left alone for longer than the grace now and then, and then pushed again."""


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


BY_DIGEST = {digest_of(layer): layer for layer in LAYERS}


@dataclass
class Client:
    """One user's clients, in repositories of its own: what is there is known."""

    address: str
    auth: str
    number: int
    until: float
    failures: list[str]
    there: dict[str, bytes] = field(default_factory=dict)
    """The manifests that tags stand for, by ``REPOSITORY:TAG``."""

    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(SEED + self.number)
        self.connection = http.client.HTTPConnection(self.address, timeout=120)
        self.pushed = 0

    def ask(
        self, method: str, path: str, expected: int | tuple[int, ...], body: bytes = b"", **headers: str
    ) -> bytes:
        """One request; whatever is not expected is a failure."""
        sent = {
            "Authorization": self.auth,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self.connection.request(method, path, body or None, sent)
        answer = self.connection.getresponse()
        content = answer.read()
        self.status = answer.status
        self.headers = answer.headers
        if answer.status not in (expected if isinstance(expected, tuple) else (expected,)):
            self.failures.append(f"{method} {path}: {answer.status} {content[:300]!r}")
        self.done[f"{method} {answer.status}"] = self.done.get(f"{method} {answer.status}", 0) + 1
        return content

    def run(self) -> None:
        while time.monotonic() < self.until:
            choice = self.random.random()
            if choice < 0.5 or not self.there:
                self.push()
            elif choice < 0.65:
                self.pull(self.random.choice(list(self.there)))
            else:
                self.delete(self.random.choice(list(self.there)))

    def push(self) -> None:
        repository = f"stress{self.number}/r{self.random.randrange(4)}"
        self.pushed += 1
        config = json.dumps({"client": self.number, "push": self.pushed % 7}).encode()
        parts = [config, *self.random.sample(LAYERS, self.random.randint(1, 5))]
        for part in parts:
            self.blob(repository, part)
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor(config, OCI_CONFIG),
                "layers": [descriptor(layer, OCI_LAYER) for layer in parts[1:]],
            }
        ).encode()
        tag = f"t{self.random.randrange(3)}"
        self.ask("PUT", f"/v2/{repository}/manifests/{tag}", 201, body, Content_Type=OCI_MANIFEST)
        self.there[f"{repository}:{tag}"] = body

    def blob(self, repository: str, data: bytes) -> None:
        """As clients do: look; mount; upload."""
        digest = digest_of(data)
        self.ask("HEAD", f"/v2/{repository}/blobs/{digest}", (200, 404))
        if self.status == 200:
            return
        other = f"stress{self.number}/r{self.random.randrange(4)}"
        way = self.random.random()
        if way < 0.4:
            self.ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={other}", (201, 202))
            if self.status == 201:
                return
        elif way < 0.7:
            self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", 201, data)
            return
        else:
            self.ask("POST", f"/v2/{repository}/blobs/uploads/", 202)
        location = self.headers["location"]
        self.ask("PATCH", location, 202, data)
        self.ask("PUT", f"{location}?digest={digest}", 201)

    def pull(self, name: str) -> None:
        repository, tag = name.split(":")
        body = self.ask("GET", f"/v2/{repository}/manifests/{tag}", 200)
        if body != self.there[name]:
            self.failures.append(f"{name} is another manifest")
            return
        document = json.loads(body)
        for part in (document["config"], *document["layers"]):
            content = self.ask("GET", f"/v2/{repository}/blobs/{part['digest']}", 200)
            if digest_of(content) != part["digest"]:
                self.failures.append(f"{part['digest']} of {name} has other bytes")

    def delete(self, name: str) -> None:
        repository = name.partition(":")[0]
        digest = digest_of(self.there[name])
        self.ask("DELETE", f"/v2/{repository}/manifests/{digest}", 202)
        for other in [each for each, body in self.there.items() if digest_of(body) == digest]:
            if other.startswith(f"{repository}:"):
                del self.there[other]


def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def test_nothing_fails_and_nothing_is_lost_and_nothing_is_left(tmp_path: Path) -> None:
    data, address = tmp_path / "data", tmp_path / "address"
    log = (tmp_path / "log").open("wb+")
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.registry.server.collecting_server", str(address), str(data)],
        stdout=log,
        stderr=log,
    )
    clients: list[Client] = []
    try:
        assert await_that(address.exists, while_=lambda: server.poll() is None), (
            tmp_path / "log"
        ).read_text()
        password = (data / "admin-password").read_text().strip()
        auth = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        failures: list[str] = []
        until = time.monotonic() + SECONDS
        clients += [Client(address.read_text(), auth, number, until, failures) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == [], f"seed {SEED}"
        meanwhile = collected_blobs(tmp_path / "log")
        for client in clients:
            for name in list(client.there):
                client.pull(name)
            for name in list(client.there):
                if name in client.there:
                    client.delete(name)
        assert failures == []
        assert await_that(lambda: stored(data) <= kept_by_untagged(data), seconds=60), (
            "what nobody needs is left"
        )
        print({client.number: client.done for client in clients}, meanwhile, SEED)
        assert meanwhile > 20, "the collector was at work while they were"
        assert sum(client.done.get("PUT 201", 0) for client in clients) > 100
        assert "ALARM" not in (tmp_path / "log").read_text()
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        for client in clients:
            client.connection.close()
        server.terminate()
        server.wait(60)
        log.close()


def stored(data: Path) -> set[str]:
    """Every blob on the disk."""
    return {f"sha256:{each.name}" for each in (data / "blobs" / "sha256").glob("*/*")}


def kept_by_untagged(data: Path) -> set[str]:
    """What manifests need that a tag has left: they are kept."""
    import sqlite3  # noqa: PLC0415 - used here only

    with sqlite3.connect(f"file:{data / 'catalog.sqlite3'}?mode=ro", uri=True) as catalog:
        rows = catalog.execute("SELECT DISTINCT digest FROM manifest_reference").fetchall()
    catalog.close()
    return {row[0] for row in rows}


def collected_blobs(log: Path) -> int:
    """How many blobs the collector says that it has removed."""
    return sum(int(count) for count in re.findall(r"links, (\d+) blobs", log.read_text()))
