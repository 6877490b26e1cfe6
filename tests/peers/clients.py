"""The programs that people push and pull with, each behind the same five verbs.

A client is a program with a credential file of its own. Nothing is faked: each
verb is the command line that a user would type, and what comes back is its
status and what it printed.
"""

import base64
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Protocol

from tests.peers.containers_tools import containers_environment
from tests.peers.daemons import start_dockerd
from tests.peers.ground import Enclosure, Ground, Outcome
from tests.peers.images import SampleImage
from tests.peers.programs import find_program, require_program
from tests.peers.registries import PASSWORD, USERNAME, Registry

DEBIANS_DOCKER = "/usr/bin/docker"
"""Where Debian's package puts it. Another may stand before it on PATH."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a client has after a pull, by the digests it names it with."""

    manifest: str
    config: str


class Client(Protocol):
    """One program that talks to registries."""

    @property
    def name(self) -> str:
        """What a test calls it."""

    @property
    def credentials(self) -> Path:
        """Its credential file, in the shape of docker's ``config.json``."""

    def log_in(self, registry: Registry, username: str = USERNAME, password: str = PASSWORD) -> Outcome:
        """Log in, with the password on standard input."""

    def log_out(self, registry: Registry) -> Outcome:
        """Log out."""

    def push(self, image: SampleImage, name: str) -> Outcome:
        """Push `image` as `name`."""

    def pull(self, name: str) -> Outcome:
        """Pull `name`, which is not there before."""

    def pulled(self, name: str) -> Pulled:
        """What the last pull of `name` brought."""


def write_login(client: Client, registry: Registry, username: str, password: str) -> None:
    """Put a credential into the client's file without asking the registry about it."""
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    client.credentials.parent.mkdir(parents=True, exist_ok=True)
    client.credentials.write_text(json.dumps({"auths": {registry.address: {"auth": encoded}}}))


def logins(client: Client) -> dict[str, str]:
    """What the client's file holds: server → ``username:password``."""
    if not client.credentials.exists():
        return {}
    entries = json.loads(client.credentials.read_text()).get("auths", {})
    return {server: base64.b64decode(entry["auth"]).decode() for server, entry in entries.items() if entry}


@dataclass(frozen=True, slots=True)
class Docker:
    """docker, with a daemon of the tests' own."""

    ground: Ground
    program: str
    socket: Path
    directory: Path
    name: str = "docker"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def credentials(self) -> Path:
        return self.directory / "config.json"

    def run(self, *arguments: str, stdin: str = "") -> Outcome:
        """Any other docker command."""
        own = {"DOCKER_CONFIG": str(self.directory), "DOCKER_HOST": f"unix://{self.socket}"}
        environment = {**own, **self.environment}
        return self.ground.run(self.program, *arguments, env=environment, stdin=stdin)

    def log_in(self, registry: Registry, username: str = USERNAME, password: str = PASSWORD) -> Outcome:
        return self.run("login", "-u", username, "--password-stdin", registry.address, stdin=password)

    def log_out(self, registry: Registry) -> Outcome:
        return self.run("logout", registry.address)

    def push(self, image: SampleImage, name: str) -> Outcome:
        assert image.archive is not None
        self.run("load", "--input", str(image.archive)).checked()
        self.run("tag", "sample:v1", name).checked()
        try:
            return self.run("push", name)
        finally:
            # What stays in the daemon would not be fetched by the pull that follows.
            self.run("rmi", "--force", name, "sample:v1")

    def pull(self, name: str) -> Outcome:
        return self.run("pull", name)

    def pulled(self, name: str) -> Pulled:
        found = json.loads(self.run("image", "inspect", name).checked().out)[0]
        return Pulled(found["RepoDigests"][0].rpartition("@")[2], found["Id"])


