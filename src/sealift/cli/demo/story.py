"""The story, step by step: from an empty directory to a Pod that runs a private image.

Each step shows the command that a user would type, and then runs that very
command: nothing is shown that was not printed by it.
"""

import contextlib
import os
import platform
import secrets
import shlex
import shutil
import sys
from pathlib import Path
from typing import ClassVar, Final

from sealift.cli.demo.commands import PROGRAM, Command
from sealift.cli.demo.ending import Ending
from sealift.cli.demo.image import write_layout
from sealift.cli.demo.leavings import RunDirectory
from sealift.cli.demo.narration import Narration
from sealift.cli.demo.program import ARCHITECTURES, ticking_program, waiting_program
from sealift.cli.demo.registry_server import RegistryServer
from sealift.errors import SealiftError

REPOSITORY: Final = "apps/internal-app"
PAUSE: Final = "node/pause"
USER: Final = "ashok"

STEPS: Final = 10
STEPS_WITHOUT_PODS: Final = 8

_CAP_SYS_ADMIN: Final = 21
NOT_AUTHENTICATED: Final = 4
FOUND_WRONG: Final = 1

_POD: Final = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  hostNetwork: true  # the containerd of this demo has no Pod network
  containers:
  - name: nginx
    image: {image}
"""
_PULL_SECRETS: Final = """\
  imagePullSecrets:
  - name: regcred
