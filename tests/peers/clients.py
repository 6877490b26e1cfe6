"""The programs that people push and pull with, each behind the same five verbs.

A client is a program with a credential file of its own. Nothing is faked: each
verb is the command line that a user would type, and what comes back is its
status and what it printed.
"""

import base64
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.peers.ground import Ground, Outcome
from tests.peers.images import SampleImage
from tests.peers.registries import PASSWORD, USERNAME, Registry


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

    @property
    def credentials(self) -> Path:
        return self.directory / "config.json"

    def run(self, *arguments: str, stdin: str = "") -> Outcome:
        """Any other docker command."""
        environment = {"DOCKER_CONFIG": str(self.directory), "DOCKER_HOST": f"unix://{self.socket}"}
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
        return self.copy(f"oci:{image.layout}:v1", f"docker://{name}")

    def pull(self, name: str) -> Outcome:
        return self.copy(f"docker://{name}", f"oci:{self._store(name)}:v1")

    def pulled(self, name: str) -> Pulled:
        return _in_layout(self._store(name))

    def inspect(self, name: str) -> bytes:
        """The manifest or index that the registry has under `name`, byte for byte."""
        flags = self._unless_tls("tls-verify")
        return self.run("inspect", "--raw", *flags, f"docker://{name}").checked().out.encode()

    def _store(self, name: str) -> Path:
        return self.directory / name.replace("/", "_").replace(":", "_").replace("@", "_")


@dataclass(frozen=True, slots=True)
class Sealift:
    """sealift, the same way."""

    ground: Ground
    program: Sequence[str]
    directory: Path
    flags: Sequence[str] = ()
    name: str = "sealift"

    @property
    def credentials(self) -> Path:
        return self.directory / "config.json"

    def run(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> Outcome:
        """Any other sealift command."""
        return self.ground.run(
            *self.program,
            *arguments,
            env={"DOCKER_CONFIG": str(self.directory), **(environment or {})},
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
        shutil.rmtree(self._store(name), ignore_errors=True)
        return self.run("pull", *self.flags, name, f"oci:{self._store(name)}:v1")

    def pulled(self, name: str) -> Pulled:
        return _in_layout(self._store(name))

    def _store(self, name: str) -> Path:
        return self.directory / name.replace("/", "_").replace(":", "_").replace("@", "_")


def _in_layout(layout: Path) -> Pulled:
    """The one image of an OCI layout."""
    top = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs" / "sha256" / top.removeprefix("sha256:")).read_text())
    return Pulled(top, manifest["config"]["digest"])
