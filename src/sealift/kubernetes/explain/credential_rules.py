"""What is wrong with the credentials that will be tried, as far as their bytes show it.

Spec: R-SEC-3 to R-SEC-11, R-KEY-6, R-KEY-16, R-CRI-4.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Final

from sealift.credentials.credential import Credential
from sealift.credentials.keyring import shown_key
from sealift.credentials.near_miss import sends_hub_credential
from sealift.image.reference import keyring_name
from sealift.kubernetes.explain import commands
from sealift.kubernetes.explain.evidence import Evidence
from sealift.kubernetes.explain.findings import Finding, Severity
from sealift.transport.redaction import printable

_UNEXPANDED = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\{\{.*\}\}|^\$[A-Za-z_][A-Za-z0-9_]*$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_CLOUD_USERS: Final = {
    "AWS": ("an ECR token, which lives 12 hours", "the node's ecr-credential-provider"),
    "oauth2accesstoken": ("a Google access token, which lives an hour", "the node's own rights"),
    "00000000-0000-0000-0000-000000000000": ("an Azure token, which lives 3 hours", "a token of a scope map"),
}  # fmt: skip
_IDENTITY_FIELDS: Final = ("identitytoken", "registrytoken")
_HELPER_FIELDS: Final = ("credsstore", "credhelpers")


def credentials(evidence: Evidence) -> Iterator[Finding]:
    """What is wrong with the credentials that will be tried."""
    pull = evidence.pull
    if pull is None or evidence.reference is None:
        return
    entries = {
        (one.secret.namespace, one.secret.name, entry.key): entry
        for one in pull.used
        for entry in one.config.entries
    }
    for credential in dict.fromkeys(one for one in pull.attempts if one is not None):
        source = credential.source
        yield from _one_credential(evidence, credential)
        entry = entries.get((source.namespace or "", source.name, credential.key))
        if entry is not None and entry.overridden:
            yield _about(
                evidence, credential, "SL210", "info", "auth replaces username and password, and differs"
            )
        if entry is not None and not credential.password:
            tokens = [name for name in entry.unused if name.lower() in _IDENTITY_FIELDS]
            if tokens:
                yield _about(
                    evidence, credential, "SL207", "warning", f"the kubelet does not read {tokens[0]}"
                )
    for one in pull.used:
        helpers = [name for name in one.config.unused if name.lower() in _HELPER_FIELDS]
        name = one.secret.name
        if helpers:
            yield Finding(
                code="SL206",
                severity="info" if evidence.has_match else "warning",
                certain=True,
                summary=f"the Secret {printable(name)} holds {printable(helpers[0])}, which the kubelet does"
                " not read: the passwords that a helper keeps are not in it",
                fix=commands.mend_secret(
                    one.secret, evidence.server_key, holds_more=len(one.credentials) > 1
                ),
            )
        if not one.config.entries:
            bare = any("." in name or ":" in name for name in one.config.unused)
            severity, certain = evidence.weight
            yield Finding(
                code="SL204",
                severity=severity,
                certain=certain,
                summary=f"the Secret {printable(name)} has no entry in auths"
                + (": its registries stand at the top, as in a .dockercfg" if bare else ""),
                fix=commands.mend_secret(one.secret, evidence.server_key, holds_more=False),
            )


def _one_credential(evidence: Evidence, credential: Credential) -> Iterator[Finding]:
    username, password = credential.username, credential.password.reveal()
    texts = (username, password)
    if not username and not password:
        yield _about(
            evidence, credential, "SL205", "warning", "it is empty, so the pull is anonymous", certain=True
        )
        return
    if not username:
        yield _about(
            evidence, credential, "SL212", "warning", "it has a password and no user name", certain=True
        )
    if any(_NOT_UTF8.search(text) for text in texts):
        yield _about(
            evidence, credential, "SL211", "error", "it is not UTF-8, and cannot be handed to a runtime"
        )
    elif any(text != text.strip() or _CONTROL.search(text) for text in texts):
        which = (
            "the password" if password != password.strip() or _CONTROL.search(password) else "the user name"
        )
        end = ": a line break at its end" if password.endswith("\n") else ""
        summary = f"{which} has white space or control characters in it{end}"
        yield _about(evidence, credential, "SL208", "warning", summary)
    if any(_UNEXPANDED.search(text) for text in texts):
        which = "the password" if _UNEXPANDED.search(password) else "the user name"
        yield _about(evidence, credential, "SL209", "warning", f"{which} looks like a variable, not expanded")
    if username == "robot":
        summary = "the user name is robot: a shell may have taken the $NAME behind it"
        yield _about(evidence, credential, "SL215", "warning", summary)
    if username in _CLOUD_USERS:
        what, instead = _CLOUD_USERS[username]
        yield _about(evidence, credential, "SL214", "info", f"the password is {what}; better is {instead}")
    expiry = _expiry(password)
    if expiry is not None and expiry < evidence.now.timestamp():
        yield _about(evidence, credential, "SL213", "error", "the token says itself that it has expired")


def _about(
    evidence: Evidence,
    credential: Credential,
    code: str,
    severity: Severity,
    summary: str,
    *,
    certain: bool = False,
) -> Finding:
    source = credential.source
    name = f"the Secret {printable(source.name)}" if source.kind == "Secret" else printable(source.name)
    username = "" if _NOT_UTF8.search(credential.username) else credential.username.strip()
    decoded = evidence.decoded(source.name) if source.kind == "Secret" else None
    return Finding(
        code=code,
        severity=severity,
        certain=certain,
        summary=f"{name}, key {printable(shown_key(credential.key))}: {summary}",
        fix=commands.create_secret("NAME", evidence.pod.namespace, credential.key, username)
        if decoded is None
        else commands.mend_secret(
            decoded.secret, credential.key, username, holds_more=len(decoded.credentials) > 1
        ),
    )


def _expiry(password: str) -> int | float | None:
    """Until when a JSON web token says it is valid, in seconds since 1970. No signature is checked."""
    parts = password.split(".")
    if len(parts) != 3 or not parts[0].startswith("eyJ"):  # noqa: PLR2004  header, claims, signature
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        expiry = claims["exp"]
    except (ValueError, binascii.Error, KeyError, TypeError, RecursionError):
        return None
    return expiry if isinstance(expiry, int | float) else None


def order(evidence: Evidence) -> Iterator[Finding]:
    """Which of the credentials comes first, and where they go."""
    pull, reference = evidence.pull, evidence.reference
    if pull is None or reference is None:
        return
    if pull.order_random:
        yield Finding(
            code="SL109",
            severity="warning",
            certain=True,
            summary="two keys of one Secret mean the same place: which of them is tried first changes"
            " from pull to pull",
            fix="leave one of the two keys in the Secret",
        )
    if pull.by_hub_fallback and sends_hub_credential(keyring_name(reference)):
        host = reference.repository.dial_host
        yield Finding(
            code="SL108",
            severity="warning",
            certain=True,
            summary=f"the kubelet takes {host} for Docker Hub, and sends it the credential of Docker Hub",
            fix=f"write the port of the registry: {host}:5000/{reference.repository.dial_path}",
        )