"""


class StepFailed(SealiftError):
    """A command of the demo did not end as it should. What it printed stands above."""

    exit_status: ClassVar[int] = 1


class Story:
    """The demo from its first step to its last: `tell`, and `end` in any case.

    Args:
        run: Its directory.
        ending: When to end before the last step.
        listen: Where the registry listens, ``HOST:PORT``.
    """

    def __init__(self, run: RunDirectory, ending: Ending, *, listen: str) -> None:
        self._run = run
        self._ending = ending
        self._no_pods = why_no_pods()
        self._narration = Narration(STEPS if self._no_pods is None else STEPS_WITHOUT_PODS)
        self.files = run.path / "files"
        """What a user would have: logins, passwords, images, manifests."""

        self.files.mkdir(mode=0o700)
        self._server = RegistryServer(run, listen=listen)
        self._password = self.files / "ashok-password"
        self._pod_without = self.files / "pod-without-secret.yaml"
        self._pod_with = self.files / "pod.yaml"
        self._regcred = self.files / "regcred.yaml"
        self._endpoint = ""
        self._ends = contextlib.ExitStack()

    def tell(self) -> None:
        """All steps.

        Raises:
            SealiftError: One of them failed.
            KeyboardInterrupt: We were told to end meanwhile.
        """
        self._narration.say("Sealift: a private image, from push to a running Pod.")
        self._narration.say(f"All files of this demo are in {self._run.path} and go when it ends.")
        self._start_registry()
        self._grant()
        self._push()
        self._pull_refused()
        self._pull()
        self._make_secret()
        self._write_pods()
        self._explain()
        if self._no_pods is None:
            self._run_pods()
        else:
            self._narration.say()
            self._narration.say(f"The last two steps, which run the Pods, are left out: {self._no_pods}")

    def say_what_next(self) -> None:
        """For whoever goes on by hand: address, login, commands."""
        say, show = self._narration.say, self._narration.command
        say()
        say(f"The registry stays up at {self._server.address} until Ctrl-C. In another shell:")
        say()
        if directory := own_directory(os.environ.get("PATH", os.defpath)):
            show(f'export PATH={shlex.quote(directory)}:"$PATH"')
        files = shlex.quote(str(self.files))
        show(f"export DOCKER_CONFIG={files} XDG_CONFIG_HOME={files}")
        self._show(
            "login", self._server.address, "--username", USER, "--password-stdin", stdin=self._password
        )
        self._show("tags", f"{self._server.address}/{REPOSITORY}")
        self._show("inspect", self._image)
        self._show("explain", "-f", str(self._pod_with), "-f", str(self._regcred), "-o", "json")
        if self._endpoint:
            self._show(*self._node_run(self._pod_with, self._regcred))

    def end(self) -> None:
        """Stop what was started, the last first."""
        self._ends.close()

    @property
    def _image(self) -> str:
        return f"{self._server.address}/{REPOSITORY}"

    # ---- the steps

    def _start_registry(self) -> None:
        self._narration.step(
            "A registry of your own",
            "Every repository in it is private unless it is made public.",
        )
        self._narration.command(f"{self._server.command.text} &")
        self._ends.callback(self._server.stop)
        self._server.start()
        self._narration.say(f"it serves http://{self._server.address}")

    def _grant(self) -> None:
        self._narration.step(
            "An account, a private repository, and a grant",
            "ashok does not own apps: what ashok may do there is what the grant gives.",
        )
        _write_secret(self._password, secrets.token_urlsafe(18))
        self._do(
            "login",
            self._server.address,
            *("--username", "admin", "--password-stdin"),
            stdin=self._server.admin_password,
        )
        self._do("account", "add", USER, "--password-stdin", stdin=self._password)
        self._do("repo", "create", REPOSITORY, "--visibility", "private")
        self._do("grant", "add", "--to", USER, "--repo", REPOSITORY, "--actions", "pull")

    def _push(self) -> None:
        self._narration.step(
            "An image, pushed",
            "Made just now: a static program for amd64 and arm64, which prints a line",
            "each second. The sandbox image, which a node pulls without credentials,",
            "goes to a public repository.",
        )
        app, pause = self.files / "internal-app", self.files / "pause"
        write_layout(
            app,
            tag="latest",
            name="internal-app",
            programs={
                architecture: ticking_program(
                    architecture, line="internal-app: line", farewell="internal-app: told to stop"
                )
                for architecture in ARCHITECTURES
            },
        )
        write_layout(
            pause,
            tag="1",
            name="pause",
            programs={architecture: waiting_program(architecture) for architecture in ARCHITECTURES},
        )
        self._do("push", f"oci:{app}:latest", self._image)
        self._do("repo", "create", PAUSE, "--visibility", "public")
        self._do("push", f"oci:{pause}:1", f"{self._server.address}/{PAUSE}:1")

    def _pull_refused(self) -> None:
        self._narration.step("Without credentials it cannot be pulled")
        self._do("logout", self._server.address)
        self._do("pull", self._image, f"oci:{self.files / 'pulled'}", ends=NOT_AUTHENTICATED)

    def _pull(self) -> None:
        self._narration.step("Logged in, it can")
        self._do("login", self._server.address, "--username", USER, "--password-stdin", stdin=self._password)
        self._do("pull", self._image, f"oci:{self.files / 'pulled'}")

    def _make_secret(self) -> None:
        self._narration.step(
            "A Secret",
            "A node has no login: the credentials travel as an object of the cluster.",
            "The same bytes as from kubectl create secret docker-registry … -o yaml.",
        )
        self._do(
            *("secret", "create", "regcred", f"--docker-server={self._server.address}"),
            *(f"--docker-username={USER}", "--password-stdin", f"--docker-email={USER}@example.com"),
            stdin=self._password,
            stdout=self._regcred,
        )
        self._regcred.chmod(0o600)

    def _write_pods(self) -> None:
        self._narration.step("A Pod, twice: once without the Secret, and once with it")
        for path, name, more in (
            (self._pod_without, "nginx-pod-without-secret", ""),
            (self._pod_with, "nginx-pod", _PULL_SECRETS),
        ):
            content = _POD.format(name=name, image=self._image) + more
            path.write_text(content, encoding="utf-8")
            self._narration.command(f"cat {path}")
            self._narration.say(content.rstrip("\n"))

    def _explain(self) -> None:
        self._narration.step(
            "Will the image arrive? Asked before anything is deployed",
            "The registry is asked as a kubelet and containerd would ask it.",
        )
        self._do("explain", "-f", str(self._pod_without), "--complete", "--probe", ends=FOUND_WRONG)
        self._do("explain", "-f", str(self._pod_with), "-f", str(self._regcred), "--complete", "--probe")

    def _run_pods(self) -> None:
        from sealift.cli.demo.pod_steps import PodSteps

        pods = PodSteps(
            self._run, self._narration, sandbox_image=f"{self._server.address}/{PAUSE}:1", image=self._image
        )
        self._ends.callback(pods.stop)
        with self._ending.after_this():
            pods.start()
        self._endpoint = pods.endpoint
        pods.run_without_secret(Command(self._node_run(self._pod_without)))
        pods.run_with_secret(Command(self._node_run(self._pod_with, self._regcred)))

    # ---- commands

    def _node_run(self, *files: Path) -> tuple[str, ...]:
        named = [word for file in files for word in ("-f", str(file))]
        return ("node", "run", *named, "--runtime-endpoint", self._endpoint)

    def _show(self, *arguments: str, stdin: Path | None = None) -> None:
        self._narration.command(Command(arguments, stdin).text)

    def _do(
        self,
        *arguments: str,
        stdin: Path | None = None,
        stdout: Path | None = None,
        ends: int = 0,
    ) -> None:
        """Show a command and run it.

        Raises:
            StepFailed: It did not end with the status `ends`.
            KeyboardInterrupt: We were told to end meanwhile.
        """
        command = Command(arguments, stdin, stdout)
        self._narration.command(command.text)
        with self._ending.after_this():
            status = command.run()
        if status != ends:
            raise StepFailed(
                f"`{command.text}` ended with status {status}",
                why=f"the story needs it to end with {ends}; what it printed stands above",
                hint="mend what those lines name and run `sealift demo` again; if they name nothing, "
                "it is our fault: please report it",
            )


def own_directory(path: str) -> str | None:
    """Where our program is, if a shell with this PATH would not find it. After ``make demo`` it would not."""
    ours = Path(sys.executable).parent / PROGRAM
    found = shutil.which(PROGRAM, path=path)
    if not ours.exists() or (found is not None and ours.samefile(found)):
        return None
    return str(ours.parent)


def why_no_pods() -> str | None:
    """Why no Pod can be run on this machine, and what would help; None where it can."""
    if platform.system() != "Linux" or platform.machine() not in {"x86_64", "aarch64"}:
        return "the images are for Linux on amd64 and arm64"
    if os.geteuid() != 0:
        return "only root can start containerd. Run the demo as root: sudo make demo"
    if not _may_make_namespaces():
        return (
            "root may not make namespaces here. Run the demo on the machine itself, or in a container "
            "that may: docker run --privileged"
        )
    try:
        from sealift.cli.demo.containerd import Programs, ProgramsMissing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"grpc", "google"}:
            raise
        return "gRPC is not installed. Get it with: pip install 'sealift[node]'"
    try:
        Programs.find()
    except ProgramsMissing as missing:
        return f"{missing}. Get it with: {missing.hint}"
    return None


def _may_make_namespaces() -> bool:
    """Whether this process has CAP_SYS_ADMIN, as root in a container mostly has not.

    Spec: capabilities(7), proc(5).
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> _CAP_SYS_ADMIN & 1)
    return False


def _write_secret(path: Path, text: str) -> None:
    """A file with one line that nobody else may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