@dataclass(frozen=True, slots=True)
class Podman:
    """podman, with a store of the tests' own."""

    ground: Ground
    program: str
    directory: Path
    environment: Mapping[str, str]
    tls_arguments: Sequence[str] = ("--tls-verify=false",)
    """podman takes no plain HTTP without it."""

    name: str = "podman"

    @property
    def credentials(self) -> Path:
        return self.directory / "auth.json"

    def run(self, *arguments: str, stdin: str = "") -> Outcome:
        """Any other podman command."""
        if not self.credentials.exists():  # what REGISTRY_AUTH_FILE names must be there
            self.credentials.write_text("{}")
        environment = {**self.environment, "REGISTRY_AUTH_FILE": str(self.credentials)}
        return self.ground.run(self.program, *arguments, env=environment, stdin=stdin)

    def log_in(self, registry: Registry, username: str = USERNAME, password: str = PASSWORD) -> Outcome:
        return self.run(
            "login", *self.tls_arguments, "-u", username, "--password-stdin", registry.address, stdin=password
        )

    def log_out(self, registry: Registry) -> Outcome:
        return self.run("logout", registry.address)

    def push(self, image: SampleImage, name: str) -> Outcome:
        assert image.archive is not None
        self.run("load", "--input", str(image.archive)).checked()
        self.run("tag", "localhost/sample:v1", name).checked()
        try:
            return self.run("push", *self.tls_arguments, name)
        finally:
            self.run("rmi", "--force", name, "localhost/sample:v1")

    def pull(self, name: str) -> Outcome:
        return self.run("pull", "--quiet", *self.tls_arguments, name)

    def pulled(self, name: str) -> Pulled:
        found = json.loads(self.run("image", "inspect", name).checked().out)[0]
        return Pulled(found["Digest"], f"sha256:{found['Id']}")


@dataclass(frozen=True, slots=True)
class Skopeo:
    """skopeo, which keeps what it pulls in a directory."""

    ground: Ground
    program: str
    directory: Path
    environment: Mapping[str, str]
    insecure: bool = True
    """skopeo takes no plain HTTP without being told, on each side of a copy."""

    name: str = "skopeo"

    @property
    def credentials(self) -> Path:
        return self.directory / "auth.json"

    def run(self, *arguments: str, stdin: str = "") -> Outcome:
        """Any other skopeo command."""
        if not self.credentials.exists():  # what REGISTRY_AUTH_FILE names must be there
            self.credentials.write_text("{}")
        environment = {**self.environment, "REGISTRY_AUTH_FILE": str(self.credentials)}
        return self.ground.run(self.program, *arguments, env=environment, stdin=stdin)

    def _unless_tls(self, *flags: str) -> list[str]:
        return [f"--{flag}=false" for flag in flags] if self.insecure else []

    def log_in(self, registry: Registry, username: str = USERNAME, password: str = PASSWORD) -> Outcome:
        flags = self._unless_tls("tls-verify")
        return self.run("login", *flags, "-u", username, "--password-stdin", registry.address, stdin=password)

    def log_out(self, registry: Registry) -> Outcome:
        return self.run("logout", registry.address)

    def copy(self, source: str, destination: str, *flags: str) -> Outcome:
        """Copy between any two places that skopeo knows."""
        return self.run(
            "copy", *self._unless_tls("src-tls-verify", "dest-tls-verify"), *flags, source, destination
        )

    def push(self, image: SampleImage, name: str) -> Outcome:
        return self.copy(f"oci:{image.layout}:v1", f"docker://{name}", "--all")

    def pull(self, name: str) -> Outcome:
        # A layout would not do: skopeo turns docker's manifests into OCI's for one.
        shutil.rmtree(self.store(name), ignore_errors=True)
        return self.copy(f"docker://{name}", f"dir:{self.store(name)}")

    def pulled(self, name: str) -> Pulled:
        manifest = (self.store(name) / "manifest.json").read_bytes()
        return Pulled(
            f"sha256:{hashlib.sha256(manifest).hexdigest()}", json.loads(manifest)["config"]["digest"]
        )

    def inspect(self, name: str) -> bytes:
        """The manifest or index that the registry has under `name`, byte for byte."""
        flags = self._unless_tls("tls-verify")
        return self.run("inspect", "--raw", *flags, f"docker://{name}").checked().out.encode()

    def store(self, name: str) -> Path:
        """Where the last pull of `name` is."""
        return self.directory / name.replace("/", "_").replace(":", "_").replace("@", "_")


