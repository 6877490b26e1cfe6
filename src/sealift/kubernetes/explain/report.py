"""What `explain` prints: the contract's document, and the same for a person. Nothing secret is in either."""

import hashlib
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

from sealift.credentials.credential import Credential
from sealift.credentials.keyring import shown_key
from sealift.image.reference import apply_default_tag, without_password
from sealift.kubernetes.explain import rules
from sealift.kubernetes.explain.evidence import Attempt, Evidence
from sealift.kubernetes.explain.findings import Finding, Severity
from sealift.kubernetes.explain.rules import Verdict
from sealift.kubernetes.pull_secrets.pod_keyring import NearMiss
from sealift.transport.redaction import printable

KIND: Final = "PullExplanation"
_FINGERPRINT_LENGTH: Final = 12
_WIDTH: Final = 14
_TEXT_WIDTH: Final = 90

Role = Severity | Verdict | Literal["strong", "weak"]
Painter = Callable[[str, Role], str]
"""Gives a piece of text the look of its role; on no terminal it returns the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One image: the evidence, what follows from it, and the verdict."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    verdict: Verdict


def explain(evidence: Evidence) -> Explanation:
    """Draw the conclusions."""
    findings = rules.explain(evidence)
    return Explanation(evidence=evidence, findings=findings, verdict=rules.verdict(evidence, findings))


# ---------------------------------------------------------------- for programs
def document(explanations: Sequence[Explanation], *, fingerprints: bool = False) -> dict[str, Any]:
    """The fields of a `PullExplanation`.

    Args:
        explanations: One an image.
        fingerprints: Whether the first hex digits of the SHA-256 of each
            password are shown: an unsalted hash is a test for guesses.
    """
    return {"images": [_image(one, fingerprints=fingerprints) for one in explanations]}


def _image(one: Explanation, *, fingerprints: bool) -> dict[str, Any]:
    evidence = one.evidence
    pod, use, reference, pull = evidence.pod, evidence.use, evidence.reference, evidence.pull
    alone = evidence.stands_alone
    return {
        "object": None if alone else {"kind": pod.kind, "namespace": pod.namespace, "name": pod.name},
        "field": None if alone else use.field,
        "container": use.container,
        "image": _text(use.image if reference is not None else without_password(use.image)),
        "reference": None
        if reference is None
        else {
            "registry": reference.repository.registry,
            "path": reference.repository.path,
            "tag": reference.effective_tag,
            "digest": None if reference.digest is None else str(reference.digest),
        },
        "runtimeImage": None if reference is None else apply_default_tag(use.image),
        "pullPolicy": evidence.pull_policy,
        "orderRandom": pull is not None and pull.order_random,
        "attempts": [_attempt(attempt, fingerprints=fingerprints) for attempt in evidence.attempts],
        "nearMisses": [_near_miss(miss) for miss in pull.near_misses] if pull is not None else [],
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity,
                "certain": finding.certain,
                "summary": finding.summary,
                "fix": finding.fix,
            }
            for finding in one.findings
        ],
        "verdict": one.verdict,
    }


def _attempt(attempt: Attempt, *, fingerprints: bool) -> dict[str, Any]:
    credential, outcome = attempt.credential, attempt.outcome
    return {
        "source": None if credential is None else _source(credential),
        "key": None if credential is None else _text(shown_key(credential.key)),
        "username": None if credential is None else _text(credential.username),
        "passwordSha256": _fingerprint(credential) if credential is not None and fingerprints else None,
        "outcome": None
        if outcome is None
        else {"status": outcome.status, "httpStatus": outcome.http_status, "message": outcome.message},
    }


def _near_miss(miss: NearMiss) -> dict[str, Any]:
    source = {"kind": miss.source.kind, "namespace": miss.source.namespace, "name": miss.source.name}
    return {"source": source, "key": _text(shown_key(miss.key)), "reason": _text(miss.reason)}


def _source(credential: Credential) -> dict[str, Any]:
    source = credential.source
    return {"kind": source.kind, "namespace": source.namespace, "name": source.name}


def _fingerprint(credential: Credential) -> str:
    password = credential.password.reveal().encode("utf-8", "surrogateescape")
    return hashlib.sha256(password).hexdigest()[:_FINGERPRINT_LENGTH]


def _text(text: str) -> str:
    """Text that every encoder takes: a byte that is no UTF-8 becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# ---------------------------------------------------------------- for people
def text(explanations: Sequence[Explanation], others: Mapping[str, int], paint: Painter) -> str:
    """The report for a person.

    Args:
        explanations: One an image, those of one Pod together.
        others: Objects that were not looked at, by kind.
        paint: Gives text its look.
    """
    blocks: list[str] = []
    for pod, group in groupby(explanations, key=lambda one: id(one.evidence.pod)):
        members = list(group)
        evidence = members[0].evidence
        if pod and not evidence.stands_alone:
            blocks.append(_heading(evidence, paint))
        blocks += [_block(one, paint) for one in members]
    blocks.append(_summary(explanations, others))
    return "\n\n".join(blocks) + "\n"


