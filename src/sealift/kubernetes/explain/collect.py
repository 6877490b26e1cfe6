"""From files and registries to evidence: the I/O of `explain`, and the seam for asking registries.

Gathering is `gather`, pure. Asking is left to a `Prober`, so that whoever puts
things together says how a registry is reached.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sealift.credentials.credential import Credential
from sealift.image.reference import ImageReference, MalformedReference, default_pull_policy
from sealift.kubernetes.explain.evidence import Attempt, Evidence, Outcome
from sealift.kubernetes.inventory import Inventory
from sealift.kubernetes.manifests import MAX_FILE_SIZE, Document, UnreadableManifest, read_documents
from sealift.kubernetes.objects import DEFAULT_SERVICE_ACCOUNT, ImageUse, Pod, Secret, ServiceAccount
from sealift.kubernetes.pull_secrets.pod_keyring import PodKeyrings

STANDARD_INPUT: Final = "-"
_SUFFIXES: Final = frozenset({".json", ".yaml", ".yml"})
"""The files of a directory that kubectl reads."""

_PROBES_AT_ONCE: Final = 8
"""Requests under way. Registries count them, and eight keep a slow one busy."""

Prober = Callable[[ImageReference, Credential | None], Awaitable[Outcome]]
"""Asks for an image's manifest with one credential, or with none."""


def read_files(sources: Iterable[str], read_standard_input: Callable[[int], bytes]) -> tuple[Document, ...]:
    """The documents of files, of directories (as ``kubectl -f`` reads them), and of ``-``.

    Args:
        sources: Paths, in order.
        read_standard_input: Gives up to so many bytes of it.

    Raises:
        UnreadableManifest: One cannot be read, or is neither YAML nor JSON.
    """
    documents: list[Document] = []
    for source in sources:
        if source == STANDARD_INPUT:
            documents += read_documents(read_standard_input(MAX_FILE_SIZE + 1), STANDARD_INPUT)
        else:
            for path in _expand(Path(source)):
                documents += read_documents(_content(path), str(path))
    return tuple(documents)


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and each.is_file())
    if not found:
        raise UnreadableManifest(
            f"{path}: there is no manifest in this directory",
            why="of a directory the files *.yaml, *.yml and *.json are read",
            hint=f"ls {path}",
        )
    return found


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_SIZE + 1)
    except PermissionError:
        raise
    except OSError as error:
        raise UnreadableManifest(
            f"{path}: the file cannot be read",
            why=(error.strerror or type(error).__name__).lower(),
            hint=f"ls -l {path}",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, apart from the manifests."""

    namespace: str
    """Where an image stands that no Pod holds."""

    service_account: str | None = None
    """For Pods that name none."""

    complete: bool = False
    """Whether what is not in the input does not exist."""

    node: Sequence[Credential] = field(default=())
    """Credentials of the node's own configuration."""

    now: datetime


def gather(inventory: Inventory, question: Question) -> tuple[Evidence, ...]:
    """Evidence on every image of every Pod."""
    keyrings = PodKeyrings(inventory.secrets, node=question.node)
    namesakes: dict[str, list[Secret]] = {}
    for secret in inventory.secrets.values():
        namesakes.setdefault(secret.name, []).append(secret)
    found: list[Evidence] = []
    for each in inventory.pods:
        pod = _with_account(each, question.service_account)
        account = _account(pod, inventory)
        found += [_evidence(pod, use, account, keyrings, namesakes, question) for use in pod.images]
    return tuple(found)


def gather_image(image: str, inventory: Inventory, question: Question) -> Evidence:
    """Evidence on an image that stands alone, as a Pod would pull it that names no Secret itself."""
    use = ImageUse(field="", container=None, image=image, pull_policy="")
    name = question.service_account or DEFAULT_SERVICE_ACCOUNT
    pod = Pod(kind="Pod", namespace=question.namespace, name="", service_account_name=name, images=(use,))
    account = _account(pod, inventory)
    keyrings = PodKeyrings(inventory.secrets, node=question.node)
    return replace(_evidence(pod, use, account, keyrings, {}, question), stands_alone=True)


def _with_account(pod: Pod, name: str | None) -> Pod:
    named = pod.spec.get("serviceAccountName") or pod.spec.get("serviceAccount")
    return pod if name is None or named else replace(pod, service_account_name=name)


def _account(pod: Pod, inventory: Inventory) -> ServiceAccount | None:
    return inventory.service_accounts.get((pod.namespace, pod.service_account_name))


def _evidence(  # noqa: PLR0917  all of one kind: what there is to look at
    pod: Pod,
    use: ImageUse,
    account: ServiceAccount | None,
    keyrings: PodKeyrings,
    namesakes: Mapping[str, Sequence[Secret]],
    question: Question,
) -> Evidence:
    policy = use.pull_policy or default_pull_policy(use.image)
    try:
        reference = ImageReference.parse(use.image)
    except MalformedReference as refusal:
        return Evidence(
            pod=pod,
            use=use,
            reference=None,
            malformed=refusal,
            pull_policy=policy,
            service_account=account,
            complete=question.complete,
            elsewhere={},
            now=question.now,
        )
    pull = keyrings.pull(pod, use.image, account)
    return Evidence(
        pod=pod,
        use=use,
        reference=reference,
        pull_policy=policy,
        pull=pull,
        attempts=tuple(Attempt(credential=credential) for credential in pull.attempts),
        service_account=account,
        complete=question.complete,
        elsewhere={name: tuple(namesakes[name]) for name in pull.missing if name in namesakes},
        now=question.now,
    )


async def probe(evidence: Sequence[Evidence], prober: Prober) -> tuple[Evidence, ...]:
    """Make the attempts, each Pod's in order, and stop where a kubelet would: at the first that works.

    Any error moves on to the next credential (R-KEY-26). What several Pods would
    ask is asked once.
    """
    room = asyncio.Semaphore(_PROBES_AT_ONCE)
    asked: dict[tuple[str, tuple[str, str] | None], asyncio.Task[Outcome]] = {}

    async def ask(reference: ImageReference, credential: Credential | None) -> Outcome:
        async with room:
            return await prober(reference, credential)

    async def one(each: Evidence) -> Evidence:
        reference = each.reference
        if reference is None or each.pull_policy == "Never":
            return each
        made: list[Attempt] = []
        for attempt in each.attempts:
            credential = attempt.credential
            who = None if credential is None else (credential.username, credential.password.reveal())
            key = (str(reference), who)
            if key not in asked:
                asked[key] = asyncio.create_task(ask(reference, credential))
            outcome = await asked[key]
            made.append(replace(attempt, outcome=outcome))
            if outcome.status == "ok":
                break
        return replace(each, attempts=(*made, *each.attempts[len(made) :]))

    return tuple(await asyncio.gather(*(one(each) for each in evidence)))
