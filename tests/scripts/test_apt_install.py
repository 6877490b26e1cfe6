"""scripts/apt-install with our own apt-get, and a scratch directory as /usr/sbin (a mount namespace)."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.peers.programs import require_program, require_root

SCRIPT = Path(__file__).parents[2] / "scripts" / "apt-install"
POLICY = "policy-rc.d"
SAVED = "policy-rc.d.before-sealift"

APT_GET = """#!/bin/sh
echo "$*" >> "$MACHINE/calls"
case "$*" in
  *--simulate*) printf '%b' "$SIMULATED" ;;
  *install*)
    /usr/sbin/policy-rc.d
    echo "services: $?" >> "$MACHINE/calls"
    eval "$INSTALLING" ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A machine to install on: its /usr/sbin, its apt-get, and what was asked of that."""

    root: Path

    @property
    def sbin(self) -> Path:
        return self.root / "sbin"

    @property
    def calls(self) -> list[str]:
        log = self.root / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def install(
        self, *pairs: str, simulated: str = "", installing: str = "", user: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run the script here. `installing` is shell that runs in apt-get's place."""
        (self.root / "bin" / "id").write_text(f"#!/bin/sh\necho {user}\n")
        return subprocess.run(
            [
                *("unshare", "--mount", "--propagation", "private", "--"),
                *("sh", "-c", 'mount --bind "$MACHINE/sbin" /usr/sbin && exec "$@"', "sh"),
                *(str(SCRIPT), *pairs),
            ],
            env={
                "PATH": f"{self.root}/bin:/usr/bin:/bin",
                "MACHINE": str(self.root),
                "SIMULATED": simulated,
                "INSTALLING": installing,
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    require_root("make a mount namespace")
    require_program("unshare")
    for name in ("bin", "sbin"):
        (tmp_path / name).mkdir()
    for name, text in (("apt-get", APT_GET), ("id", "")):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return Machine(tmp_path)


def test_what_is_on_path_already_is_not_installed(machine: Machine) -> None:
    done = machine.install("sh=dash", "cat=coreutils")
    assert (done.returncode, machine.calls) == (0, [])


def test_services_are_kept_from_starting_and_the_policy_goes_away_again(machine: Machine) -> None:
    done = machine.install("registry9=docker-registry", "dockerd9=docker.io", "docker9=docker.io")
    assert done.returncode == 0, done.stderr
    assert machine.calls == [
        "install --simulate --no-install-recommends docker-registry docker.io",
        "install -y --no-remove --no-install-recommends -o DPkg::Lock::Timeout=120 docker-registry docker.io",
        "services: 101",
    ]
    assert list(machine.sbin.iterdir()) == []


def test_a_policy_that_was_there_steps_aside_and_comes_back(machine: Machine) -> None:
    theirs = machine.sbin / POLICY
    theirs.write_text("#!/bin/sh\nexit 0\n")
    theirs.chmod(0o755)
    assert machine.install("skopeo9=skopeo").returncode == 0
    assert machine.calls[-1] == "services: 101"
    assert {path.name: path.read_text() for path in machine.sbin.iterdir()} == {POLICY: "#!/bin/sh\nexit 0\n"}


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        pytest.param("exit 1", 8, id="apt-get fails"),
        pytest.param("kill -INT $PPID; exit 1", 130, id="Ctrl-C"),
        pytest.param("kill -TERM $PPID; exit 1", 143, id="SIGTERM"),
    ],
)
def test_however_it_ends_the_policy_is_as_it_was(machine: Machine, ending: str, status: int) -> None:
    theirs = machine.sbin / POLICY
    theirs.write_text("theirs")
    done = machine.install("skopeo9=skopeo", installing=ending)
    assert done.returncode == status, done.stderr
    assert {path.name: path.read_text() for path in machine.sbin.iterdir()} == {POLICY: "theirs"}


def test_what_a_killed_run_left_is_cleared_away(machine: Machine) -> None:
    machine.install("skopeo9=skopeo", installing="kill -KILL $PPID")
    assert (machine.sbin / POLICY).exists()
    shutil.copy(machine.sbin / POLICY, machine.sbin / SAVED)
    (machine.sbin / SAVED).write_text("theirs")
    assert machine.install("skopeo9=skopeo").returncode == 0
    assert {path.name: path.read_text() for path in machine.sbin.iterdir()} == {POLICY: "theirs"}


def test_where_apt_would_remove_a_package_nothing_is_installed(machine: Machine) -> None:
    done = machine.install(
        "runc9=runc",
        "containerd9=containerd",
        simulated="Remv docker-ce [28]\\nRemv containerd.io [1.7]\\nInst runc (1.1.5 Debian)\\n",
    )
    assert done.returncode == 8
    assert done.stderr.splitlines()[-3:] == [
        "error: installing runc containerd would remove containerd.io docker-ce",
        "  why: another supplier's package stands in the way, and nothing is removed without you",
        "  next: sudo apt-get install --no-remove --no-install-recommends runc containerd",
    ]
    assert len(machine.calls) == 1


def test_who_is_not_root_is_told_what_to_type(machine: Machine) -> None:
    done = machine.install("skopeo9=skopeo", user=1000)
    assert (done.returncode, machine.calls) == (8, [])
    assert done.stderr == (
        "error: cannot install skopeo9\n"
        "  why: apt-get needs root\n"
        "  next: sudo apt-get install --no-remove --no-install-recommends skopeo\n"
    )


def test_services_that_came_with_it_are_not_left_to_start_at_the_next_boot(machine: Machine) -> None:
    for name, text in {
        "dpkg": 'echo "/lib/systemd/system/$2.service"; echo /lib/systemd/system/$2@.service',
        "systemctl": 'echo "systemctl $*" >> "$MACHINE/calls"; [ "$1" != is-enabled ] || echo enabled',
    }.items():
        (machine.root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (machine.root / "bin" / name).chmod(0o755)
    done = machine.install(
        "registry9=docker-registry",
        simulated="Inst docker-registry (2.8.2 Debian)\\nInst libc6 [2.35] (2.36 Debian)\\n",
    )
    assert done.returncode == 0, done.stderr
    assert machine.calls[3:] == [
        "systemctl is-enabled docker-registry.service",
        "systemctl disable --quiet docker-registry.service",
    ]
    assert done.stderr.splitlines()[-1] == (
        "Installed, and kept from starting: docker-registry.service (systemctl enable --now NAME starts one)"
    )
