"""What a Pod's sandbox and its containers are made from, in our own words.

These are values: `sealift.node.cri` turns them into messages of the interface.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """The frame of one Pod: its name, where its logs go, which namespaces it shares with the host."""

    namespace: str
    name: str
    uid: str
    log_directory: str
    """Absolute path on this machine. The runtime writes one file per container below it."""

    attempt: int = 0
    hostname: str = ""
    """Must be empty where the network is the host's."""

    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    cgroup_parent: str = ""
    """A cgroup path. Empty leaves it to the runtime, which puts Pods below its own cgroup."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """One container: which image, which command, as which user."""

    name: str
    image_id: str
    """What `ImageService.pull` returned: a name could have moved since."""

    image: str
    """The text of the Pod, kept for whoever lists containers."""

    attempt: int = 0
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    tty: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    read_only_root: bool = False
    no_new_privileges: bool = False
    log_path: str = ""
    """Relative to the sandbox's `log_directory`."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class ContainerState(enum.Enum):
    """Where a container stands in its life."""

    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """What the runtime says of one container."""

    id: str
    name: str
    state: ContainerState
    exit_code: int = 0
    """Counts where the state is EXITED. 128 + n where signal n ended it."""

    reason: str = ""
    """Such as ``Completed``, ``Error``, ``OOMKilled``."""

    message: str = ""
    started_at: int = 0
    """Nanoseconds since 1970, 0 where it has not started."""

    finished_at: int = 0
    """Nanoseconds since 1970, 0 where it has not finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A sandbox that the runtime has."""

    id: str
    namespace: str
    name: str
    uid: str
    ready: bool
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeVersion:
    """Which runtime answers."""

    name: str
    version: str
    api_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeCondition:
    """One thing that the runtime says of itself: ``RuntimeReady``, ``NetworkReady``."""

    type: str
    status: bool
    reason: str = ""
    message: str = ""
