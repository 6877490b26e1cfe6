"""``--metrics-listen`` of a real server: several workers, workers that are replaced, and who may ask what."""

import json
import os
import signal
import socket
import subprocess
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families
from tests.registry.open_registry import basic
from tests.registry.server.serving import PATIENCE_SECONDS, Server, command, environment, serving

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _address(server: Server) -> tuple[str, int]:
    found = server.wait_for(r"metrics at http://(.*):(\d+)/metrics")
    return found[1].strip("[]"), int(found[2])


def _ask(server: Server, target: str = "/metrics", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(*_address(server), timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def _scrape(server: Server) -> Samples:
    status, headers, body = _ask(server)
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def _requests(samples: Samples, route: str, status: int) -> float:
    labels = {"route": route, "method": "GET", "status": str(status)}
    return samples.get(("sealift_requests_total", frozenset(labels.items())), 0.0)


def _one(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def _wait_for_workers(server: Server, wanted: int, without: set[int]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        workers = set(server.workers)
        if len(workers) == wanted and not workers & without:
            return
        time.sleep(0.05)
    raise AssertionError(f"{server.workers}, not {wanted} without {without}")


def test_counts_of_all_workers_add_up_and_outlive_a_worker(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", "--metrics-listen", "127.0.0.1:0") as server:
        for _ in range(40):  # a connection each: both workers get some
            assert server.ask("GET", "/healthz")[0] == 200
        assert _requests(_scrape(server), "healthz", 200) == 40
        for number in (signal.SIGKILL, signal.SIGHUP):
            before = set(server.workers)
            if number == signal.SIGKILL:
                for worker in before:
                    os.kill(worker, number)
            else:
                server.process.send_signal(number)
            _wait_for_workers(server, 2, before)
        for _ in range(10):
            assert server.ask("GET", "/healthz")[0] == 200
        samples = _scrape(server)
        assert _requests(samples, "healthz", 200) == 50
        assert _one(samples, "sealift_worker_starts_total") == 6
        assert _one(samples, "sealift_requests_in_flight") == 0


def test_what_is_stored_and_what_is_going_on(tmp_path: Path) -> None:
    with serving(tmp_path, "--metrics-listen", "127.0.0.1:0") as server:
        auth = basic("admin", server.password)
        assert server.ask("POST", "/v2/a/b/blobs/uploads/", auth=auth)[0] == 202
        assert server.ask("GET", "/token", auth=auth)[0] == 200
        assert server.ask("GET", "/token", auth=basic("admin", "wrong horse"))[0] == 401
        assert server.ask("GET", "/v2/secret/name/tags/list?canary=1", auth=auth)[0] == 404
        samples = _scrape(server)
        assert _one(samples, "sealift_uploads_open") == 1
        assert _one(samples, "sealift_repositories") == 1
        assert _one(samples, "sealift_blobs") == 0
        assert _one(samples, "sealift_tokens_total", outcome="issued") == 1
        assert _one(samples, "sealift_tokens_total", outcome="denied") == 1
        assert _one(samples, "sealift_password_checks_refused_total") == 0
        assert _one(samples, "sealift_data_free_bytes") > 0
        assert _one(samples, "sealift_ready", check="catalog") == 1
        assert abs(_one(samples, "process_start_time_seconds") - time.time()) < 300
        assert "sealift_certificate_expiry_timestamp_seconds" not in {name for name, _ in samples}
        written = _ask(server)[2].decode()
        assert not any(word in written for word in ("secret", "canary", "admin", "a/b"))


def test_it_is_a_listener_of_its_own_with_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path, "--metrics-listen", "127.0.0.1:0") as server:
        assert server.ask("GET", "/metrics")[0] == 404
        assert [_ask(server, target)[0] for target in ("/metrics?x=1", "/v2/", "/")] == [200, 404, 404]
        assert (_ask(server, method="POST")[0], _ask(server, method="HEAD")[2]) == (405, b"")
        for rubbish in (b"\r\n\r\n", b"GET /metrics\r\n\r\n", b"x" * 100_000, b"GET"):
            with socket.create_connection(_address(server), timeout=PATIENCE_SECONDS) as wire:
                try:
                    wire.sendall(rubbish)
                    wire.shutdown(socket.SHUT_WR)
                    assert not wire.recv(65536).startswith(b"HTTP/1.1 200")
                except OSError:
                    pass
        assert _ask(server)[0] == 200
        assert server.stop() == 0
    assert not any("Traceback" in line for line in server.said)


def test_when_the_certificate_ends_is_said(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    both = str(tmp_path / "both.pem")
    with serving(
        tmp_path, "--tls-cert", both, "--tls-key", both, "--metrics-listen", "127.0.0.1:0"
    ) as server:
        assert _one(_scrape(server), "sealift_certificate_expiry_timestamp_seconds") > time.time()


def test_without_it_there_are_none(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert not any("metrics at" in line for line in server.said)
        assert server.ask("GET", "/metrics")[0] == 404


def test_the_log_in_json_is_json_line_by_line_and_has_the_ids(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", "--log-format", "json", "--access-log") as server:
        seen = {}
        for number in range(30):
            status, headers, body = server.ask(
                "GET", f"/v2/canary-repo/tags/{number}", auth="Bearer canary-1"
            )
            seen[headers["x-request-id"]] = status
            assert json.loads(body)["requestId"] == headers["x-request-id"]
        assert server.stop() == 0
        server.wait_for("^$")
    lines = [json.loads(line) for line in server.said if line]
    assert {line["requestId"]: line["status"] for line in lines if line["kind"] == "access"} == seen
    assert {line["kind"] for line in lines} == {"log", "access"}
    assert not any("canary-1" in line for line in server.said)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_beyond_loopback_it_has_to_be_said_aloud(tmp_path: Path, address: str) -> None:
    refused = subprocess.run(
        command("config", "check", "--metrics-listen", address),
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert refused.returncode == 2
    assert "plain HTTP without a login" in refused.stderr
    with serving(tmp_path, "--metrics-listen", address, "--metrics-plain-http") as server:
        assert _address(server)[1] > 0
