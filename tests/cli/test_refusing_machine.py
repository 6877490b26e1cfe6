"""What this machine refuses: rights, ports, disks, closed streams. The program runs as a user runs it."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.outcomes import Command, check_refused, files_in, largest, run_program
from tests.peers.images import SampleImage, sample_image
from tests.peers.programs import require_program, require_root
from tests.served import SEALIFT, Served, serving

pytestmark = pytest.mark.usefixtures("home")

OBEYING_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--")
"""Runs a program as root that has to obey the rights of files, as every other user does."""


# ------------------------------------------------------------------ the data directory


def test_a_port_in_use(server: Served, tmp_path: Path) -> None:
    outcome = run_program("serve", "--listen", server.address, "--data", f"{tmp_path}/data")
    check_refused(outcome, 8, server.address)
    assert set(files_in(tmp_path / "data")) <= {"lock"}


def test_a_data_directory_in_use(server: Served) -> None:
    before = {path for path in server.data.rglob("*") if path.name != "catalog.sqlite3-shm"}
    outcome = run_program("serve", "--listen", "127.0.0.1:0", "--data", str(server.data))
    check_refused(outcome, 8, f"process {server.process.pid}")
    assert {path for path in server.data.rglob("*") if path.name != "catalog.sqlite3-shm"} == before


def test_a_data_directory_of_a_newer_sealift(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "format").write_text("99\n")
    check_refused(run_program("serve", "--listen", "127.0.0.1:0", "--data", str(data)), 8, "format 99")
    assert set(files_in(data)) == {"format", "lock"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"this is no database, whatever its name says" * 100, id="no database"),
        pytest.param(b"SQLite format 3\0" + b"\xff" * 4080, id="a broken one"),
    ],
)
def test_a_catalog_that_is_none(content: bytes, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "catalog.sqlite3").write_bytes(content)
    outcome = run_program("serve", "--listen", "127.0.0.1:0", "--data", str(data))
    check_refused(outcome, 8, str(data / "catalog.sqlite3"))
    assert (data / "catalog.sqlite3").read_bytes() == content
    assert not (data / "admin-password").exists()


# ------------------------------------------------------------------ what the system refuses


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """Give a file or directory other rights for a while."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@pytest.fixture
def unprivileged() -> tuple[str, ...]:
    """What makes a program obey the rights of files, where root runs the tests."""
    if os.geteuid() != 0:
        return ()
    require_program("setpriv", package="util-linux")
    return OBEYING_RIGHTS


def test_a_data_directory_without_rights(unprivileged: tuple[str, ...], tmp_path: Path) -> None:
    data = tmp_path / "closed"
    data.mkdir()
    with mode(data, 0o500):
        for directory in (data, data / "below"):
            outcome = run_program(
                "serve", "--listen", "127.0.0.1:0", "--data", str(directory), wrapper=unprivileged
            )
            check_refused(outcome, 8, str(directory))
    assert not list(data.iterdir())


def test_a_directory_without_rights_for_a_pull(
    unprivileged: tuple[str, ...], logged_in: Served, sealift: Command, image: SampleImage, tmp_path: Path
) -> None:
    name = logged_in.image("admin/rights")
    assert sealift("push", f"oci:{image.layout}:v1", name).status == 0
    closed = tmp_path / "closed"
    closed.mkdir()
    with mode(closed, 0o500):
        for place in (
            f"oci:{closed}",
            f"oci:{closed}/x",
            f"oci-archive:{closed}/x",
            f"docker-archive:{closed}/x",
        ):
            check_refused(run_program("pull", name, place, wrapper=unprivileged), 8, str(closed))
    assert not list(closed.iterdir())


def test_files_that_may_not_be_read(
    unprivileged: tuple[str, ...], logged_in: Served, image: SampleImage, home: Path, tmp_path: Path
) -> None:
    login_file = home / ".docker" / "config.json"
    secret = tmp_path / "password"
    secret.write_text("hunter2")
    layer = largest(image.layout)
    tags = ("tags", logged_in.image("admin/x", ""))
    accounts = ("account", "list", "--server", logged_in.address)
    for path, arguments in (
        (login_file, tags),
        (login_file, ("logout", logged_in.address)),
        (secret, (*accounts, "--username", "admin", "--password-file", str(secret))),
        (secret, (*tags, "--ca-file", str(secret))),
        (secret, ("secret", "create", "x", f"--from-file=.dockerconfigjson={secret}")),
        (secret, ("serve", "--config", str(secret), "--data", f"{tmp_path}/data")),
        (layer, ("push", f"oci:{image.layout}:v1", logged_in.image("admin/unreadable"))),
    ):
        with mode(path, 0o000):
            check_refused(run_program(*arguments, wrapper=unprivileged), 8, str(path))


