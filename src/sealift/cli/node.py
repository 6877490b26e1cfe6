"""``sealift node run``: Pods of manifests on this machine's container runtime, with their Secrets."""

import logging
import sys
from typing import Any, ClassVar

import click

from sealift.cli.output import OneOf
from sealift.errors import SealiftError


class NodeExtraMissing(SealiftError):
    """gRPC is not installed, and a container runtime speaks nothing else."""

    exit_status: ClassVar[int] = 8

    def __init__(self) -> None:
        super().__init__(
            "this needs gRPC, which is not installed",
            why="a container runtime is spoken to over gRPC, and sealift without extras does not bring it",
            hint="pip install 'sealift[node]'",
        )


@click.group()
def node() -> None:
    """Run Pods through this machine's container runtime."""


@node.command()
@click.option(
    "-f",
    "--filename",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    help="Pods, their Secrets and ServiceAccounts: a file, a directory, or - for standard input. Repeatable.",
)
@click.option(
    "--runtime-endpoint",
    metavar="unix://SOCKET",
    envvar="SEALIFT_RUNTIME_ENDPOINT",
    show_envvar=True,
    help="Where the runtime listens.  [unix:///run/containerd/containerd.sock]",
)
@click.option(
    "-n",
    "--namespace",
    metavar="NS",
    default="default",
    show_default=True,
    help="For objects that name none.",
)
@click.option(
    "--trust-present-images",
    is_flag=True,
    help="Let every Pod use every image that is here already, without its credentials being proved "
    "(imagePullCredentialsVerificationPolicy: NeverVerify).",
)
@click.option(
    "-o",
    "--output",
    type=OneOf(["text", "json"]),
    default="text",
    show_default=True,
    help="text: logs to standard output, the rest to standard error. json: all of it, an object a line.",
)
def run(
    files: tuple[str, ...],
    *,
    runtime_endpoint: str | None,
    namespace: str,
    trust_present_images: bool,
    output: str,
) -> int:
    """Run the Pods in these manifests with their Secrets, and stream their logs.

    Images are pulled as a kubelet pulls them: with the credentials of the Pod's
    own pull Secrets, in its order; events and reasons read as a kubelet's.
    Ctrl-C stops the Pods and removes them; once more, and they are not waited for.

    It ends with 0 when all Pods have succeeded, and with 1 when one has failed.
    A machine on which a kubelet runs is no place for this: it removes what it
    does not know.
    """
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    try:
        from sealift.cli.pod_run import PodRun
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"grpc", "google"}:
            raise
        raise NodeExtraMissing from None
    from sealift.cli.pod_report import JsonLines, Words
    from sealift.node.cri import DEFAULT_ENDPOINT
    from sealift.node.pull_policy import Verification

    inventory = _inventory(files, namespace)
    pod_run = PodRun(
        inventory,
        endpoint=runtime_endpoint or DEFAULT_ENDPOINT,
        verification=Verification.NEVER if trust_present_images else Verification.ALWAYS,
    )
    several = sum(plan.number_of_containers for plan in pod_run.plans) > 1
    return pod_run.run(JsonLines() if output == "json" else Words(name_containers=several))


def _inventory(files: tuple[str, ...], namespace: str) -> Any:
    """The objects in these files.

    Raises:
        NothingToRun: None of them is a Pod.
        UnreadableManifest: One of them is no manifest.
    """
    from sealift.kubernetes.explain.collect import read_files
    from sealift.kubernetes.inventory import take_inventory
    from sealift.node.pod_plan import NothingToRun

    documents = read_files(files, sys.stdin.buffer.read)
    inventory = take_inventory(documents, namespace=namespace)
    if not inventory.pods:
        raise NothingToRun(
            f"there is no Pod in {', '.join(files)}",
            why="only Pods are run here; what makes Pods of other kinds is a cluster",
            hint="name a manifest of kind Pod with -f",
        )
    return inventory
