"""Processes, signals, sockets: a real server in a process of its own."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from tests.registry.open_registry import basic
from tests.registry.server.serving import PATIENCE_SECONDS, Server, command, environment, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as running:
        yield running


def _gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _wait_until(condition: object, seconds: float = PATIENCE_SECONDS) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.02)


# ------------------------------------------------------------------ starting


def test_a_first_start(server: Server) -> None:
    file = server.data / "admin-password"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(server.password) == 32
    assert all(server.password not in line for line in server.said)
    server.wait_for(f"its password is in {file}")
    for name in ("catalog.sqlite3", "blobs", "uploads", "lock"):
        assert (server.data / name).stat().st_mode & 0o077 == 0, name
    assert server.ask("GET", "/readyz")[0] == 200
    assert server.ask("GET", "/v2/", auth=basic("admin", server.password))[0] == 200
    assert server.stop() == 0


def test_two_fresh_directories_have_two_passwords(tmp_path: Path) -> None:
    passwords = set()
    for name in ("one", "two"):
        with serving(tmp_path / name) as server:
            passwords.add(server.password)
    assert len(passwords) == 2


def test_a_second_start_keeps_the_password_and_warns(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        before = server.password
        server.stop()
    with serving(tmp_path) as server:
        assert server.password == before
        server.wait_for("warning: the first password of admin is still in")


def _run(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(directory),
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_second_server_on_the_directory_is_refused_by_name(server: Server, tmp_path: Path) -> None:
    second = _run(tmp_path, "serve", "--listen", "127.0.0.1:0", "--data", str(server.data))
    assert second.returncode == 8
    assert f"in use by another Sealift (process {server.process.pid})" in second.stderr
    assert str(server.data) in second.stderr
    assert "Traceback" not in second.stderr
    assert server.ask("GET", "/readyz")[0] == 200


def test_a_port_that_is_taken_is_refused_also_by_a_server_of_ours(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    second = _run(tmp_path, "serve", "--listen", f"127.0.0.1:{server.port}", "--data", str(other))
    assert (second.returncode, "Traceback" in second.stderr) == (8, False)
    assert f"cannot listen on 127.0.0.1:{server.port}" in second.stderr
    assert "why: Address already in use" in second.stderr
    assert not (other / "admin-password").exists()


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    refused = _run(
        tmp_path, "serve", "--listen", "192.0.2.1:5000", "--plain-http", "--data", str(tmp_path / "data")
    )
    assert refused.returncode == 8
    assert "why: Cannot assign requested address" in refused.stderr


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param(lambda path: path.write_text("x"), "cannot be used", id="a file stands there"),
        pytest.param(
            lambda path: (path.mkdir(), (path / "format").write_text("99\n")),
            "has format 99, which this Sealift does not know",
            id="a newer Sealift wrote it",
        ),
        pytest.param(
            lambda path: (path.mkdir(), (path / "format").write_text("x\n")),
            "does not hold a number",
            id="no number",
        ),
    ],
)
def test_a_directory_that_cannot_be_used(tmp_path: Path, prepare: object, told: str) -> None:
    assert callable(prepare)
    prepare(tmp_path / "data")
    refused = _run(tmp_path, "serve", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"))
    assert refused.returncode == 8
    assert told in refused.stderr
    assert "next:" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="root gives up its rights with setpriv"
)
def test_a_directory_without_rights(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, 65534, 65534)
    # Root without a right of root: nobody else could read this source tree below /root.
    refused = subprocess.run(
        [
            *("setpriv", "--inh-caps=-all", "--bounding-set=-all"),
            *command("serve", "--listen", "127.0.0.1:0", "--data", str(closed / "data")),
        ],
        capture_output=True,
        text=True,
        env=environment(Path("/")),
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert refused.returncode == 8
    assert "Permission denied" in refused.stderr
    assert "Traceback" not in refused.stderr


# ------------------------------------------------------------------ stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        workers = server.workers
        idle = server.connect()
        idle.request("GET", "/healthz")
        idle.getresponse().read()  # kept alive
        began = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE_SECONDS) == 0
        assert time.monotonic() - began < 5
        idle.close()
        assert [_gone(pid) for pid in workers] == [True, True]
        assert not any("Traceback" in line or "panicked" in line for line in server.said)


def _upload(server: Server, repository: str) -> tuple[str, str]:
    auth = basic("admin", server.password)
    status, headers, _ = server.ask("POST", f"/v2/{repository}/blobs/uploads/", body=b"", auth=auth)
    assert status == 202
    return headers["location"], auth


def test_an_upload_in_flight_is_finished_before_the_end(server: Server, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    location, auth = _upload(server, "apps/web")
    connection = server.connect()
    connection.putrequest("PUT", f"{location}?digest={digest}")
    connection.putheader("Authorization", auth)
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders()
    connection.send(content[:1_000_000])
    server.process.send_signal(signal.SIGTERM)
    _wait_until(lambda: _refuses(server))
    connection.send(content[1_000_000:])
    with connection.getresponse() as answer:
        assert answer.status == 201
    connection.close()
    assert server.process.wait(PATIENCE_SECONDS) == 0
    with serving(tmp_path) as again:
        status, _, body = again.ask(
            "GET", f"/v2/apps/web/blobs/{digest}", auth=basic("admin", again.password)
        )
        assert (status, body) == (200, content)


def _refuses(server: Server) -> bool:
    try:
        socket.create_connection((server.host, server.port), 1).close()
    except OSError:
        return True
    return False


def test_a_stalled_upload_does_not_hold_the_end(server: Server) -> None:
    location, auth = _upload(server, "apps/web")
    connection = server.connect()
    connection.putrequest("PATCH", location)
    connection.putheader("Authorization", auth)
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(b"x" * 300_000)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - began < 15
    connection.close()


def test_a_reader_that_stalls_does_not_hold_the_end_nor_fill_the_memory(server: Server) -> None:
    """A blob of 1 GiB, and a client that asks for it and reads nothing."""
    size = 1 << 30
    digest = _plant_sparse_blob(server, size)
    stalled = socket.create_connection((server.host, server.port), PATIENCE_SECONDS)
    auth = basic("admin", server.password)
    stalled.sendall(
        f"GET /v2/apps/big/blobs/{digest} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n\r\n".encode()
    )
    assert b" 200 " in stalled.recv(100)
    _wait_until_nothing_more_comes(stalled)
    (worker,) = server.workers
    assert _resident(worker) < 150 * 1024
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 15
    stalled.close()


def _wait_until_nothing_more_comes(connection: socket.socket) -> None:
    """Wait until what the kernel holds for us does not grow any more: the other side is held up."""
    before, now = -1, 0
    while now == 0 or now != before:
        threading.Event().wait(0.2)
        before, now = now, int.from_bytes(fcntl.ioctl(connection, termios.FIONREAD, bytes(4)), sys.byteorder)


def _resident(pid: int) -> int:
    """Resident memory of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def _plant_sparse_blob(server: Server, size: int) -> str:
    """Push a small blob, and let its file and its rows say that it has `size` bytes: all zeros."""
    import sqlite3  # noqa: PLC0415  used here only

    location, auth = _upload(server, "apps/big")
    digest = "sha256:" + hashlib.sha256(b"x").hexdigest()
    assert server.ask("PUT", f"{location}?digest={digest}", body=b"x", auth=auth)[0] == 201
    encoded = digest.removeprefix("sha256:")
    (file,) = server.data.glob(f"blobs/sha256/**/{encoded}")
    file.chmod(0o600)
    os.truncate(file, size)
    with sqlite3.connect(server.data / "catalog.sqlite3") as catalog:
        catalog.execute("UPDATE blob SET size = ? WHERE digest = ?", (size, digest))
    catalog.close()
    return digest


