"""Manifest GET, push and pull of one blob: Sealift beside Debian's docker-registry, on one disk in one run.

Usage: python benchmarks/registry.py [--size MIB] [--runs N] [--seconds N] [--directory DIR]

Needs ``docker-registry`` and ``wrk`` on PATH. See benchmarks/README.md for how to read the table.
"""

import argparse
import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

REPOSITORY = "bench/image"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
PART = 1024 * 1024


@dataclass
class Target:
    """One registry that is up: where, and how to ask it for a token."""

    name: str
    port: int
    process: int
    user: str = ""
    password: str = ""
    figures: dict[str, list[float]] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """A fresh token as a header; nothing where the registry asks for none."""
        if not self.user:
            return {}
        basic = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        url = f"/token?service=127.0.0.1:{self.port}&scope=repository:{REPOSITORY}:pull,push"
        connection.request("GET", url, headers={"Authorization": f"Basic {basic}"})
        token = json.loads(connection.getresponse().read())["token"]
        connection.close()
        return {"Authorization": f"Bearer {token}"}

    def note(self, what: str, value: float) -> None:
        """Keep one figure."""
        self.figures.setdefault(what, []).append(value)

    def peak_memory(self) -> float:
        """Greatest resident size of the server's processes so far, in MiB."""
        total = 0
        for pid in [self.process, *children(self.process)]:
            status = Path(f"/proc/{pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            total = max(total, int(found.group(1)) if found else 0)
        return total / 1024


def children(pid: int) -> list[int]:
    """All processes below `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(port: int, path: str) -> None:
    """Return once `path` answers; give up after ten seconds."""
    for _ in range(500):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit(f"nothing answers on port {port}")


@contextmanager
def running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[int]:
    """Run a server in a process group of its own; end the group afterwards."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def docker_registry(directory: Path) -> Iterator[Target]:
    """Debian's docker-registry with its file system driver and no authentication."""
    port = free_port()
    config = directory / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}, cache: {{blobdescriptor: inmemory}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n"
    )
    with running(["docker-registry", "serve", str(config)]) as pid:
        wait_until_up(port, "/v2/")
        yield Target("docker-registry", port, pid)


@contextmanager
def sealift(directory: Path) -> Iterator[Target]:
    """``sealift serve`` with one worker, and a token for each request."""
    port = free_port()
    data = directory / "data"
    command = [sys.executable, "-m", "sealift", "serve", "--listen", f"127.0.0.1:{port}", "--data", str(data)]
    with running(command) as pid:
        wait_until_up(port, "/readyz")
        password = (data / "admin-password").read_text().strip()
        yield Target("sealift", port, pid, user="admin", password=password)


def push_blob(target: Target, parts: list[bytes], digest: str) -> None:
    """POST, then one PUT with the whole blob."""
    headers = target.headers()
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=120)
    connection.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", headers={**headers, "Content-Length": "0"})
    response = connection.getresponse()
    response.read()
    location = response.headers["Location"]
    location = re.sub(r"^https?://[^/]+", "", location)
    location += ("&" if "?" in location else "?") + f"digest={digest}"
    size = sum(len(part) for part in parts)
    connection.putrequest("PUT", location)
    for name, value in {
        **headers,
        "Content-Length": str(size),
        "Content-Type": "application/octet-stream",
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    for part in parts:
        connection.send(part)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.CREATED:
        raise SystemExit(f"{target.name}: push answered {answer.status}: {body[:200]!r}")
    connection.close()


def pull_blob(target: Target, digest: str, size: int) -> None:
    """GET into nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=120)
    connection.request("GET", f"/v2/{REPOSITORY}/blobs/{digest}", headers=target.headers())
    response = connection.getresponse()
    buffer = bytearray(PART)
    received = 0
    while count := response.readinto(buffer):
        received += count
    if received != size:
        raise SystemExit(f"{target.name}: pull gave {received} of {size} bytes")
    connection.close()


def push_manifest(target: Target, digest: str, size: int) -> None:
    """An image of one layer, so that a manifest GET has something to give."""
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    config_digest = "sha256:" + hashlib.sha256(config).hexdigest()
    push_blob(target, [config], config_digest)
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size}
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest,
                "size": len(config),
            },
            "layers": [layer],
        }
    )
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    connection.request(
        "PUT",
        f"/v2/{REPOSITORY}/manifests/latest",
        body=manifest,
        headers={**target.headers(), "Content-Type": MANIFEST_TYPE},
    )
    response = connection.getresponse()
    body = response.read()
    if response.status != http.HTTPStatus.CREATED:
        raise SystemExit(f"{target.name}: manifest answered {response.status}: {body[:200]!r}")
    connection.close()


def manifest_rate(target: Target, seconds: int) -> float:
    """Manifest GETs a second by tag over 32 kept connections, and none may fail."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-H", f"Accept: {MANIFEST_TYPE}"]
    for name, value in target.headers().items():
        command += ["-H", f"{name}: {value}"]
    url = f"http://127.0.0.1:{target.port}/v2/{REPOSITORY}/manifests/latest"
    output = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"{target.name}: {output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise SystemExit(f"wrk printed no rate: {output}")
    return float(found.group(1))


def measure(target: Target, *, mebibytes: int, runs: int, seconds: int) -> None:
    """All shapes against one registry."""
    block = os.urandom(PART)
    size = mebibytes * PART
    digest = ""
    for run in range(runs):
        parts = [run.to_bytes(8, "big") + os.urandom(8) + block[16:], *([block] * (mebibytes - 1))]
        hasher = hashlib.sha256()
        for part in parts:
            hasher.update(part)
        digest = "sha256:" + hasher.hexdigest()
        push_seconds = timed(partial(push_blob, target, parts, digest))
        target.note(f"push {mebibytes} MiB, MB/s", size / 1e6 / push_seconds)
        for _ in range(2):
            pull_seconds = timed(partial(pull_blob, target, digest, size))
            target.note(f"pull {mebibytes} MiB, MB/s", size / 1e6 / pull_seconds)
    target.note("peak memory, MiB", target.peak_memory())
    push_manifest(target, digest, size)
    for _ in range(runs):
        target.note("manifest GET, 1/s", manifest_rate(target, seconds))


def timed(work: Callable[[], None]) -> float:
    """Seconds that `work` took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure one after the other and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256, metavar="MIB")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--directory", type=Path, default=None, help="where both keep their data")
    options = parser.parse_args()
    for program in ("docker-registry", "wrk"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not on PATH: apt-get install {program}")
    targets = []
    for start in (docker_registry, sealift):
        with (
            tempfile.TemporaryDirectory(dir=options.directory) as directory,
            start(Path(directory)) as target,
        ):
            measure(target, mebibytes=options.size, runs=options.runs, seconds=options.seconds)
            targets.append(target)
    print(f"{'':24}" + "".join(f"{target.name:>30}" for target in targets))
    for what in targets[0].figures:
        cells = []
        for target in targets:
            values = target.figures[what]
            cells.append(f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})")
        print(f"{what:24}" + "".join(f"{cell:>30}" for cell in cells))


if __name__ == "__main__":
    main()
