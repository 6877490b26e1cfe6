"""Login files: where they lie, what they have for a registry, and how a login gets into one.

The files are those that docker and podman keep. They are asked in this order,
and the first that has something wins:

1. the environment variable ``DOCKER_AUTH_CONFIG``, which holds a document itself
2. ``$DOCKER_CONFIG/config.json``, or ``~/.docker/config.json`` where that is not set
3. ``$REGISTRY_AUTH_FILE``; where it is set, none of podman's own places
4. ``$XDG_RUNTIME_DIR/containers/auth.json``, else ``/run/containers/UID/auth.json``
5. ``$XDG_CONFIG_HOME/containers/auth.json``, else ``~/.config/containers/auth.json``

A file that is absent has nothing. One that cannot be read is an error, and so
is a helper that fails: neither is a reason to look further. The one exception is
``/run/containers/UID``, which nobody named: root's podman makes ``/run/containers``
for root alone, and what this user cannot reach is not this user's. `login` writes
the second.

Spec: R-CFG-1, R-CFG-6 to R-CFG-12; R-POD-2, R-POD-4, R-POD-5; R-HLP-1.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.credentials.helper import TOKEN_USERNAME, CredentialHelper, HelperEntry, HelperFailed
from sealift.credentials.login_document import Dialect, LoginDocument, LoginEntry
from sealift.errors import SealiftError
from sealift.image import docker_hub

MAX_FILE = 8 * 1024 * 1024
"""Bytes of a login file. Real ones have some kilobytes."""


class UnreadableLoginFile(SealiftError):
    """A login file is there, and this user may not read or write it."""

    exit_status: ClassVar[int] = 8


class LoginFileNotKept(UnreadableLoginFile):
    """The disk under a login file is full or read-only. The file is as it was."""

    exit_status: ClassVar[int] = 7


@dataclass(frozen=True, slots=True)
class LoginFile:
    """One place where logins are kept."""

    path: Path
    dialect: Dialect
    guessed: bool = False
    """Whether no variable of the user's led to it: out of reach is then as good as absent."""


def files_in(environment: Mapping[str, str]) -> tuple[LoginFile, ...]:
    """The files that are asked, in order. Whether they are there is another question."""
    home = Path(environment.get("HOME") or Path.home())
    files = [docker_file(environment)]
    if explicit := environment.get("REGISTRY_AUTH_FILE"):
        return (*files, LoginFile(Path(explicit), "containers"))
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        files.append(LoginFile(Path(runtime) / "containers" / "auth.json", "containers"))
    else:
        guess = Path(f"/run/containers/{os.getuid()}/auth.json")
        files.append(LoginFile(guess, "containers", guessed=True))
    configuration = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return (*files, LoginFile(configuration / "containers" / "auth.json", "containers"))


def docker_file(environment: Mapping[str, str]) -> LoginFile:
    """The file that docker reads and that `login` writes (R-CFG-1)."""
    home = Path(environment.get("HOME") or Path.home())
    directory = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    return LoginFile(directory / "config.json", "docker")


# ------------------------------------------------------------------- reading