def test_a_second_signal_ends_it_at_once(server: Server) -> None:
    location, auth = _upload(server, "apps/web")
    connection = server.connect()
    connection.putrequest("PATCH", location)
    connection.putheader("Authorization", auth)
    connection.putheader("Content-Length", "10")
    connection.endheaders()
    connection.send(b"x")
    server.process.send_signal(signal.SIGINT)
    _wait_until(lambda: _refuses(server))
    began = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - began < 3
    connection.close()


# ------------------------------------------------------------------ dying


def test_workers_die_with_a_parent_that_is_killed_and_the_directory_is_free_again(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        workers = server.workers
        assert len(workers) == 2
        server.process.kill()
        server.process.wait()
        _wait_until(lambda: all(_gone(pid) for pid in workers))
    with serving(tmp_path) as again:
        assert again.ask("GET", "/readyz")[0] == 200


def test_a_worker_that_dies_is_replaced(server: Server) -> None:
    (before,) = server.workers
    os.kill(before, signal.SIGKILL)
    _wait_until(lambda: server.workers not in ([], [before]))
    assert server.ask("GET", "/readyz")[0] == 200
    server.wait_for("ended unasked")


def test_what_was_answered_with_201_is_there_after_a_kill(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        auth = basic("admin", server.password)
        config = b"{}"
        digest = "sha256:" + hashlib.sha256(config).hexdigest()
        location, _ = _upload(server, "apps/web")
        assert server.ask("PUT", f"{location}?digest={digest}", body=config, auth=auth)[0] == 201
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": kind,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": digest,
                    "size": 2,
                },
                "layers": [],
            }
        ).encode()
        put = server.ask(
            "PUT", "/v2/apps/web/manifests/v1", headers={"content-type": kind}, body=manifest, auth=auth
        )
        assert put[0] == 201
        for pid in (server.process.pid, *server.workers):
            os.kill(pid, signal.SIGKILL)
        server.process.wait()
    with serving(tmp_path) as again:
        status, _, body = again.ask("GET", "/v2/apps/web/manifests/v1", auth=auth)
        assert (status, body) == (200, manifest)


