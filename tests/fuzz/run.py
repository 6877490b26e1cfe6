"""Fuzzes one parser, guided by coverage: ``python -m tests.fuzz.run TARGET CORPUS [flags of libFuzzer]``.

CORPUS is a directory; inputs that reach something new are kept there. What
breaks a law is written to a file, whose name is printed, and ends it with a
status other than 0. ``python -m tests.fuzz.run --list`` prints the targets.
"""

import sys
from pathlib import Path

import atheris


def main() -> None:
    """Instrument the parsers while they are imported, plant the seeds, and go."""
    with atheris.instrument_imports(include=["sealift"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - it has to be imported in here
    if sys.argv[1:] == ["--list"]:
        print("\n".join(TARGETS))
        return
    target = TARGETS[sys.argv[1]]
    corpus = Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[3:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
