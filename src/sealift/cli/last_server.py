"""The Sealift server that was last logged in to: where management commands go when nobody says where.

One line in ``$XDG_CONFIG_HOME/sealift/server``. `login` writes it only for a
server that says that it is Sealift, so that no management password ever goes
to another registry because it was the last one.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

DEFAULT_SERVER = "127.0.0.1:5000"
_MAX = 300
"""Bytes of the file. A host has 253 at most."""


def _file(environment: Mapping[str, str]) -> Path:
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "sealift" / "server"


def last_server(environment: Mapping[str, str]) -> str | None:
    """The server that was noted, as ``host`` or ``host:port``; None where none was, or it cannot be read."""
    try:
        with _file(environment).open("rb") as file:
            text = file.read(_MAX).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text or None


def server_from(environment: Mapping[str, str], given: str | None = None) -> str:
    """Which server a management command speaks to: the flag, the environment, the last login, the default."""
    return given or environment.get("SEALIFT_SERVER") or last_server(environment) or DEFAULT_SERVER


def note_server(environment: Mapping[str, str], server: str) -> None:
    """Note a server for `last_server`.

    Raises:
        OSError: it cannot be written.
    """
    path = _file(environment)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".server-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{server}\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def forget_server(environment: Mapping[str, str], server: str) -> None:
    """Take a server back, if it is the one that is noted."""
    if last_server(environment) == server:
        _file(environment).unlink(missing_ok=True)