# ------------------------------------------------------------------ certificates


def _write_certificate(directory: Path, authority: trustme.CA) -> int:
    """Put a new certificate where the server's is, as a renewal does, and return its serial number."""
    issued = authority.issue_cert("127.0.0.1")
    for name, blob in (("tls.key", issued.private_key_pem), ("tls.crt", issued.cert_chain_pems[0])):
        fresh = directory / f"{name}.new"
        blob.write_to_path(str(fresh))
        fresh.replace(directory / name)
    return _serial(issued.cert_chain_pems[0].bytes())


def _serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def _shown(server: Server) -> int:
    """The serial number of the certificate that a new connection is shown."""
    return _serial(ssl.get_server_certificate((server.host, server.port)).encode())


@pytest.mark.parametrize(
    "hup", [pytest.param(True, id="SIGHUP"), pytest.param(False, id="the file has changed")]
)
def test_a_renewed_certificate_is_taken_up_and_no_connection_is_lost(tmp_path: Path, hup: bool) -> None:
    authority = trustme.CA()
    first = _write_certificate(tmp_path, authority)
    files = ("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    with serving(tmp_path, *files) as server:
        assert server.scheme == "https"
        assert _shown(server) == first
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        held = server.connect(context=trusting)
        held.request("GET", "/v2/")
        with held.getresponse() as answer:
            answer.read()
            assert f'realm="https://127.0.0.1:{server.port}/token"' in str(answer.headers["www-authenticate"])
        second = _write_certificate(tmp_path, authority)
        if hup:
            server.process.send_signal(signal.SIGHUP)
        _wait_until(lambda: _shown(server) == second)
        held.close()
        assert server.stop() == 0


def test_an_upload_in_flight_outlives_a_renewed_certificate(tmp_path: Path) -> None:
    """It goes on over the connection and in the worker that it began with, and is whole at the end."""
    authority = trustme.CA()
    _write_certificate(tmp_path, authority)
    files = ("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    part = os.urandom(1024 * 1024)
    digest = "sha256:" + hashlib.sha256(part * 4).hexdigest()
    with serving(tmp_path, *files) as server:
        old = server.workers
        upload = server.connect(context=trusting)
        upload.putrequest("POST", f"/v2/a/b/blobs/uploads/?digest={digest}")
        upload.putheader("authorization", basic("admin", server.password))
        upload.putheader("content-length", str(4 * len(part)))
        upload.endheaders()
        upload.send(part)
        second = _write_certificate(tmp_path, authority)
        _wait_until(lambda: _shown(server) == second)
        assert set(old) < set(server.workers)  # the old one has something to finish
        for _ in range(3):
            upload.send(part)
        with upload.getresponse() as answer:
            answer.read()
            assert answer.status == 201
        upload.close()
        _wait_until(lambda: not set(old) & set(server.workers))
        assert server.stop() == 0


def test_a_renewal_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    authority = trustme.CA()
    first = _write_certificate(tmp_path, authority)
    files = ("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    with serving(tmp_path, *files) as server:
        workers = server.workers
        (tmp_path / "tls.crt").write_text("no certificate")
        server.wait_for("warning: the certificate .* cannot be used")
        assert (_shown(server), server.workers) == (first, workers)


# ------------------------------------------------------------------ several workers


def test_what_is_taken_away_through_one_worker_is_gone_in_all(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "3") as server:
        admin = basic("admin", server.password)

        def manage(method: str, path: str, document: object) -> int:
            return server.ask(method, "/api/v1" + path, body=json.dumps(document).encode(), auth=admin)[0]

        assert manage("POST", "/accounts", {"name": "ashok", "password": "correct horse"}) == 201
        assert manage("POST", "/repositories", {"name": "apps/web"}) == 201
        assert manage("POST", "/grants", {"to": "ashok", "repository": "apps/*", "actions": ["pull"]}) == 201
        scope = "repository%3Aapps%2Fweb%3Apull"
        _, _, body = server.ask("GET", f"/token?scope={scope}", auth=basic("ashok", "correct horse"))
        token = "Bearer " + json.loads(body)["token"]
        # Many connections at once, so that each worker has some of them and has seen the token.
        connections = [server.connect() for _ in range(24)]

        def ask_all() -> set[int]:
            statuses = set()
            for connection in connections:
                connection.request("GET", "/v2/apps/web/tags/list", headers={"Authorization": token})
            for connection in connections:
                answer: HTTPResponse = connection.getresponse()
                answer.read()
                statuses.add(answer.status)
            return statuses

        assert ask_all() == {200}
        assert manage("PATCH", "/accounts/ashok", {"disabled": True}) == 200
        assert ask_all() == {401}
        for connection in connections:
            connection.close()
        assert server.stop() == 0


def test_every_worker_takes_connections(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server:
        connections = [server.connect() for _ in range(40)]
        for connection in connections:
            connection.request("GET", "/healthz")
        for connection in connections:
            connection.getresponse().read()
        held = [_sockets(pid) for pid in server.workers]
        for connection in connections:
            connection.close()
        assert min(held) > 0, held


def _sockets(pid: int) -> int:
    """How many connections a worker holds: its established sockets on the port."""
    count = 0
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = entry.readlink()
        except FileNotFoundError:
            continue
        if str(target).startswith("socket:["):
            inodes.add(str(target)[8:-1])
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        count += fields[3] == "01" and fields[9] in inodes
    return count


def test_workers_that_cannot_serve_end_the_server_without_a_traceback(tmp_path: Path) -> None:
    """What only the workers open is gone under a running server: they say so, and it gives up."""
    with serving(tmp_path) as server:
        (server.data / "catalog.sqlite3").rename(server.data / "gone")
        (server.data / "catalog.sqlite3").mkdir()
        for pid in server.workers:
            os.kill(pid, signal.SIGKILL)
        assert server.process.wait(PATIENCE_SECONDS) == 8
        server.wait_for("a worker cannot serve: ")
        server.wait_for("error: the workers end as soon as they start|error: a worker ended before")
        assert not any("Traceback" in line for line in server.said)
