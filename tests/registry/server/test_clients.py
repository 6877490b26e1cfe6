"""What clients may do to a running server, and what it does to the others: nothing that they would notice.

Memory is what the kernel says of the worker (``VmRSS``), over what it was before.
"""

import json
import os
import resource
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.peers.ground import await_that
from tests.registry_requests import Pusher, code_of, digest_of
from tests.served import Served, basic, serving

MIB = 1 << 20
MANY = 2_000


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    """Room in this process for as many connections as the tests open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY + 200:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 200), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "data") as made:
        yield made


def _resident(served: Served) -> int:
    """Bytes of memory that the first worker holds."""
    status = Path(f"/proc/{served.processes()[1]}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def _open_files(served: Served) -> int:
    """How many files the first worker has open."""
    return len(list(Path(f"/proc/{served.processes()[1]}/fd").iterdir()))


def _cpu_seconds(served: Served) -> float:
    """CPU time that the first worker has used."""
    fields = (
        Path(f"/proc/{served.processes()[1]}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    )
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _connections(served: Served, count: int, first: bytes) -> Iterator[list[socket.socket]]:
    """So many connections, each of which has sent `first`, or as much of it as the server took."""
    host, _, port = served.address.partition(":")
    with ExitStack() as opened:
        made = []
        for _ in range(count):
            each = opened.enter_context(socket.create_connection((host, int(port)), 30))
            each.setblocking(False)
            with suppress(BlockingIOError, ConnectionError):
                each.send(first)
            made.append(each)
        yield made


def _median_milliseconds(ask: Callable[[], int], *, wanted: int = 200) -> float:
    """How long others wait."""
    took = []
    for _ in range(15):
        began = time.perf_counter()
        assert ask() == wanted
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


_HEAD = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nA: "


@pytest.mark.parametrize(
    ("first", "most"),
    [
        pytest.param(b"", 60 * MIB, id="nothing is sent"),
        pytest.param(_HEAD, 120 * MIB, id="headers that do not end"),
        pytest.param(_HEAD + b"x" * 30_000, 300 * MIB, id="long headers that do not end"),
        pytest.param(_HEAD + b"x" * 190_000, 600 * MIB, id="as long as they are read"),
    ],
)
def test_two_thousand_connections_harm_nobody_and_leak_nothing(
    served: Served, first: bytes, most: int
) -> None:
    pusher = Pusher(served)
    content = os.urandom(100_000)
    assert pusher.push_blob(content).status == 201

    def ask() -> int:
        return pusher.ask("GET", f"blobs/{digest_of(content)}").status

    alone, before, files = _median_milliseconds(ask), _resident(served), _open_files(served)
    held = []
    for _ in range(3):
        with _connections(served, MANY, first):
            assert _median_milliseconds(ask) < max(20 * alone, 250)
            held.append(_resident(served) - before)
        assert await_that(lambda: _open_files(served) < files + 50)
    assert max(held) < most, held
    assert held[2] < held[1] + 64 * MIB, f"the same again, and it holds more: {held}"


def test_headers_that_take_too_long_end_their_connection(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "data", environment={"SEALIFT_HEADER_TIME": "1s"}) as served,
        _connections(served, 50, _HEAD) as slow,
    ):
        for each in slow:
            each.settimeout(20)
            answer = each.recv(1000)  # until the server ends it
            assert answer == b"" or b" 408 " in answer.partition(b"\r\n")[0]


def test_bodies_that_stall_or_drip_are_given_up_and_their_uploads_are_free_again(tmp_path: Path) -> None:
    patience = {"SEALIFT_STALLED_TIME": "2s", "SEALIFT_SLOW_AFTER": "1s", "SEALIFT_LEAST_RATE": "1000"}
    with serving(tmp_path / "data", environment=patience) as served, ThreadPoolExecutor(1) as threads:
        pusher = Pusher(served)
        auth = basic("admin", served.admin_password)
        uploads = [pusher.begin().headers["location"] for _ in range(40)]
        host, _, port = served.address.partition(":")
        slow = []
        for upload in uploads:
            each = socket.create_connection((host, int(port)), 30)
            each.sendall(
                f"PATCH {upload} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n"
                "Content-Length: 1000000\r\n\r\nx".encode()
            )
            slow.append(each)
        dripping = threads.submit(_drip, slow[:20])
        content = os.urandom(200_000)
        assert pusher.push_blob(content).status == 201
        for each in slow:
            each.settimeout(20)
            assert b" 408 " in each.recv(1000).partition(b"\r\n")[0]
            each.close()
        dripping.result()
        for upload in uploads:
            assert pusher.ask("PATCH", upload, b"more").status == 202


def _drip(connections: list[socket.socket]) -> None:
    """A byte now and then, as long as the server takes it."""
    deadline = time.monotonic() + 20
    while connections and time.monotonic() < deadline:
        time.sleep(0.3)  # slowness is what is tested
        for each in list(connections):
            try:
                each.send(b"x")
            except OSError:
                connections.remove(each)


# ------------------------------------------------------------------ what a request says of itself

TEN = b"x" * 10


def _exchange(served: Served, lines: bytes, body: bytes, *, close: bool = False) -> bytes:
    """Send a request byte by byte as it is given, and read until the server ends or says no more."""
    host, _, port = served.address.partition(":")
    auth = basic("admin", served.admin_password)
    head = (
        f"POST /v2/admin/lies/blobs/uploads/?digest={digest_of(TEN)} HTTP/1.1\r\n"
        f"Host: x\r\nAuthorization: {auth}\r\n"
    ).encode()
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(head + lines + b"\r\n" + body)
        if close:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(1.0)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionError):
            pass
    return answer


def _statuses(answer: bytes) -> list[int]:
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


CHUNKED = b"a\r\n" + TEN + b"\r\n0\r\n\r\n"
NEXT = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "body", "statuses"),
    [
        pytest.param(b"Content-Length: 100\r\n", TEN, [400], id="longer than the body"),
        pytest.param(b"Content-Length: 5\r\n", TEN, [400], id="shorter than the body"),
        pytest.param(b"Content-Length: 10\r\n", TEN + NEXT, [201, 200], id="right, and another request"),
        pytest.param(
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            CHUNKED + NEXT,
            [201],
            id="and chunks: they count, and the connection ends",
        ),
        pytest.param(
            b"Transfer-Encoding: chunked\r\nContent-Length: 300\r\n",
            CHUNKED + NEXT,
            [201],
            id="and chunks, the other way round",
        ),
        pytest.param(b"Content-Length: 10\r\nContent-Length: 5\r\n", TEN, [400], id="two that differ"),
        pytest.param(b"Content-Length: -1\r\n", TEN, [400], id="less than nothing"),
        pytest.param(b"Content-Length: +10\r\n", TEN, [400], id="a sign"),
        pytest.param(b"Content-Length: 99999999999999999999\r\n", TEN, [400], id="no number"),
        pytest.param(b"Content-Length: 4611686018427387904\r\n", TEN, [413], id="four exbibytes"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", CHUNKED, [400], id="an encoding that is none"),
        pytest.param(b"Transfer-Encoding: chunked\r\n", b"zz\r\n", [400], id="chunks without a length"),
        pytest.param(b"".join(b"A%d: b\r\n" % n for n in range(200)), b"", [431], id="two hundred headers"),
        pytest.param(b"A: " + b"x" * 40_000 + b"\r\n", b"", [431], id="a header of 40 kB"),
        pytest.param(b"A: " + b"x" * 400_000 + b"\r\n", b"", [431], id="a header of 400 kB"),
    ],
)
def test_lengths_that_lie_and_headers_that_swell(
    served: Served, lines: bytes, body: bytes, statuses: list[int]
) -> None:
    answer = _exchange(served, lines, body, close=statuses == [400])
    assert _statuses(answer) == statuses
    there = Pusher(served, "admin/lies").ask("GET", f"blobs/{digest_of(TEN)}").status
    assert there == (200 if statuses[0] == 201 else 404)
    assert not list((served.data / "uploads").iterdir())
    said = served.log.read_text()
    assert "Traceback" not in said
    assert "panicked" not in said


def test_many_large_manifests_that_come_slowly(served: Served) -> None:
    """Each is let in up to its last byte; the memory of all of them together is bounded."""
    auth = basic("admin", served.admin_password)
    head = (
        f"PUT /v2/admin/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n"
        "Content-Type: application/vnd.oci.image.manifest.v1+json\r\nContent-Length: 4000000\r\n\r\n"
    ).encode()
    before = _resident(served)
    host, _, port = served.address.partition(":")
    with ExitStack() as opened:
        for _ in range(40):
            each = opened.enter_context(socket.create_connection((host, int(port)), 30))
            each.sendall(head + b"[" * 3_900_000)
        assert served.ask("GET", "/healthz").status == 200
        assert _resident(served) - before < 200 * MIB
        pusher = Pusher(served)
        pusher.push_image("v2", b"layer")  # a small one is let in


# ------------------------------------------------------------------ row 11 of the security table


@pytest.mark.parametrize("n", ["1000000000", "99999999999999999999999", "-1", "ten", "0", ""])
def test_row_11_resource_exhaustion_a_page_of_any_size(served: Served, n: str) -> None:
    """CVE-2023-2253: ``n`` decides how much memory a listing takes."""
    pusher = Pusher(served)
    pusher.push_image("v1", b"layer")
    before = _resident(served)
    for path in (f"/v2/_catalog?n={n}", f"tags/list?n={n}"):
        reply = pusher.ask("GET", path)
        assert reply.status in {200, 400}
        assert len(reply.body) < 10_000
    assert _resident(served) - before < 8 * MIB


def test_row_11_resource_exhaustion_a_manifest_of_five_mebibytes(served: Served) -> None:
    """CVE-2017-11468: a manifest without a bound."""
    pusher, before = Pusher(served), _resident(served)
    for _ in range(5):
        refused = pusher.push_manifest("v1", b"{}", annotations={"a": "x" * (5 * MIB)})
        assert code_of(refused) == (413, "MANIFEST_INVALID")
    assert _resident(served) - before < 64 * MIB


_BOMBS = {
    "lists in lists that end": b'{"schemaVersion":2,"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "lists in lists without an end": b"[" * 4_000_000,
    "objects in objects": b'{"a":' * 800_000,
    "two million numbers": b'{"schemaVersion":2,"x":[' + b"1," * 2_000_000 + b"1]}",
    "a million empty lists": b'{"schemaVersion":2,"x":[' + b"[]," * 1_300_000 + b"[]]}",
    "a million empty objects": b'{"schemaVersion":2,"x":[' + b"{}," * 1_300_000 + b"{}]}",
    "four hundred thousand keys": b"{" + b",".join(b'"%x":1' % n for n in range(400_000)) + b"}",
    "a string that never ends": b'{"x":"' + b'\\"' * 2_000_000,
    "a number of three million digits": b'{"schemaVersion":' + b"1" * 3_000_000 + b"}",
}


@pytest.mark.parametrize("bomb", _BOMBS.values(), ids=_BOMBS)
def test_row_11_resource_exhaustion_json_that_swells(served: Served, bomb: bytes) -> None:
    pusher = Pusher(served)
    pusher.push_image("v1", b"layer")
    before, cpu = _resident(served), _cpu_seconds(served)
    for _ in range(3):
        refused = pusher.ask(
            "PUT",
            "manifests/v2",
            bomb,
            {"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
        )
        assert code_of(refused) == (400, "MANIFEST_INVALID")
    assert _cpu_seconds(served) - cpu < 3.0
    assert _resident(served) - before < 64 * MIB
    for path in ("/api/v1/accounts", "/api/v1/repositories", "/api/v1/grants"):
        assert pusher.ask("POST", path, bomb[:60_000]).status == 400
        assert pusher.ask("POST", path, bomb).status in {400, 413}
    assert pusher.ask("GET", "manifests/v1").status == 200


# ------------------------------------------------------------------ row 25


def test_row_25_passwords_that_differ_in_their_eightieth_byte_are_two(served: Served) -> None:
    """CVE-2024-9683: bcrypt looks at 72 bytes. The whole of a secret counts here, by every way in."""
    right = "p" * 79 + "A" + "s" * 20
    wrong = "p" * 79 + "B" + "s" * 20
    made = json.dumps({"name": "ashok", "password": right}).encode()
    assert Pusher(served).ask("POST", "/api/v1/accounts", made).status == 201
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for password, status in ((wrong, 401), (right, 200), (wrong, 401), (right[:72], 401), (right[:79], 401)):
        auth = {"Authorization": basic("ashok", password)}
        assert served.ask("GET", "/v2/", None, auth).status == status
        assert served.ask("GET", "/token", None, auth).status == status
        body = f"grant_type=password&username=ashok&password={password}".encode()
        assert served.ask("POST", "/token", body, form).status == status
        assert served.ask("GET", "/api/v1/whoami", None, auth).status == status


# ------------------------------------------------------------------ open files


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def short_of_files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A server whose processes may open a hundred and sixty files each."""
    with serving(
        tmp_path / "data", "--workers", str(request.param), wrapper=("prlimit", "--nofile=160:160", "--")
    ) as made:
        yield made


