"""Container runtimes with roots and sockets of their own, in an enclosure."""

import http.client
import socket
from pathlib import Path

from tests.peers.ground import Enclosure
from tests.peers.programs import require_program


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def start_dockerd(ground: Enclosure) -> Path:
    """A docker engine without networks of its own; gives its socket.

    What it needs of ``/run`` and ``/etc/docker`` it finds in the enclosure:
    a containerd that the machine runs is not used, its settings are not read.
    """
    root = ground.scratch / "docker"
    root.mkdir()
    (root / "daemon.json").write_text("{}")
    endpoint = root / "docker.sock"

    def ready() -> bool:
        connection = _UnixConnection(endpoint)
        try:
            connection.request("GET", "/_ping")
            with connection.getresponse() as answer:
                return answer.status == 200
        except OSError:
            return False
        finally:
            connection.close()

    ground.start(
        require_program("dockerd"),
        *("--config-file", str(root / "daemon.json")),
        *("--data-root", str(root / "data")),
        *("--exec-root", str(root / "exec")),
        *("--pidfile", str(root / "pid")),
        *("--host", f"unix://{endpoint}"),
        *("--iptables=false", "--bridge=none"),
        ready=ready,
    )
    return endpoint


def start_containerd(ground: Enclosure, *, certificates: Path | None = None) -> Path:
    """A containerd with its CRI plugin; gives its socket.

    Args:
        ground: Where it runs.
        certificates: The directory of ``HOST:PORT/hosts.toml``. Without it
            only loopback registries can be spoken to in plain HTTP.
    """
    program = require_program("containerd")
    root = ground.scratch / "containerd"
    root.mkdir()
    endpoint = root / "containerd.sock"
    registry = (
        f"[plugins.'io.containerd.grpc.v1.cri'.registry]\n  config_path = '{certificates}'\n"
        if certificates
        else ""
    )
    (root / "config.toml").write_text(
        "version = 2\n"
        f"root = '{root}/root'\n"
        f"state = '{root}/state'\n"
        # Whatever watches containers from outside has no place here.
        "disabled_plugins = ['io.containerd.internal.v1.opt', 'io.containerd.internal.v1.tracing']\n"
        f"[grpc]\n  address = '{endpoint}'\n"
        f"[ttrpc]\n  address = '{endpoint}.ttrpc'\n"
        "[plugins.'io.containerd.grpc.v1.cri']\n"
        "  restrict_oom_score_adj = true\n" + registry
    )

    def ready() -> bool:
        done = ground.run(
            require_program("ctr"), "--address", str(endpoint), "--connect-timeout", "2s", "version"
        )
        return done.status == 0

    ground.start(program, "--config", str(root / "config.toml"), ready=ready)
    return endpoint
