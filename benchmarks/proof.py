"""What it costs that a blob is hashed the first time that it is sent.

Usage: python benchmarks/proof.py [--size MIB] [--runs N] [--directory DIR]

Prints three rows: a blob that was seen before, one that was touched since (so
that it counts as new), and one that is not in memory either.
"""

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path

from registry import PART, Target, children, pull_blob, push_blob, sealift

MIB = 1024 * 1024


def cpu_seconds(target: Target) -> float:
    """What the server's processes have used so far."""
    ticks = 0
    for pid in [target.process, *children(target.process)]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def let_go(path: Path) -> None:
    """Have none of a file in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256, metavar="MIB")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="Not used here.")
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    parts = [os.urandom(PART)] * options.size
    encoded = hashlib.sha256(b"".join(parts)).hexdigest()
    size = options.size * PART
    with tempfile.TemporaryDirectory(dir=options.directory) as directory, sealift(Path(directory)) as target:
        push_blob(target, parts, f"sha256:{encoded}")
        path = Path(directory) / "data" / "blobs" / "sha256" / encoded[:2] / encoded
        print(f"{'':24}{'MiB/s':>8}{'least':>8}{'most':>8}{'CPU s/GiB':>12}")
        for row in ("seen before, in memory", "first time, in memory", "first time, from disk"):
            rates, used = [], []
            for _ in range(options.runs):
                if row.startswith("first"):
                    os.utime(path)
                if row.endswith("disk"):
                    let_go(path)
                cpu, began = cpu_seconds(target), time.perf_counter()
                pull_blob(target, f"sha256:{encoded}", size)
                rates.append(size / MIB / (time.perf_counter() - began))
                used.append((cpu_seconds(target) - cpu) * 1024 * MIB / size)
            middle = statistics.median(rates)
            print(f"{row:24}{middle:8.0f}{min(rates):8.0f}{max(rates):8.0f}{statistics.median(used):12.2f}")


if __name__ == "__main__":
    main()