def test_a_login_file_that_may_not_be_written(
    unprivileged: tuple[str, ...], server: Served, home: Path
) -> None:
    (home / ".docker").mkdir()
    with mode(home / ".docker", 0o500):
        outcome = run_program(
            *("login", "-u", "admin", "--password-stdin", server.address),
            wrapper=unprivileged,
            stdin=server.admin_password.encode(),
        )
    check_refused(outcome, 8, str(home / ".docker" / "config.json"))
    assert files_in(home) == {}


# ------------------------------------------------------------------ a full disk

SmallDisk = Callable[..., tuple[str, ...]]


@pytest.fixture
def on_small_disk(tmp_path: Path) -> SmallDisk:
    """Makes the command line that runs a program while ``tmp_path/disk`` is a small file system."""
    require_root("mount a file system that is full")
    unshare = require_program("unshare")
    disk = tmp_path / "disk"
    disk.mkdir()

    def made(size: str, *, first: str = "true", last: str = "", read_only: bool = False) -> tuple[str, ...]:
        only = f"mount -o remount,ro {disk};" if read_only else ""
        mount = f"mount -t tmpfs -o size={size} tmpfs {disk}"
        run = f'"$@"; status=$?; {last}; exit $status' if last else 'exec "$@"'
        script = f"{mount}; {first}; {only} {run}"
        return (unshare, "--mount", "--propagation", "private", "sh", "-c", script, "sh")

    return made


@pytest.mark.parametrize("read_only", [False, True], ids=["full", "read-only"])
@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_a_full_disk_under_a_pull(  # noqa: PLR0917  pytest passes by name
    kind: str,
    read_only: bool,
    on_small_disk: SmallDisk,
    logged_in: Served,
    sealift: Command,
    image: SampleImage,
    tmp_path: Path,
) -> None:
    name = logged_in.image("admin/full")
    assert sealift("push", f"oci:{image.layout}:v1", name).status == 0
    disk = tmp_path / "disk"
    wrapper = on_small_disk("1m", last=f"cp -r {disk} {tmp_path}/left", read_only=read_only)
    check_refused(run_program("pull", name, f"{kind}:{disk}/got", wrapper=wrapper), 7, str(disk))
    left = files_in(tmp_path / "left")
    assert not [path for path in left if path == "got" or path.endswith("index.json") or ".partial" in path]
    for path, content in left.items():
        if "/blobs/" in path:
            assert hashlib.sha256(content).hexdigest() == Path(path).name


