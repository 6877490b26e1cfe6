"""Every cause that the evidence supports. Pure: evidence in, findings out.

An error that is certain means that the pull fails; whatever is only likely is
not certain, since a public image needs no credential at all. Once a pull was
proved to work, nothing is an error any more.

Spec: docs/reference/findings.md, one page a code.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Literal

from sealift.kubernetes.explain.answer_rules import answers
from sealift.kubernetes.explain.credential_rules import credentials, order
from sealift.kubernetes.explain.evidence import Evidence
from sealift.kubernetes.explain.findings import Finding, Severity
from sealift.kubernetes.explain.name_rules import name, policy, short_name
from sealift.kubernetes.explain.secret_rules import (
    ignored,
    lists,
    missing,
    near_misses,
    nothing_matches,
    poisoned,
)

Verdict = Literal["pulls", "fails", "unknown"]

_SEVERITIES: Final = ("error", "warning", "info")

RULES: Final[tuple[Callable[[Evidence], Iterator[Finding]], ...]] = (
    name,
    short_name,
    policy,
    poisoned,
    ignored,
    missing,
    near_misses,
    nothing_matches,
    lists,
    credentials,
    order,
    answers,
)


def explain(evidence: Evidence) -> tuple[Finding, ...]:
    """Every cause that the evidence supports, the gravest first and the certain before the likely."""
    found = [finding for rule in RULES for finding in rule(evidence)]
    if evidence.proved:
        found = [replace(one, severity=_after_proof(one)) for one in found]
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda one: (_SEVERITIES.index(one.severity), not one.certain)))


def _after_proof(finding: Finding) -> Severity:
    """How grave a finding is once the pull was seen to work. What was only likely is no warning then."""
    if not finding.certain:
        return "info"
    return "warning" if finding.severity == "error" else finding.severity


def verdict(evidence: Evidence, findings: tuple[Finding, ...]) -> Verdict:
    """What is proved: that it pulls, that it fails, or neither."""
    if evidence.proved:
        return "pulls"
    if any(finding.severity == "error" and finding.certain for finding in findings):
        return "fails"
    return "unknown"
