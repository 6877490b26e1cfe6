"""Files to evidence, and attempts in the kubelet's order."""

import asyncio
from pathlib import Path

import pytest
from tests.kubernetes.explain.manifests import NOW, account, codes, evidence_of, login, pod, secret

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.image.reference import ImageReference
from sealift.kubernetes.explain.collect import Question, gather, gather_image, probe, read_files
from sealift.kubernetes.explain.evidence import Outcome, OutcomeStatus
from sealift.kubernetes.explain.report import explain
from sealift.kubernetes.inventory import take_inventory
from sealift.kubernetes.manifests import UnreadableManifest, read_documents


def nothing(_size: int) -> bytes:
    raise AssertionError("standard input was read")


def test_files_directories_and_standard_input_are_read(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(pod(name="b"))
    (tmp_path / "a.json").write_text('{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}')
    (tmp_path / "c.txt").write_text("- not: read")
    (tmp_path / "deeper").mkdir()
    documents = read_files([str(tmp_path), "-"], lambda _size: pod(name="c").encode())
    assert [document.root.value["metadata"].value["name"].value for document in documents] == ["a", "b", "c"]
    assert [Path(document.file).name for document in documents] == ["a.json", "b.yaml", "-"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableManifest, match="cannot be read"):
        read_files([str(tmp_path / "gone.yaml")], nothing)
    with pytest.raises(UnreadableManifest, match="no manifest in this directory"):
        read_files([str(tmp_path)], nothing)


def test_a_service_account_may_be_given_for_pods_that_name_none() -> None:
    parts = (pod(names=None), account("regcred", name="builder"), secret({"private-registry.io": login()}))
    inventory = take_inventory(read_documents("".join(parts), "f"))
    question = Question(namespace="default", service_account="builder", now=NOW)
    (evidence,) = gather(inventory, question)
    assert [attempt.credential is not None for attempt in evidence.attempts] == [True]
    named = take_inventory(
        read_documents("".join((pod(names=None, more="serviceAccountName: own"), *parts[1:])), "f")
    )
    (evidence,) = gather(named, question)
    assert evidence.pod.service_account_name == "own"


def test_an_image_alone_gets_what_its_service_account_names() -> None:
    parts = (account("regcred"), secret({"private-registry.io": login()}))
    inventory = take_inventory(read_documents("".join(parts), "f"))
    found = gather_image("private-registry.io/x", inventory, Question(namespace="default", now=NOW))
    assert [one.credential.username for one in found.attempts if one.credential] == ["ashok"]


def test_the_nodes_credentials_come_last() -> None:
    node = Credential(
        username="node",
        password=SecretText("p"),
        source=Source(kind="NodeConfig", name="/config.json"),
        key="private-registry.io",
    )
    inventory = take_inventory(read_documents(pod() + secret({"private-registry.io": login()}), "f"))
    (evidence,) = gather(inventory, Question(namespace="default", node=(node,), now=NOW))
    assert [one.credential.username for one in evidence.attempts if one.credential] == ["ashok", "node"]


class Registry:
    """Answers by user name, and counts."""

    def __init__(self, answers: dict[str | None, OutcomeStatus]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str | None]] = []

    async def ask(self, reference: ImageReference, credential: Credential | None) -> Outcome:
        await asyncio.sleep(0)
        user = credential.username if credential is not None else None
        self.asked.append((str(reference), user))
        status = self.answers[user]
        return Outcome(status=status, http_status=None, message=f"said to {user}")


_THREE = {
    "private-registry.io": login("last"),
    "private-registry.io/apps": login("second"),
    "private-registry.io/apps/internal-app": login("first"),
}


async def test_trying_stops_at_the_first_that_works() -> None:
    registry = Registry({"first": "unreachable", "second": "ok"})
    (evidence,) = await probe(evidence_of(pod(), secret(_THREE)), registry.ask)
    assert [one.outcome.status if one.outcome else None for one in evidence.attempts] == [
        "unreachable",
        "ok",
        None,
    ]
    assert explain(evidence).verdict == "pulls"


async def test_the_same_question_is_asked_once() -> None:
    registry = Registry({"ashok": "ok"})
    good = secret({"private-registry.io": login()})
    evidence = evidence_of(pod(name="a"), "---\n", pod(name="b"), good)
    assert [explain(each).verdict for each in await probe(evidence, registry.ask)] == ["pulls", "pulls"]
    assert len(registry.asked) == 1


async def test_what_is_not_pulled_is_not_asked_for() -> None:
    registry = Registry({})
    good = secret({"private-registry.io": login()})
    evidence = evidence_of(pod("Bad:"), "---\n", pod(policy="Never", name="b"), good)
    assert await probe(evidence, registry.ask) == evidence


@pytest.mark.parametrize(
    ("status", "found", "verdict"),
    [
        ("unauthenticated", ("SL401", "error", True), "fails"),
        ("forbidden", ("SL402", "error", True), "fails"),
        ("notFound", ("SL403", "error", True), "fails"),
        ("platformMissing", ("SL407", "error", True), "fails"),
        ("unreachable", ("SL404", "error", False), "unknown"),
        ("tlsFailed", ("SL405", "error", False), "unknown"),
        ("rateLimited", ("SL406", "error", False), "unknown"),
    ],
)
async def test_what_an_answer_means(
    status: OutcomeStatus, found: tuple[str, str, bool], verdict: str
) -> None:
    registry = Registry({"ashok": status})
    evidence = evidence_of(pod(), secret({"private-registry.io": login()}))
    explanation = explain((await probe(evidence, registry.ask))[0])
    assert (codes(explanation), explanation.verdict) == ([found], verdict)


async def test_one_answer_that_says_nothing_leaves_it_open() -> None:
    registry = Registry({"first": "unauthenticated", "second": "unreachable", "last": "unauthenticated"})
    explanation = explain((await probe(evidence_of(pod(), secret(_THREE)), registry.ask))[0])
    assert codes(explanation) == [("SL401", "error", False), ("SL404", "error", False)]
    assert explanation.verdict == "unknown"


async def test_a_refused_anonymous_attempt_says_that_a_credential_is_wanted() -> None:
    registry = Registry({None: "unauthenticated"})
    explanation = explain((await probe(evidence_of(pod(names=None), account()), registry.ask))[0])
    assert codes(explanation) == [("SL401", "error", True), ("SL102", "warning", False)]
    assert explanation.findings[0].summary.startswith("the registry wants a credential, and the Pod has none")


async def test_once_a_pull_is_proved_nothing_is_an_error() -> None:
    registry = Registry({None: "ok"})
    explanation = explain((await probe(evidence_of(pod(), complete=True), registry.ask))[0])
    assert (codes(explanation), explanation.verdict) == ([("SL103", "warning", True)], "pulls")
