"""``sealift serve`` whose whole process group is killed at one step of its work on the disk.

    dying_server.py STEPS NUMBER serve …

Once the file STEPS is there, every step is noted in it, and before step NUMBER
is taken the group gets SIGKILL. A step is a call of the system's that changes a
file, or the beginning or end of a transaction. Python's own functions are
wrapped, before Sealift is imported: the server knows nothing of it, and has no
switch for it.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

RECORD = 32
"""Bytes of a line. Of one length, so that the size of the file is the number of steps."""

_open, _write, _fstat, _close = os.open, os.write, os.fstat, os.close


def main() -> None:
    steps, number = sys.argv[1], int(sys.argv[2])
    del sys.argv[1:3]

    def step(name: str) -> None:
        try:
            book = _open(steps, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # not yet
        _write(book, f"{name:{RECORD - 1}}\n".encode())
        reached = _fstat(book).st_size // RECORD
        _close(book)
        if reached == number:
            os.killpg(0, signal.SIGKILL)

    def wrap(name: str, said: str) -> None:
        real: Callable[..., Any] = getattr(os, name)

        def stepped(*arguments: Any, **named: Any) -> Any:
            step(said)
            return real(*arguments, **named)

        setattr(os, name, stepped)

    for name, said in {
        "pwritev": "write",
        "ftruncate": "truncate",
        "fsync": "sync",
        "rename": "rename",
        "unlink": "remove",
        "mkdir": "make directory",
    }.items():
        wrap(name, said)

    def stepped_open(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & os.O_EXCL:
            step("create")
        return _open(path, flags, *arguments, **named)

    os.open = stepped_open

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if sql not in {"BEGIN IMMEDIATE", "COMMIT"}:
                return super().execute(sql, *arguments)
            step("begin" if sql == "BEGIN IMMEDIATE" else "commit")
            cursor = super().execute(sql, *arguments)
            if sql == "COMMIT":
                step("committed")
            return cursor

    connect: Callable[..., Any] = sqlite3.connect
    sqlite3.connect = lambda *arguments, **named: connect(*arguments, factory=Connection, **named)

    from sealift.cli.main import main as serve  # noqa: PLC0415  what it uses is wrapped now

    serve()


if __name__ == "__main__":
    main()
