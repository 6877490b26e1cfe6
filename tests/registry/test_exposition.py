"""What Prometheus reads, held against its own parser."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sealift.registry.board import Board, Series
from sealift.registry.counters import Alarms, Counters, RequestCounters
from sealift.registry.exposition import write
from sealift.registry.metrics import BUCKETS, COLLECTED, METRICS


def _samples(board: Board) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = write(board.total()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _request(counters: RequestCounters, route: str, status: int, seconds: float, method: str = "GET") -> None:
    counters.begin()
    counters.end(route, method, status, seconds, 10, 100, status == 408)


def test_requests_are_counted_by_route_method_and_status() -> None:
    board = Board(2)
    for number in range(2):
        counters = RequestCounters(board.slot(number))
        _request(counters, "get_manifest", 200, 0.0003)
        _request(counters, "get_manifest", 404, 0.003)
        _request(counters, "token", 401, 0.06)
        _request(counters, "send_chunk", 408, 700.0, "PATCH")
        for method in ("BREW", "WHEN", 'x"\n'):
            _request(counters, "none", 405, 0.001, method)
        counters.begin()
    samples = _samples(board)

    def requests(route: str, method: str, status: str) -> float:
        labels = (("method", method), ("route", route), ("status", status))
        return samples["sealift_requests_total", labels]

    assert requests("get_manifest", "GET", "200") == 2
    assert requests("get_manifest", "GET", "404") == 2
    assert requests("none", "other", "405") == 6
    assert samples["sealift_requests_in_flight", ()] == 2
    assert samples["sealift_received_bytes_total", ()] == 140
    assert samples["sealift_sent_bytes_total", ()] == 1400
    assert samples["sealift_requests_given_up_total", ()] == 2
    assert samples["sealift_tokens_total", (("outcome", "denied"),)] == 2


def test_a_histogram_is_cumulative_and_ends_in_all() -> None:
    board = Board(1)
    counters = RequestCounters(board.slot(0))
    for seconds in (0.0005, 0.0006, 0.7, 5000.0):
        _request(counters, "get_blob", 200, seconds)
    samples = _samples(board)

    def bucket(bound: str) -> float:
        return samples["sealift_request_duration_seconds_bucket", (("le", bound), ("route", "get_blob"))]

    assert [bucket(str(bound)) for bound in BUCKETS] == [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    assert bucket("+Inf") == samples["sealift_request_duration_seconds_count", (("route", "get_blob"),)] == 4
    total = samples["sealift_request_duration_seconds_sum", (("route", "get_blob"),)]
    assert total == pytest.approx(5000.7011)


def test_counters_and_alarms_of_the_other_parts(caplog: pytest.LogCaptureFixture) -> None:
    board = Board(1)
    counters = Counters(board.slot(0))
    counters.add(COLLECTED, "blob", amount=3)
    alarms = Alarms(counters)
    alarms.sound("blob", "%s is gone", "sha256:x")
    samples = _samples(board)
    assert samples["sealift_collected_total", (("kind", "blob"),)] == 3
    assert samples["sealift_alarms_total", (("kind", "blob"),)] == 1
    assert samples["sealift_alarms_total", (("kind", "audit"),)] == 0  # there before it happens
    assert "ALARM: sha256:x is gone" in caplog.text


def test_labels_are_escaped_and_every_metric_of_the_table_can_be_written() -> None:
    numbers = {
        Series(
            metric.name, tuple('a"\\\nb' for _ in metric.labels), "0" if metric.kind == "histogram" else ""
        ): 1.5
        for metric in METRICS
    }
    families = list(text_string_to_metric_families(write(numbers).decode()))
    assert len(families) == len(METRICS)
    for family, metric in zip(families, METRICS, strict=True):
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert all(family.samples[0].labels[label] == 'a"\\\nb' for label in metric.labels)
