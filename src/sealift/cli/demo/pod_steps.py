"""The last two steps of the demo: the Pod without its Secret and the one with it, on our own containerd."""

import asyncio
from typing import Final

from sealift.cli.demo.commands import Command
from sealift.cli.demo.containerd import OwnContainerd
from sealift.cli.demo.leavings import RunDirectory
from sealift.cli.demo.narration import Narration
from sealift.cli.demo.pod_watch import PodDidOtherwise, watch
from sealift.node.messages import ERR_IMAGE_PULL, IMAGE_PULL_BACK_OFF

LOG_LINES: Final = 3
"""Of the running Pod. It prints one a second."""


class PodSteps:
    """A containerd, and the two Pods that are run on it."""

    def __init__(self, run: RunDirectory, narration: Narration, *, sandbox_image: str, image: str) -> None:
        self._run = run
        self._narration = narration
        self._image = image
        self._containerd = OwnContainerd(run, sandbox_image=sandbox_image)

    @property
    def endpoint(self) -> str:
        """Where the containerd listens."""
        return self._containerd.endpoint

    def start(self) -> None:
        """Start the containerd.

        Raises:
            ContainerdFailed: It would not.
        """
        self._narration.step(
            "A node: the Pod without its Secret",
            "This containerd is the demo's own: its directory, its socket, its",
            "namespaces. The machine's own, if it has one, is not touched.",
        )
        self._narration.command(f"containerd --config {self._containerd.directory / 'config.toml'} &")
        asyncio.run(self._containerd.start())
        self._narration.say(f"it listens at {self.endpoint}")

    def stop(self) -> None:
        """Stop the containerd, and with it whatever is left of Pods."""
        asyncio.run(self._containerd.stop())

    def run_without_secret(self, command: Command) -> None:
        """The Pod that cannot have its image.

        Raises:
            PodDidOtherwise: It ran, or failed for another reason.
        """
        self._narration.command(command.text)
        lines = watch(
            command,
            seen=lambda line: f"is waiting: {IMAGE_PULL_BACK_OFF}: " in line,
            environment=self._run.environment,
        )
        if not any(f"is waiting: {ERR_IMAGE_PULL}: " in line for line in lines):
            raise PodDidOtherwise(
                "the Pod without its Secret did not fail as it should",
                why=f"it never waited for {ERR_IMAGE_PULL}",
                hint="what it printed stands above",
            )

    def run_with_secret(self, command: Command) -> None:
        """The Pod that runs.

        Raises:
            PodDidOtherwise: It did not.
        """
        self._narration.step(
            "The Pod with its Secret runs",
            "Its credentials come from regcred.yaml, by the keyring that explain uses.",
        )
        self._narration.command(command.text)
        printed = 0

        def enough(line: str) -> bool:
            nonlocal printed
            printed += line.startswith("internal-app: line")
            return printed >= LOG_LINES

        watch(command, seen=enough, environment=self._run.environment)
