"""What metrics and the access log cost a manifest GET: rate, and CPU time of the server for each request.

Usage: python benchmarks/watching.py [--seconds N] [--runs N] [--before PYTHON]

``--before`` is the interpreter of another checkout's environment, measured as it is and shown first.
Needs ``wrk`` on PATH. The servers are up together and asked in turns, so that all of them meet the same
machine; the CPU time is the steadier of the two figures where others work on it too.
"""

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from registry import (
    Target,
    children,
    free_port,
    manifest_rate,
    push_blob,
    push_manifest,
    running,
    wait_until_up,
)

LAYER = b"a layer"
LAYER_DIGEST = "sha256:" + hashlib.sha256(LAYER).hexdigest()


def serve(stack: ExitStack, name: str, directory: Path, python: str, *options: str) -> Target:
    """A server with one worker and an image in it."""
    port, data = free_port(), directory / name.replace(" ", "-")
    command = [python, "-m", "sealift", "serve", "--listen", f"127.0.0.1:{port}", "--data", str(data)]
    process = stack.enter_context(running([*command, *options]))
    wait_until_up(port, "/readyz")
    target = Target(name, port, process, user="admin", password=(data / "admin-password").read_text().strip())
    push_blob(target, [LAYER], LAYER_DIGEST)
    push_manifest(target, LAYER_DIGEST, len(LAYER))
    return target


def processor_seconds(target: Target) -> float:
    """CPU time of all of its processes so far."""
    total = 0
    for pid in [target.process, *children(target.process)]:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure all of them and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--before", default="")
    given = parser.parse_args()
    metrics = f"127.0.0.1:{free_port()}"
    metrics_too = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        directory = Path(place)
        here = sys.executable
        targets = [
            *([serve(stack, "before", directory, given.before)] if given.before else []),
            serve(stack, "nothing", directory, here),
            serve(stack, "metrics", directory, here, "--metrics-listen", metrics),
            serve(
                *(stack, "metrics and access log in JSON", directory, here),
                *("--metrics-listen", metrics_too, "--access-log", "json"),
            ),
        ]
        for run in range(given.runs + 1):
            for target in targets:
                before = processor_seconds(target)
                rate = manifest_rate(target, given.seconds)
                used = processor_seconds(target) - before
                if run:  # the first warms up
                    target.note("rate", rate)
                    target.note("cost", used / (rate * given.seconds) * 1e6)
        first = statistics.median(targets[0].figures["cost"])
        print(f"manifest GET, {given.runs} runs of {given.seconds} s, medians [least, greatest]\n")
        print("| watched by | GET/s | CPU µs a request | more than the first |")
        print("|---|---|---|---|")
        for target in targets:
            rates, costs = target.figures["rate"], target.figures["cost"]
            cost = statistics.median(costs)
            print(
                f"| {target.name} | {statistics.median(rates):,.0f} [{min(rates):,.0f}, {max(rates):,.0f}] "
                f"| {cost:.1f} [{min(costs):.1f}, {max(costs):.1f}] | {(cost / first - 1) * 100:+.1f} % |"
            )


if __name__ == "__main__":
    main()
