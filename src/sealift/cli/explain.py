"""``sealift explain``: why an image will be pulled, or will not."""

import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sealift.cli.connection import Connection, connection_options, run
from sealift.cli.output import API_VERSION, OneOf
from sealift.credentials.credential import Credential
from sealift.errors import SealiftError
from sealift.kubernetes.explain.evidence import Evidence
from sealift.kubernetes.explain.report import Painter, Role

SEMANTICS = "1.36"
"""The Kubernetes whose rules are applied."""

KINDS = {
    "pod": "pods po", "deployment": "deployments deploy", "replicaset": "replicasets rs",
    "statefulset": "statefulsets sts", "daemonset": "daemonsets ds", "job": "jobs", "cronjob": "cronjobs cj",
    "replicationcontroller": "replicationcontrollers rc", "podtemplate": "podtemplates",
}  # fmt: skip
"""What ``KIND/NAME`` may begin with: a kind, its plural or its short names."""

_KIND_OF = {name: kind for kind, names in KINDS.items() for name in (kind, *names.split())}
_OBJECT = re.compile(r"(?P<kind>[A-Za-z]+)/(?P<name>[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)", re.ASCII)
_CODE = re.compile(r"SL[0-9]{3}", re.ASCII | re.IGNORECASE)
_VERSION = re.compile(r"v?1\.[0-9]{1,3}(?:\.[0-9]{1,3})?", re.ASCII)
_LOOKS: dict[Role, dict[str, Any]] = {
    "strong": {"bold": True},
    "weak": {"dim": True},
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow"},
    "info": {"fg": "cyan"},
    "pulls": {"fg": "green", "bold": True},
    "fails": {"fg": "red", "bold": True},
    "unknown": {"fg": "yellow", "bold": True},
}


class NotInThisVersion(SealiftError):
    """The contract has it and this version does not."""


class NothingToExplain(SealiftError):
    """Neither files nor a target, or a code that there is not."""


@click.command()
@click.argument("target", metavar="[IMAGE | KIND/NAME | CODE]", required=False)
@click.option(
    "-f",
    "--filename",
    "files",
    metavar="FILE",
    multiple=True,
    help="Manifests: a file, a directory, or - for standard input. May be repeated.",
)
@click.option(
    "-n",
    "--namespace",
    metavar="NS",
    default="default",
    show_default=True,
    callback=lambda _context, _option, value: value.removeprefix("=") or "default",
    help="Where objects stand that name none.",
)
@click.option("--service-account", metavar="SA", help="The ServiceAccount of Pods that name none.")
@click.option(
    "--node-config",
    metavar="PATH",
    multiple=True,
    help="The node's own config.json: its credentials come after those of the Secrets. May be repeated.",
)
@click.option(
    "--probe", is_flag=True, help="Ask the registry, attempt by attempt, as kubelet and runtime would."
)
@click.option(
    "--platform", metavar="OS/ARCH", help="With --probe: the node's platform.  [default: linux/amd64]"
)
@click.option("--complete", is_flag=True, help="The input is all there is: what is not in it does not exist.")
@click.option(
    "--fingerprints", is_flag=True, help="Show 12 digits of each password's SHA-256 in JSON and YAML."
)
@click.option("--kubelet-version", metavar="1.NN", default=SEMANTICS, show_default=True, help="Whose rules.")
@click.option(
    "-o",
    "--output",
    type=OneOf(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    envvar="SEALIFT_OUTPUT",
    help="How to print it.",
)
@connection_options
def explain(
    target: str | None,
    *,
    files: tuple[str, ...],
    namespace: str,
    service_account: str | None,
    node_config: tuple[str, ...],
    probe: bool,
    platform: str | None,
    complete: bool,
    fingerprints: bool,
    kubelet_version: str,
    output: str,
    connection: Connection,
) -> int:
    """Say why an image will be pulled, or will not.

    With -f, every image of every Pod and workload in the manifests is
    explained: what its name stands for, which credentials the kubelet will try
    and in which order, which keys nearly match, and what to do. IMAGE alone
    says what a name stands for (with -f too, what a Pod of --service-account
    would pull it with); a CODE such as SL104 prints its page.

    Exit status: 0 nothing certain stands against a pull, 1 some image fails,
    2 the input cannot be read, 6 with --probe a registry could not be asked.
    """
    from sealift.kubernetes.explain import collect, report
    from sealift.kubernetes.inventory import take_inventory

    if target is not None and _CODE.fullmatch(target):
        _print_page(target.upper())
        return 0
    _refuse_object(target, namespace)
    if target is None and not files:
        raise NothingToExplain(
            "there is nothing to explain",
            why="neither files nor an image were given",
            hint="sealift explain -f pod.yaml -f secret.yaml",
        )
    _check_version(kubelet_version)
    documents = collect.read_files(files, sys.stdin.buffer.read)
    inventory = take_inventory(documents, namespace=namespace)
    question = collect.Question(
        namespace=namespace,
        service_account=service_account,
        complete=complete,
        node=_node_credentials(node_config),
        now=datetime.now(UTC),
    )
    if target is None:
        evidence = collect.gather(inventory, question)
    else:
        evidence = (collect.gather_image(target, inventory, question),)
    if not evidence:
        click.echo("there is no Pod in the input, and so no image", err=True)
    if probe:
        evidence = run(_probed(evidence, connection, platform))
    explanations = tuple(report.explain(each) for each in evidence)
    if output == "text":
        click.echo(report.text(explanations, inventory.others, _painter()), nl=False)
    else:
        _print_document(report.document(explanations, fingerprints=fingerprints), output)
    if any(one.verdict == "fails" for one in explanations):
        return 1
    return 6 if any(one.evidence.unanswered and one.verdict == "unknown" for one in explanations) else 0


def _print_document(fields: Mapping[str, Any], output: str) -> None:
    """JSON or YAML, by the encoders written in C: a namespace has thousands of images."""
    from sealift.kubernetes.explain.report import KIND

    document = {"apiVersion": API_VERSION, "kind": KIND, **fields}
    if output == "json":
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
    else:
        import yaml

        options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "default_flow_style": False}
        click.echo(yaml.dump(document, Dumper=yaml.CSafeDumper, encoding="utf-8", **options), nl=False)


