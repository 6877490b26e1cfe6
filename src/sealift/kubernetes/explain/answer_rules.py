"""What a registry's answers mean, if every attempt was made and none worked.

Spec: R-KEY-26, R-KEY-27, R-CRI-6, R-CRI-7.
"""

from collections.abc import Iterator
from typing import Final

from sealift.kubernetes.explain import commands
from sealift.kubernetes.explain.evidence import Evidence, OutcomeStatus
from sealift.kubernetes.explain.findings import Finding
from sealift.transport.redaction import printable

_ANSWERS: Final[dict[OutcomeStatus, tuple[str, str]]] = {
    "unauthenticated": ("SL401", "the registry knows none of the credentials"),
    "forbidden": ("SL402", "the credential is good, and has no right on this repository"),
    "notFound": ("SL403", "the image is not there, or not for this credential"),
    "platformMissing": ("SL407", "there is no image for the platform"),
    "unreachable": ("SL404", "the registry cannot be reached from here"),
    "tlsFailed": ("SL405", "the registry's certificate is not trusted here"),
    "rateLimited": ("SL406", "the registry refuses more requests for now"),
}
"""Code and words."""


def answers(evidence: Evidence) -> Iterator[Finding]:
    """What the registry said to the attempts, if all were made and none worked."""
    outcomes = [attempt.outcome for attempt in evidence.attempts if attempt.outcome is not None]
    if not outcomes or evidence.proved or evidence.reference is None:
        return
    all_certain = not evidence.unanswered and not evidence.input_is_short
    anonymous = not evidence.has_match
    repository = evidence.reference.repository
    fixes: dict[str, str] = {
        "notFound": f"sealift tags {commands.word(str(repository))}",
        "forbidden": f"have the owner of {repository} grant the right to pull",
        "rateLimited": "wait, then run this again",
        "unreachable": f"curl -v https://{commands.word(repository.dial_host)}/v2/",
        "tlsFailed": "run this again with --ca-file FILE, and give the nodes that file too",
        "platformMissing": f"sealift inspect {commands.word(str(evidence.reference))}",
    }
    for status in dict.fromkeys(outcome.status for outcome in outcomes):
        code, words = _ANSWERS[status]
        if status == "unauthenticated" and anonymous:
            owner = "the input" if evidence.input_is_short else "the Pod"
            words = f"the registry wants a credential, and {owner} has none for it"
        messages = dict.fromkeys(outcome.message for outcome in outcomes if outcome.status == status)
        yield Finding(
            code=code,
            severity="error",
            certain=all_certain,
            summary=f"{words}: {'; '.join(printable(message) for message in messages)}",
            fix=fixes.get(status) or _new_credential(evidence),
        )


def _new_credential(evidence: Evidence) -> str:
    for attempt in evidence.attempts:
        credential = attempt.credential
        if credential is not None and credential.source.kind == "Secret":
            decoded = evidence.decoded(credential.source.name)
            if decoded is not None:
                return commands.mend_secret(
                    decoded.secret,
                    credential.key,
                    credential.username,
                    holds_more=len(decoded.credentials) > 1,
                )
    return commands.create_secret("NAME", evidence.pod.namespace, evidence.server_key)