@pytest.mark.parametrize("size", ["4k", "100k", "300k"])
def test_a_disk_that_is_full_before_the_server_starts(
    size: str, on_small_disk: SmallDisk, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    wrapper = on_small_disk(size, last=f"cp -r {disk} {tmp_path}/left")
    outcome = run_program("serve", "--listen", "127.0.0.1:0", "--data", f"{disk}/data", wrapper=wrapper)
    check_refused(outcome, 7, f"{disk}/data")
    assert "data/admin-password" not in files_in(tmp_path / "left")
    # What is left is the beginning of a data directory, and no obstacle once there is room.
    with serving(tmp_path / "left" / "data") as served:
        assert served.ask("GET", "/readyz").status == 200


def test_a_disk_that_is_full_when_the_server_starts_again(on_small_disk: SmallDisk, tmp_path: Path) -> None:
    data, log = tmp_path / "disk" / "data", tmp_path / "first.log"
    start = f"{' '.join(SEALIFT)} serve --listen 127.0.0.1:0 --data {data}"
    # A first server that comes up and is stopped; then not one free byte.
    wrapper = on_small_disk(
        "1m",
        first=(
            f"{start} 2> {log} & while ! grep -q ^serving {log}; do sleep 0.1; done; kill $!; wait $!;"
            f" cat /dev/zero > {data}/../fill 2> /dev/null"
        ),
    )
    outcome = run_program("serve", "--listen", "127.0.0.1:0", "--data", str(data), wrapper=wrapper)
    check_refused(outcome, 7, str(data))


def test_a_read_only_disk_under_the_server(on_small_disk: SmallDisk, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    wrapper = on_small_disk("1m", read_only=True)
    outcome = run_program("serve", "--listen", "127.0.0.1:0", "--data", f"{disk}/data", wrapper=wrapper)
    check_refused(outcome, 7, f"{disk}/data")


def test_a_disk_that_fills_up_under_the_server(
    on_small_disk: SmallDisk, sealift: Command, image: SampleImage, tmp_path: Path, home: Path
) -> None:
    disk = tmp_path / "disk"
    (disk / "data").mkdir(parents=True)
    wrapper = on_small_disk("2500k")
    small = sample_image(tmp_path / "small", size=1000)
    with serving_inside(disk / "data", wrapper) as (served, inside):
        password = (inside / "data" / "admin-password").read_bytes()
        login = ("login", "-u", "admin", "--password-stdin", served.address)
        assert sealift(*login, stdin=password).status == 0
        check_refused(sealift("push", f"oci:{image.layout}:v1", served.image("admin/a")), 7, served.address)
        assert not list((inside / "data" / "uploads").iterdir())
        assert sealift("push", f"oci:{small.layout}:v1", served.image("admin/b")).status == 0
        (inside / "data" / "reserve").unlink()  # as if deletes had used it up
        fill(inside / "fill")
        manage = ("repo", "create", "admin/c", "--server", served.address)
        check_refused(sealift(*manage), 7, served.address)
        check_refused(sealift("push", f"oci:{small.layout}:v1", served.image("admin/d")), 7, served.address)
        assert sealift("pull", served.image("admin/b"), f"oci:{tmp_path}/b").status == 0
        (inside / "fill").unlink()
        assert sealift("push", f"oci:{small.layout}:v1", served.image("admin/d")).status == 0
    assert "Traceback" not in served.log.read_text()


@contextmanager
def serving_inside(data: Path, wrapper: Sequence[str]) -> Iterator[tuple[Served, Path]]:
    """A server on a small disk, and that disk as seen from here."""
    with serving(data, wrapper=wrapper) as served:
        yield served, Path(f"/proc/{served.process.pid}/root{data.parent}")


def fill(path: Path) -> None:
    """Write until the disk is full, to the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


def test_a_full_disk_under_a_login(
    on_small_disk: SmallDisk, server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    monkeypatch.setenv("DOCKER_CONFIG", f"{disk}/docker")
    before = json.dumps({"auths": {}, "psFormat": "x"})
    wrapper = on_small_disk(
        "16k",
        first=(
            f"mkdir {disk}/docker; echo '{before}' > {disk}/docker/config.json;"
            f" cat /dev/zero > {disk}/fill 2> /dev/null"
        ),
        last=f"cp -r {disk}/docker {tmp_path}/left",
    )
    outcome = run_program(
        *("login", "-u", "admin", "--password-stdin", server.address),
        wrapper=wrapper,
        stdin=server.admin_password.encode(),
    )
    check_refused(outcome, 7, f"{disk}/docker/config.json")
    assert files_in(tmp_path / "left") == {"config.json": f"{before}\n".encode()}


# ------------------------------------------------------------------ where output goes

PRINTING = [
    pytest.param(("config", "show"), id="config show"),
    pytest.param(("config", "show", "-o", "json"), id="json"),
    pytest.param(("--help",), id="help"),
    pytest.param(("--version",), id="version"),
    pytest.param(("secret", "create", "x", "--docker-username=u", "--docker-password=p"), id="bytes"),
]


@pytest.mark.parametrize("arguments", PRINTING)
@pytest.mark.parametrize(
    ("redirection", "status"),
    [
        pytest.param("> /dev/full", 7, id="full"),
        pytest.param(">&-", 8, id="closed"),
    ],
)
def test_output_that_goes_nowhere(arguments: tuple[str, ...], redirection: str, status: int) -> None:
    outcome = run_program(*arguments, wrapper=("sh", "-c", f'"$@" {redirection}', "sh"))
    check_refused(outcome, status)


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_reader_that_has_seen_enough(arguments: tuple[str, ...]) -> None:
    script = '{ "$@"; echo "status $?" >&2; } | true'
    outcome = run_program(*arguments, wrapper=("sh", "-c", script, "sh"))
    assert outcome.err.splitlines()[-1] == "status 0"
    assert "error" not in outcome.err


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX", ""])
@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-"])
def test_an_error_that_nobody_can_read(redirection: str, locale: str) -> None:
    wrapper = (
        "env",
        "-u",
        "LANG",
        "-u",
        "LC_CTYPE",
        f"LC_ALL={locale}",
        "sh",
        "-c",
        f'"$@" {redirection}',
        "sh",
    )
    assert run_program("tags", "A B", wrapper=wrapper) == (2, b"", "")