def test_beyond_its_open_files_clients_wait_and_nothing_spins_or_dies(short_of_files: Served) -> None:
    served = short_of_files
    before, pusher, content = served.processes(), Pusher(served), os.urandom(3 * MIB)
    kept = pusher.push_image("v1", content)
    assert "files may be open at a time" in served.log.read_text()
    upload = pusher.begin().headers["location"]
    host, _, port = served.address.partition(":")
    auth = basic("admin", served.admin_password)
    pushing = socket.create_connection((host, int(port)), 60)
    digest = digest_of(content[:MIB])
    pushing.sendall(
        f"PUT {upload}?digest={digest} HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n"
        f"Content-Length: {MIB}\r\n\r\n".encode()
    )
    pushing.sendall(content[: MIB // 2])
    with _connections(served, 600, b""):
        waiting = socket.create_connection((host, int(port)), 60)
        waiting.sendall(
            f"GET /v2/admin/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: {auth}\r\n\r\n".encode()
        )
        cpu, began = _cpu_seconds(served), time.monotonic()
        pushing.sendall(content[MIB // 2 : MIB])  # what is in flight goes on
        assert b" 201 " in pushing.recv(1000).partition(b"\r\n")[0]
        while time.monotonic() - began < 1.5:
            time.sleep(0.1)  # nobody asks for anything: nothing is to be done
        assert _cpu_seconds(served) - cpu < 0.5 * (time.monotonic() - began)
        for pid in served.processes()[1:]:
            assert len(list(Path(f"/proc/{pid}/fd").iterdir())) < 160
    pushing.close()
    waiting.settimeout(60)
    assert b" 200 " in waiting.recv(1000).partition(b"\r\n")[0]
    waiting.close()
    assert pusher.ask("GET", "manifests/v1").body == kept
    assert pusher.ask("GET", f"blobs/{digest_of(content)}").body == content
    assert served.processes() == before
    assert "Traceback" not in served.log.read_text()


def test_where_no_file_can_be_opened_a_request_is_told_to_come_back(served: Served) -> None:
    """The limit falls under a running worker, as when other programs use up the system's files."""
    before, pusher, content = served.processes(), Pusher(served), os.urandom(MIB)
    pusher.push_image("v1", content)
    upload = pusher.begin().headers["location"]
    (worker,) = before[1:]
    limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    connection = _kept_open(served)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (_lowest_free_file(worker), limits[1]))
    try:
        for method, path, body in (
            ("GET", f"/v2/admin/app/blobs/{digest_of(content)}", None),
            ("PATCH", upload, b"more"),
            ("POST", "/v2/admin/app/blobs/uploads/", b""),
        ):
            connection.request(method, path, body, served.as_admin())
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["errors"][0]["code"]) == (503, "UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
        connection.request("GET", "/v2/admin/app/manifests/v1", None, served.as_admin())
        answer = connection.getresponse()
        assert (answer.status, len(answer.read())) == (200, int(answer.headers["content-length"]))
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
        connection.close()
    assert pusher.ask("GET", f"blobs/{digest_of(content)}").body == content
    assert pusher.ask("PATCH", upload, b"more").status == 202
    assert served.processes() == before


def _lowest_free_file(pid: int) -> int:
    """The number that the next file of a process would get, once it has closed what it is closing."""
    before, now = set[int](), {-1}
    while before != now:
        time.sleep(0.3)  # connections of before are ended by another thread of it, with no event
        before, now = now, {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in range(len(now) + 1) if number not in now)


def _kept_open(served: Served) -> HTTPConnection:
    """A connection that the server has accepted, so that it needs no file more."""
    connection = HTTPConnection(served.address, timeout=30)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    return connection