def read_document(file: LoginFile) -> LoginDocument | None:
    """What a file says; None where there is no such file.

    Raises:
        UnreadableLoginFile: it is there and may not be read.
        MalformedLoginFile: it is no login file.
    """
    try:
        with file.path.open("rb") as opened:
            data = opened.read(MAX_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if file.guessed and not _can_be_reached(file.path):
            return None
        raise UnreadableLoginFile(
            f"the login file {file.path} cannot be read",
            why=error.strerror or type(error).__name__,
            hint=f"ls -l {file.path}",
        ) from error
    return LoginDocument.parse(data, str(file.path), file.dialect)


def _can_be_reached(path: Path) -> bool:
    """Whether this user may ask if there is such a file."""
    try:
        path.lstat()
    except PermissionError:
        return False
    return True


def server_key(registry: str) -> str:
    """What docker looks for when it wants the login of a registry (R-CFG-7)."""
    return (
        docker_hub.CREDENTIAL_KEY if registry in {docker_hub.DOMAIN, docker_hub.LEGACY_DOMAIN} else registry
    )


def login_key(server: str) -> str:
    """The key under which a login for `server`, as the user wrote it, is filed (R-CFG-10)."""
    if server in {"", docker_hub.DOMAIN, docker_hub.CREDENTIAL_KEY}:
        return docker_hub.CREDENTIAL_KEY
    return hostname(server)


def hostname(key: str) -> str:
    """A key as a host: the host of a URL, else what stands before the first slash (R-CFG-8)."""
    _, separator, rest = key.partition("://")
    return (rest if separator else key).partition("/")[0].rpartition("@")[2]


def find_docker(document: LoginDocument, registry: str) -> tuple[str, LoginEntry] | None:
    """The entry that docker would take: the exact key, else the first of that host (R-CFG-8)."""
    wanted = server_key(registry)
    if wanted in document.entries:
        return wanted, document.entries[wanted]
    return next(((key, each) for key, each in document.entries.items() if hostname(key) == wanted), None)


def find_containers(document: LoginDocument, registry: str, path: str) -> tuple[str, LoginEntry] | None:
    """The entry that podman would take: the longest prefix of whole segments, else by host (R-POD-4)."""
    name = f"{registry}/{path}" if path else registry
    while name:
        if name in document.entries:
            return name, document.entries[name]
        name = name.rpartition("/")[0]
    wanted = _normalised(registry)
    return next(((key, each) for key, each in document.entries.items() if _normalised(key) == wanted), None)


def _normalised(key: str) -> str:
    host = hostname(key) if "://" in key else key
    return docker_hub.LEGACY_DOMAIN if host in {docker_hub.DOMAIN, docker_hub.DIAL_HOST} else host


class LoginKeyring:
    """Credentials out of the login files and helpers of whoever's environment this is.

    One credential at most for a registry, as docker and podman have it
    (R-POD-5). Files are read each time: a login that happens meanwhile counts.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)

    async def credentials_for(self, registry: str, path: str = "") -> Sequence[Credential]:
        """What the first place that has something has; nothing where none has.

        Raises:
            MalformedLoginFile, UnreadableLoginFile: a file on the way is there and cannot be used.
            HelperFailed: a file names a helper, and that cannot be used.
        """
        inline = self._environment.get("DOCKER_AUTH_CONFIG", "")
        if inline.strip():
            document = LoginDocument.parse(
                inline.encode("utf-8", "surrogateescape"), "DOCKER_AUTH_CONFIG", "docker"
            )
            found = await self._in_document(document, "docker", "DOCKER_AUTH_CONFIG", registry, path)
            if found is not None:
                return (found,)
        for file in files_in(self._environment):
            read = await asyncio.to_thread(read_document, file)
            if read is not None:
                found = await self._in_document(read, file.dialect, str(file.path), registry, path)
                if found is not None:
                    return (found,)
        return ()

    async def _in_document(
        self, document: LoginDocument, dialect: Dialect, where: str, registry: str, path: str
    ) -> Credential | None:
        if dialect == "docker":
            key = server_key(registry)
            name = document.helpers.get(key) or document.store
            found = find_docker(document, registry)
        else:
            key = registry
            name = document.helpers.get(registry, "")
            found = find_containers(document, registry, path)
        if name:
            return await self._from_helper(name, key)
        if found is None or found[1].is_empty:
            return None
        return _credential(found[0], found[1], Source(kind="LoginFile", name=where))

    async def _from_helper(self, name: str, key: str) -> Credential | None:
        entry = await CredentialHelper(name, self._environment).get(key)
        if entry is None:
            return None
        source = Source(kind="CredentialHelper", name=name)
        if entry.is_identity_token:
            return Credential(
                username="", password=SecretText(""), source=source, key=key, identity_token=entry.secret
            )
        return Credential(username=entry.username, password=entry.secret, source=source, key=key)


def _credential(key: str, entry: LoginEntry, source: Source) -> Credential:
    return Credential(
        username=entry.username,
        password=entry.password,
        source=source,
        key=key,
        identity_token=entry.identity_token,
    )


# ------------------------------------------------------------------- writing


async def store_login(
    environment: Mapping[str, str],
    server: str,
    username: str,
    password: SecretText,
    *,
    identity_token: SecretText | None = None,
) -> Source:
    """Keep a login where docker would: with the helper that its file names, else in the file.

    An identity token takes the place of the password (R-CFG-11).

    Returns:
        Where it is now.

    Raises:
        HelperFailed: the helper did not take it; nothing was written.
        UnreadableLoginFile, MalformedLoginFile: the file cannot be read or written.
    """
    file, key = docker_file(environment), login_key(server)
    document = await asyncio.to_thread(read_document, file) or LoginDocument()
    helper = document.helpers.get(key) or document.store
    if helper:
        kept = HelperEntry(username=username, secret=password)
        if identity_token is not None:
            kept = HelperEntry(username=TOKEN_USERNAME, secret=identity_token)
        await CredentialHelper(helper, environment).store(key, kept)
        # Only the mark that there is a login; what the file held for this key before is no longer true.
        await asyncio.to_thread(_change, file, lambda now: now.with_entry(key, LoginEntry()))
        return Source(kind="CredentialHelper", name=helper)
    entry = LoginEntry(
        username=username,
        password=SecretText("") if identity_token is not None else password,
        identity_token=identity_token,
    )
    await asyncio.to_thread(_change, file, lambda now: now.with_entry(key, entry))
    return Source(kind="LoginFile", name=str(file.path))


async def erase_login(environment: Mapping[str, str], server: str) -> bool:
    """Forget a login under the four spellings that docker tries (R-CFG-12).

    Returns:
        Whether there was one.

    Raises:
        HelperFailed: the helper failed for every spelling.
        UnreadableLoginFile, MalformedLoginFile: the file cannot be read or written.
    """
    file = docker_file(environment)
    document = await asyncio.to_thread(read_document, file)
    if document is None:
        return False
    keys = spellings(server)
    failures: list[HelperFailed] = []
    held = any(key in document.entries for key in keys)
    for key in keys:
        helper = document.helpers.get(key) or document.store
        if helper:
            try:
                await CredentialHelper(helper, environment).erase(key)
            except HelperFailed as failure:
                failures.append(failure)
    if len(failures) == len(keys):
        raise failures[0]
    if held:
        await asyncio.to_thread(_change, file, lambda now: now.without(keys))
    return held


def spellings(server: str) -> tuple[str, ...]:
    """The keys that a logout from `server` removes, each once.

    Docker Hub goes by its key alone for whoever names it as docker does; we also take it away for
    ``docker.io``, where docker leaves it behind.
    """
    host = hostname(server)
    keys = [server, host, f"http://{host}", f"https://{host}"]
    if server in {"", docker_hub.DOMAIN}:
        keys.append(docker_hub.CREDENTIAL_KEY)
    return tuple(dict.fromkeys(key for key in keys if hostname(key)))


def _change(file: LoginFile, change: Callable[[LoginDocument], LoginDocument]) -> None:
    """Read the file, change it, and put it back whole: other logins may happen at the same time."""
    directory = file.path.parent
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(directory):
            document = read_document(file) or LoginDocument()
            _replace(file.path, change(document).write())
    except OSError as error:
        refused_by_disk = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
        kind = LoginFileNotKept if refused_by_disk else UnreadableLoginFile
        raise kind(
            f"the login file {file.path} cannot be written",
            why=error.strerror or type(error).__name__,
            hint=f"df -h {directory}" if refused_by_disk else f"ls -ld {directory} {file.path}",
        ) from error


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory, so that two logins of ours do not overwrite each other. docker takes no lock."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, data: bytes) -> None:
    """Give the file its new content in one step. A symbolic link stays one, and its target is replaced."""
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o777
    except FileNotFoundError:
        mode = 0o600
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
