"""Numbers as Prometheus reads them.

Spec: Prometheus, "Exposition formats", text-based format 0.0.4.
"""

from collections.abc import Mapping
from typing import Final

from sealift.registry.board import Series
from sealift.registry.metrics import BUCKETS, METRICS, Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def write(numbers: Mapping[Series, float]) -> bytes:
    """Every metric of the table that has a number. A series of a metric that is not in it is left out."""
    by_metric: dict[str, list[tuple[Series, float]]] = {}
    for series, value in numbers.items():
        by_metric.setdefault(series.metric, []).append((series, value))
    lines: list[str] = []
    for metric in METRICS:
        found = by_metric.get(metric.name)
        if not found:
            continue
        lines += (
            f"# HELP {metric.name} {_escaped_help(metric.help)}",
            f"# TYPE {metric.name} {metric.kind}",
        )
        found.sort(key=lambda pair: (pair[0].labels, pair[0].part))
        if metric.kind == "histogram":
            lines += _histogram(metric, found)
        else:
            lines += [
                f"{metric.name}{_labels(metric, each.labels)} {_number(value)}" for each, value in found
            ]
    return ("\n".join(lines) + "\n").encode()


def _histogram(metric: Metric, found: list[tuple[Series, float]]) -> list[str]:
    """Buckets are counted each for itself, and written as sums of all up to each bound."""
    parts: dict[tuple[str, ...], dict[str, float]] = {}
    for series, value in found:
        parts.setdefault(series.labels, {})[series.part] = value
    lines = []
    for labels, numbers in parts.items():
        below = 0.0
        for place, bound in enumerate((*map(str, BUCKETS), "+Inf")):
            below += numbers.get(str(place), 0.0)
            lines.append(f"{metric.name}_bucket{_labels(metric, labels, le=bound)} {_number(below)}")
        lines += (
            f"{metric.name}_sum{_labels(metric, labels)} {_number(numbers.get('sum', 0.0))}",
            f"{metric.name}_count{_labels(metric, labels)} {_number(below)}",
        )
    return lines


def _labels(metric: Metric, values: tuple[str, ...], **more: str) -> str:
    pairs = [*zip(metric.labels, values, strict=True), *more.items()]
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}" if pairs else ""


def _number(value: float) -> str:
    whole = int(value)
    return str(whole) if whole == value else repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
