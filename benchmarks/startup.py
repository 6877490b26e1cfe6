"""What ``sealift --version`` costs over ``python -c pass``: CPU seconds of the child, and wall time.

Usage: python benchmarks/startup.py [--runs N]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def cost(command: list[str]) -> tuple[float, float]:
    """CPU and wall milliseconds of one run."""
    before = os.times()
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = os.times()
    cpu = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return cpu * 1000, wall * 1000


def main() -> None:
    """Run both in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    runs = parser.parse_args().runs
    program = str(Path(sys.executable).parent / "sealift")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "sealift --version": [program, "--version"],
        "sealift --help": [program, "--help"],
        "sealift explain nginx": [program, "explain", "nginx"],
    }
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            figures[name].append(cost(command))
    bare = statistics.median(cpu for cpu, _ in figures["python -c pass"])
    print(f"{'command':24} {'CPU ms':>8} {'over bare':>10} {'wall ms':>8}   median of {runs}")
    for name, values in figures.items():
        cpu = statistics.median(value for value, _ in values)
        wall = statistics.median(value for _, value in values)
        print(f"{name:24} {cpu:8.0f} {cpu - bare:+10.0f} {wall:8.0f}")


if __name__ == "__main__":
    main()
