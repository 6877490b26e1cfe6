"""The real programs that tests run: where they are, where they come from, what to say without them.

`DEBIAN_PACKAGES` is the one list: ``scripts/run-tests`` installs it (``python
-m tests.peers.programs`` prints it as PROGRAM=PACKAGE), tests ask for a program
with `require_program`, and the report at the end of a run says how to get what
was missing. A test never looks for a program on its own.
"""

import os
import re
import shutil
import sys
from typing import NoReturn, Self

import pytest

DEBIAN_PACKAGES = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "podman": "podman",
    "buildah": "buildah",
    "busybox": "busybox-static",
    "skopeo": "skopeo",
    "catatonit": "catatonit",
    "docker-registry": "docker-registry",
    "htpasswd": "apache2-utils",
    "systemd-analyze": "systemd",
    "nginx": "nginx-light",
    "qemu-aarch64": "qemu-user",
    "strace": "strace",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""Program → Debian 12 package. kubectl is not here: it comes with requirements-dev.lock."""

SYSTEM_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian keeps daemons, and where an ordinary user's PATH does not look."""

INSTALL = "apt-get install --no-remove --no-install-recommends"


class MissingProgram(str):
    """The reason of a skip that a package would mend. The report at the end counts these.

    A string, because that is all of a skip that reaches the report from another
    process: `parse` finds the program and the package in it again.
    """

    __slots__ = ()

    _SHAPE = re.compile(r"(?P<program>\S+) is not installed: (?P<install>.+)$")

    @classmethod
    def of(cls, program: str, package: str) -> Self:
        """The sentence for a program that is not on this machine."""
        return cls(f"{program} is not installed: {INSTALL} {package}")

    @classmethod
    def parse(cls, reason: str) -> tuple[str, str] | None:
        """Program and package of a reason made by `of`, or None if it is another reason."""
        found = cls._SHAPE.search(reason)
        return (found["program"], found["install"].rsplit(" ", 1)[-1]) if found else None


def search_path() -> str:
    """PATH, and after it the directories of daemons."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_DIRECTORIES])


def find_program(program: str) -> str | None:
    """Where `program` is on this machine, the first on PATH first."""
    return shutil.which(program, path=search_path())


def on_ci() -> bool:
    """Whether a machine runs the tests, and nobody reads what it skipped."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def require_program(program: str, *, package: str | None = None) -> str:
    """The path of `program`; without it the test is skipped, or fails where a machine runs it.

    Raises:
        KeyError: The program is neither in `DEBIAN_PACKAGES` nor given a `package`.
    """
    path = find_program(program)
    if path is None:
        _missing(MissingProgram.of(program, package or DEBIAN_PACKAGES[program]))
    return path


def require_root(why: str) -> None:
    """Skip the test unless root runs it: `why` says what only root may do."""
    if os.geteuid() != 0:
        pytest.skip(f"only root may {why}: run the tests as root")


def _missing(reason: MissingProgram) -> NoReturn:
    if on_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def main() -> None:
    """Print PROGRAM=PACKAGE for ``scripts/apt-install``."""
    sys.stdout.write("".join(f"{program}={package}\n" for program, package in DEBIAN_PACKAGES.items()))


if __name__ == "__main__":
    main()