def _heading(evidence: Evidence, paint: Painter) -> str:
    pod = evidence.pod
    name = paint(f"{pod.kind} {printable(pod.name)}", "strong")
    where = f", {pod.place}" if pod.place else ""
    return f"{name} in namespace {printable(pod.namespace)}{where}"


def _block(one: Explanation, paint: Painter) -> str:
    evidence = one.evidence
    use, reference = evidence.use, evidence.reference
    refusal = evidence.malformed
    written = use.image if refusal is None else without_password(use.image)
    lines = [_line("image", paint(printable(written) or '""', "strong"))]
    if not evidence.stands_alone:
        what = f"{use.field}{f' ({printable(use.container)})' if use.container else ''}"
        lines.append(_line("for", f"{what}{f', {use.place}' if use.place else ''}"))
    if refusal is not None and written.isprintable() and written:
        # With a login masked, the place is not where it was.
        place = f"{' ' * refusal.position}^ " if written == use.image else ""
        lines.append(_line("", f"{place}{refusal.rule}", wrap=False))
    if reference is not None:
        tag = reference.effective_tag
        lines.append(_line("registry", reference.repository.registry or "(none)"))
        lines.append(_line("repository", reference.repository.path))
        if tag is not None:
            lines.append(_line("tag", tag + (" (none was given)" if reference.tag is None else "")))
        if reference.digest is not None:
            lines.append(_line("digest", str(reference.digest)))
    filled = "" if use.pull_policy else " (filled in by the API server)"
    lines.append(_line("pull policy", f"{printable(evidence.pull_policy)}{filled}"))
    lines += _attempts(evidence, paint)
    # Every near miss has a finding that tells of it.
    for finding in one.findings:
        label = f"{finding.severity} {finding.code}"
        lines.append(_line(paint(label, finding.severity), finding.summary, label))
        lines.append(_line("", f"{paint('fix:', 'weak')} {finding.fix}", wrap=False))
    lines.append(_line("verdict", f"{paint(one.verdict, one.verdict)}{_reason(one)}"))
    return "\n".join(lines)


def _attempts(evidence: Evidence, paint: Painter) -> list[str]:
    if evidence.reference is None:
        return []
    if not evidence.attempts:
        return [_line("attempts", "none: the keyring cannot be built")]
    lines: list[str] = []
    for number, attempt in enumerate(evidence.attempts, start=1):
        credential = attempt.credential
        if credential is None:
            said = "anonymous: no credential matches"
        else:
            who = printable(credential.username) or "(no user name)"
            source = credential.source
            said = f"{who}, key {_shown_key(credential.key)} in {_named(source.kind, source.name)}"
        lines.append(_line(f"attempt {number}", said))
        outcome = attempt.outcome
        if outcome is not None:
            role: Role = "pulls" if outcome.status == "ok" else "error"
            lines.append(_line("", f"{paint(outcome.status, role)}: {printable(outcome.message)}"))
    if evidence.pull is not None and evidence.pull.order_random:
        lines.append(_line("", "the kubelet does not fix the order of some of these"))
    return lines


def _reason(one: Explanation) -> str:
    evidence = one.evidence
    if one.verdict != "unknown":
        return ""
    if evidence.pull_policy == "Never":
        return ": nothing is pulled, and files do not say what is on the node"
    if not evidence.attempts:
        return ": nothing can be pulled, but the image may be on the node already"
    if evidence.unanswered:
        return ": the registry could not be asked"
    if evidence.probed:
        return ": what is named and not in the input may hold the credential"
    return ": files do not prove a pull; --probe asks the registry"


def _named(kind: str, name: str) -> str:
    return f"Secret {printable(name)}" if kind == "Secret" else printable(name)


def _shown_key(key: str) -> str:
    shown = shown_key(key)
    return printable(shown) if shown == shown.strip() and shown else ascii(shown)


def _line(label: str, value: str, bare: str | None = None, *, wrap: bool = True) -> str:
    """A line of the report; a long one goes on below itself, but for commands, which are there to be pasted.

    `bare` is the label without its look, for the width.
    """
    indent = " " * (_WIDTH + 2)
    before = " " * max(_WIDTH - len(label if bare is None else bare), 1)
    if wrap and len(value) > _TEXT_WIDTH:
        lines = textwrap.wrap(value, _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)
        value = f"\n{indent}".join(lines)
    return f"  {label}{before}{value}"


def _summary(explanations: Sequence[Explanation], others: Mapping[str, int]) -> str:
    verdicts = Counter(one.verdict for one in explanations)
    count = len(explanations)
    parts = [f"{verdicts[name]} {name}" for name in ("pulls", "fails", "unknown") if verdicts[name]]
    line = f"{count} image{'' if count == 1 else 's'}" + (f": {', '.join(parts)}" if parts else "")
    if others:
        names = ", ".join(f"{number} {printable(kind)}" for kind, number in sorted(others.items()))
        line += f"\nnot looked at: {names}"
    return line