@dataclass(frozen=True, slots=True)
class Sealift:
    """sealift, the same way."""

    ground: Ground
    program: Sequence[str]
    directory: Path
    flags: Sequence[str] = ()
    name: str = "sealift"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def credentials(self) -> Path:
        return self.directory / "config.json"

    def run(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> Outcome:
        """Any other sealift command."""
        return self.ground.run(
            *self.program,
            *arguments,
            env={"DOCKER_CONFIG": str(self.directory), **self.environment, **(environment or {})},
            stdin=stdin,
        )

    def log_in(self, registry: Registry, username: str = USERNAME, password: str = PASSWORD) -> Outcome:
        return self.run(
            "login", *self.flags, "-u", username, "--password-stdin", registry.address, stdin=password
        )

    def log_out(self, registry: Registry) -> Outcome:
        return self.run("logout", registry.address)

    def push(self, image: SampleImage, name: str) -> Outcome:
        return self.run("push", *self.flags, f"oci:{image.layout}:v1", name)

    def pull(self, name: str) -> Outcome:
        shutil.rmtree(self.store(name), ignore_errors=True)
        return self.run("pull", *self.flags, name, f"oci:{self.store(name)}:v1")

    def pulled(self, name: str) -> Pulled:
        return _in_layout(self.store(name))

    def store(self, name: str) -> Path:
        """Where the last pull of `name` is."""
        return self.directory / name.replace("/", "_").replace(":", "_").replace("@", "_")


class Clients:
    """Makes clients, each logged in nowhere. A daemon starts when the first of its clients is made.

    Args:
        ground: Where skopeo and sealift run, which need no rights.
        enclosed: Gives the ground of docker and podman, which need them all.
        secure: Whether every registry they will meet speaks TLS.
    """

    def __init__(self, ground: Ground, enclosed: Callable[[], Enclosure], *, secure: bool = False) -> None:
        self._ground = ground
        self._enclosed = enclosed
        self._secure = secure
        self._numbers = count(1)

    def make(self, name: str, directory: Path) -> Client:
        """A new client by its name, with its credential file and its pulls under `directory`."""
        home = directory / f"{name}-{next(self._numbers)}"
        home.mkdir(parents=True)
        match name:
            case "docker" | "docker-of-debian":
                program = require_program("docker") if name == "docker" else DEBIANS_DOCKER
                return Docker(self._enclosed(), program, self.docker_socket, home, name)
            case "podman":
                flags = () if self._secure else ("--tls-verify=false",)
                return Podman(self._enclosed(), require_program("podman"), home, self.podman_settings, flags)
            case "skopeo":
                program = require_program("skopeo")
                return Skopeo(self._ground, program, home, self.skopeo_settings, insecure=not self._secure)
            case "sealift":
                return Sealift(self._ground, (sys.executable, "-m", "sealift"), home)
            case _:
                raise LookupError(name)

    @cached_property
    def docker_socket(self) -> Path:
        """The socket of a docker engine."""
        return start_dockerd(self._enclosed())

    @cached_property
    def podman_settings(self) -> dict[str, str]:
        """The environment of podman and buildah."""
        return containers_environment(self._enclosed().scratch / "podman")

    @cached_property
    def skopeo_settings(self) -> dict[str, str]:
        """The environment of skopeo."""
        return containers_environment(self._ground.scratch / "skopeo")


def docker_clients() -> list[str]:
    """The docker that is first on PATH, and Debian's where that is another one."""
    first = find_program("docker")
    if first is None or not Path(DEBIANS_DOCKER).exists() or Path(first).samefile(DEBIANS_DOCKER):
        return ["docker"]
    return ["docker", "docker-of-debian"]


def _in_layout(layout: Path) -> Pulled:
    """The one image of an OCI layout."""
    top = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs" / "sha256" / top.removeprefix("sha256:")).read_text())
    return Pulled(top, manifest["config"]["digest"])