def _print_page(code: str) -> None:
    from sealift.kubernetes.explain.findings import PAGE_BY_CODE

    page = PAGE_BY_CODE.get(code)
    if page is None:
        raise NothingToExplain(
            f"there is no finding {code}",
            why=f"the codes go from {min(PAGE_BY_CODE)} to {max(PAGE_BY_CODE)}",
            hint="see docs/reference/findings.md",
        )
    click.echo(page.text(), nl=False)


def _refuse_object(target: str | None, namespace: str) -> None:
    """Say that ``KIND/NAME`` is not read from a cluster yet."""
    found = _OBJECT.fullmatch(target) if target is not None else None
    kind = _KIND_OF.get(found["kind"].lower()) if found is not None else None
    if found is None or kind is None:
        return
    raise NotInThisVersion(
        f"{target} is an object of a cluster, and this version reads no cluster",
        why="it reads manifests; an image of that name is written docker.io/" + found[0],
        hint=f"kubectl get {kind},secret,serviceaccount -n {namespace} -o yaml"
        " | sealift explain --complete -f -",
    )


def _check_version(version: str) -> None:
    if _VERSION.fullmatch(version) is None:
        raise NothingToExplain(
            f"{version!r} is no version of Kubernetes",
            why="a version reads 1.NN",
            hint=f"sealift explain … --kubelet-version {SEMANTICS}",
        )
    if not version.removeprefix("v").startswith(SEMANTICS):
        click.echo(f"note: the rules of Kubernetes {SEMANTICS} are applied", err=True)


def _node_credentials(paths: tuple[str, ...]) -> tuple[Credential, ...]:
    """The credentials of the first docker config that can be read: a kubelet takes no other (R-KEY-21)."""
    found: tuple[Credential, ...] | None = None
    for path in paths:
        content = _node_config(Path(path))
        if found is None:
            found = _decoded(path, content)
        else:
            click.echo(f"note: {path} does not count: a kubelet takes the first that it can read", err=True)
    return found or ()


def _node_config(file: Path) -> bytes:
    from sealift.credentials.docker_config import MAX_CONFIG_SIZE

    if file.is_dir() or file.suffix not in {".json", ".dockercfg", ""}:
        raise NotInThisVersion(
            f"{file} is not read in this version",
            why="of a node's configuration only config.json and .dockercfg are",
            hint="sealift explain … --node-config /var/lib/kubelet/config.json",
        )
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_CONFIG_SIZE)
    except PermissionError:
        raise
    except OSError as error:
        raise NothingToExplain(
            f"{file}: the file cannot be read",
            why=(error.strerror or type(error).__name__).lower(),
            hint=f"ls -l {file}",
        ) from None


def _decoded(path: str, content: bytes) -> tuple[Credential, ...] | None:
    """The credentials of one file, or None where the kubelet passes over it (R-SEC-15)."""
    from sealift.credentials.credential import Source
    from sealift.credentials.docker_config import UndecodableConfig, decode_auths

    try:
        entries = decode_auths(content, legacy=Path(path).name == ".dockercfg")
    except UndecodableConfig as error:
        click.echo(f"warning: the kubelet cannot read {path}, and passes over it: {error}", err=True)
        return None
    source = Source(kind="NodeConfig", name=path)
    return tuple(
        Credential(
            username=entry.username, password=entry.password, email=entry.email, source=source, key=entry.key
        )
        for entry in entries
    )


async def _probed(
    evidence: tuple[Evidence, ...], connection: Connection, platform: str | None
) -> tuple[Evidence, ...]:
    from sealift.cli.connection import open_transport
    from sealift.client.session import SessionOptions
    from sealift.image.platform import Platform
    from sealift.kubernetes.explain.collect import probe
    from sealift.kubernetes.explain.prober import RegistryProber

    options = SessionOptions(
        plain_http=connection.plain_http, trusted_realms=frozenset(connection.trusted_realms)
    )
    async with open_transport(connection) as transport:
        prober = RegistryProber(transport, options, Platform.parse(platform or "linux/amd64"))
        return await probe(evidence, prober.ask)


def _painter() -> Painter:
    """Colours on a terminal, unless NO_COLOR is set; plain text elsewhere."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return lambda text, _role: text
    return lambda text, role: click.style(text, **_LOOKS[role])
