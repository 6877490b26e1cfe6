"""Which Secrets a Pod gets, and which it was meant to get.

Spec: R-SEC-1, R-SEC-2, R-SEC-12 to R-SEC-14, R-KEY-15, R-KEY-22 to R-KEY-24.
"""

import json
from collections.abc import Iterator
from typing import Final

from sealift.credentials.keyring import location_of, shown_key
from sealift.image import docker_hub
from sealift.image.reference import ImageReference, keyring_name
from sealift.kubernetes.explain import commands
from sealift.kubernetes.explain.evidence import Evidence
from sealift.kubernetes.explain.findings import Finding
from sealift.kubernetes.objects import DATA_KEYS, DOCKER_CONFIG_JSON, Place
from sealift.kubernetes.pull_secrets.pod_keyring import NearMiss
from sealift.transport.redaction import printable

_CONFIG_KEYS: Final = (DATA_KEYS[DOCKER_CONFIG_JSON], "config.json", "dockerconfigjson")
"""Data keys under which a config.json is found in Secrets of the wrong kind."""


def poisoned(evidence: Evidence) -> Iterator[Finding]:
    """Secrets that cannot be decoded (R-SEC-12)."""
    if evidence.pull is None:
        return
    certain = evidence.pull_policy not in {"IfNotPresent", "Never"}
    for one in evidence.pull.poisoned:
        secret, error = one.secret, one.error
        data_key = DATA_KEYS[secret.type]
        place = secret.data_places.get(data_key)
        yield Finding(
            code="SL201",
            severity="error",
            certain=certain,
            summary=f"the Secret {printable(secret.name)}{_at(place)} cannot be decoded, and no credential"
            f" of the Pod is used: {printable(error.place)}: {printable(error.go_text)}",
            fix=commands.mend_secret(
                secret, error.key or evidence.server_key, holds_more=_holds_more(secret.data[data_key])
            ),
        )


def ignored(evidence: Evidence) -> Iterator[Finding]:
    """Secrets that the kubelet passes over (R-SEC-2)."""
    if evidence.pull is None:
        return
    severity, certain = evidence.weight
    for one in evidence.pull.ignored:
        secret = one.secret
        name = f"the Secret {printable(secret.name)}{_at(secret.place)}"
        held = next((key for key in _CONFIG_KEYS if secret.data.get(key)), None)
        if held is not None:
            remake = commands.retype_secret(secret.name, secret.namespace, held)
        else:
            remake = commands.recreate_secret(secret.name, secret.namespace, evidence.server_key)
        if one.reason == "wrongType":
            code, summary = (
                "SL202",
                f"{name} has the type {printable(secret.type)}, and the kubelet ignores it",
            )
        elif one.reason == "wrongKey":
            keys = ", ".join(printable(key) for key in secret.data) or "no key"
            code, summary = "SL203", f"{name} has {keys}, and its type goes with {DATA_KEYS[secret.type]}"
        else:
            code, summary = "SL204", f"{name} is empty"
            remake = commands.mend_secret(secret, evidence.server_key, holds_more=False)
        yield Finding(code=code, severity=severity, certain=certain, summary=summary, fix=remake)


def missing(evidence: Evidence) -> Iterator[Finding]:
    """Secrets that are named and not there (R-KEY-22)."""
    pull = evidence.pull
    if pull is None or evidence.reference is None:
        return
    namespace = evidence.pod.namespace
    fatal = evidence.complete and not evidence.has_match and not evidence.is_always_public
    for name in pull.missing:
        others = evidence.elsewhere.get(name, ())
        namespaces = ", ".join(printable(other.namespace) for other in others[:3])
        where = f"; there is one in {namespaces}" if others else ""
        copied = next((other for other in others if other.type in DATA_KEYS), None)
        known = "does not exist" if evidence.complete else "is not among the input"
        yield Finding(
            code="SL103",
            severity="error" if fatal and pull.attempts else "warning",
            certain=evidence.complete,
            summary=f"the Secret {printable(name)} of the namespace {printable(namespace)} {known}{where}",
            fix=commands.copy_secret(copied, namespace, name)
            if copied is not None
            else commands.create_secret(name, namespace, evidence.server_key),
        )


def near_misses(evidence: Evidence) -> Iterator[Finding]:
    """Keys that look as if they were meant for the image."""
    if evidence.pull is None or evidence.reference is None:
        return
    severity, certain = evidence.weight
    for miss in evidence.pull.near_misses:
        source = miss.source
        if miss.would_match:
            yield _out_of_reach(evidence, miss)
        elif location_of(miss.key) == docker_hub.LEGACY_DOMAIN and evidence.has_match:
            yield Finding(
                code="SL107",
                severity="warning",
                certain=True,
                summary=f"the Docker Hub credential in the Secret {printable(source.name)} is not tried:"
                " another key matches, and hides it",
                fix=_show_keys(evidence, source.name),
            )
        else:
            key, secret = printable(shown_key(miss.key)), printable(source.name)
            yield Finding(
                code="SL104",
                severity=severity,
                certain=certain,
                summary=f"the key {key} in the Secret {secret} does not serve"
                f" {keyring_name(evidence.reference)}: {printable(miss.reason)}",
                fix=_right_secret(evidence, source.name, replace=True),
            )


def _out_of_reach(evidence: Evidence, miss: NearMiss) -> Finding:
    """A finding about a Secret with the right key that this Pod does not get."""
    severity, certain = evidence.weight
    name, namespace = miss.source.name, miss.source.namespace or ""
    account = evidence.service_account
    if evidence.stands_alone:
        return Finding(
            code="SL106",
            severity="info",
            certain=True,
            summary=f"the Secret {printable(name)} in the namespace {printable(namespace)} has the right key,"
            " for Pods there that name it",
            fix=commands.name_secret(evidence.pod, name),
        )
    if namespace != evidence.pod.namespace:
        return Finding(
            code="SL105",
            severity=severity,
            certain=certain,
            summary=f"the Secret {printable(name)} with the right key is in the namespace"
            f" {printable(namespace)}, and the Pod is in {printable(evidence.pod.namespace)}",
            fix=_copied(evidence, miss),
        )
    if account is not None and name in account.image_pull_secrets and evidence.pod.image_pull_secrets:
        return Finding(
            code="SL111",
            severity=severity,
            certain=certain,
            summary=f"the Pod has a list of its own, so the Secret {printable(name)} of its ServiceAccount"
            f" {printable(account.name)} is not used",
            fix=commands.name_secret(evidence.pod, name),
        )
    return Finding(
        code="SL106",
        severity=severity,
        certain=certain,
        summary=f"the Secret {printable(name)} has the right key, and the Pod does not name it",
        fix=commands.name_secret(evidence.pod, name),
    )


def _copied(evidence: Evidence, miss: NearMiss) -> str:
    """Copy the Secret to the Pod's namespace, and have the Pod name it if it does not."""
    pod, pull = evidence.pod, evidence.pull
    name = miss.source.name
    if miss.name_is_taken:
        name = f"{name}-{miss.source.namespace}"
    if miss.secret is None or miss.secret.type not in DATA_KEYS:
        made = commands.create_secret(name, pod.namespace, evidence.server_key)
    else:
        made = commands.copy_secret(miss.secret, pod.namespace, name)
    is_named = pull is not None and name in pull.named
    return made if is_named else f"{made}  # then {commands.name_secret(pod, name)}"


def _show_keys(evidence: Evidence, name: str) -> str:
    decoded = evidence.decoded(name)
    if decoded is None:
        return "take the other key out of the Secret, or put the right password there"
    return commands.decode_secret(decoded.secret)


def _holds_more(content: bytes) -> bool:
    """Whether a Secret that cannot be decoded may hold entries that are right."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    entries = document.get("auths", document) if isinstance(document, dict) else None
    return isinstance(entries, dict) and len(entries) > 1


def nothing_matches(evidence: Evidence) -> Iterator[Finding]:
    """The anonymous attempt, and why it is all there is."""
    pull, reference = evidence.pull, evidence.reference
    if pull is None or reference is None or pull.poisoned or evidence.has_match or evidence.stands_alone:
        return
    severity, certain = evidence.weight
    registry = reference.repository.registry or reference.repository.dial_host
    keys = [entry.key for one in pull.used for entry in one.config.entries]
    if pull.used:
        if not pull.near_misses and not evidence.is_always_public:  # a near miss says it better
            shown = ", ".join(dict.fromkeys(printable(shown_key(key)) for key in keys)) or "none"
            left_out = docker_hub.CREDENTIAL_KEY in keys and registry != docker_hub.DOMAIN
            yield Finding(
                code="SL101",
                severity=severity,
                certain=certain,
                summary=f"no key of the Pod's Secrets serves {keyring_name(reference)}, so it is pulled"
                f" anonymously; the keys are: {shown}"
                + (", which is what kubectl writes where --docker-server is left out" if left_out else "")
                + (", which a .dockercfg does not have around its registries" if keys == ["auths"] else ""),
                fix=_right_secret(evidence, pull.used[0].secret.name, replace=left_out),
            )
    elif not pull.named and not any(miss.would_match for miss in pull.near_misses):
        public = evidence.is_always_public or reference.repository.registry == docker_hub.DOMAIN
        yield Finding(
            code="SL102",
            severity="info" if public else "warning",
            certain=False,
            summary="neither the Pod nor its ServiceAccount names a Secret, so"
            f" {registry} is asked anonymously",
            fix=commands.name_secret(evidence.pod, "NAME"),
        )
    if reference.repository.registry == docker_hub.DOMAIN:
        yield from _hub_without_credential(evidence, reference, keys)


def _hub_without_credential(
    evidence: Evidence, reference: ImageReference, keys: list[str]
) -> Iterator[Finding]:
    image = evidence.use.image
    others = [location for key in keys if (location := location_of(key)) is not None]
    if others and not image.startswith((f"{docker_hub.DOMAIN}/", f"{docker_hub.LEGACY_DOMAIN}/")):
        meant = f"{others[0].partition('/')[0]}/{image}"
        yield Finding(
            code="SL114",
            severity="warning" if "/" in image else "info",
            certain=False,
            summary=f"{printable(image)} means {reference.repository} on Docker Hub, and the Pod's Secrets"
            f" are for {printable(others[0])}",
            fix=f"write image: {printable(meant)}",
        )
    if not evidence.is_always_public or not others:
        yield Finding(
            code="SL113",
            severity="info",
            certain=False,
            summary="anonymous pulls from Docker Hub are limited by address, and may end in 429",
            fix=commands.create_secret("dockerhub", evidence.pod.namespace, docker_hub.CREDENTIAL_KEY),
        )


def lists(evidence: Evidence) -> Iterator[Finding]:
    """What is odd about the lists of names themselves."""
    pod, pull = evidence.pod, evidence.pull
    if pull is None or evidence.stands_alone:
        return
    if "" in pod.image_pull_secrets:
        opted_out = not any(pod.image_pull_secrets)
        yield Finding(
            code="SL112",
            severity="info" if opted_out else "warning",
            certain=True,
            summary="an entry of imagePullSecrets has no name"
            + (
                ": the Pod gets no Secret, not even its ServiceAccount's" if opted_out else ", and is skipped"
            ),
            fix=f"give the entry its name, or take it out, in {pod.pull_secrets_place or 'imagePullSecrets'}",
        )
    if not pod.image_pull_secrets and evidence.service_account is None and not evidence.complete:
        account = pod.service_account_name
        yield Finding(
            code="SL110",
            severity="info",
            certain=False,
            summary=f"the ServiceAccount {printable(account)} is not in the input: the Secrets that it may"
            " name are not counted",
            fix=commands.get_service_account(account, pod.namespace),
        )


def _right_secret(evidence: Evidence, name: str, *, replace: bool) -> str:
    """Make the Secret that the image needs.

    In place of the one called `name` where that holds nothing else; else beside
    it, since other images may need what is there.
    """
    pull, pod = evidence.pull, evidence.pod
    entries = [
        entry
        for one in (pull.used if pull is not None else ())
        if one.secret.name == name
        for entry in one.config.entries
    ]
    users = {entry.username for entry in entries}
    user = next(iter(users)) if len(users) == 1 else ""
    if replace and len(entries) <= 1:
        decoded = evidence.decoded(name)
        if decoded is not None:
            return commands.mend_secret(decoded.secret, evidence.server_key, user, holds_more=False)
        return commands.create_secret(name, pod.namespace, evidence.server_key, user)
    beside = f"{name}-2"
    made = commands.create_secret(beside, pod.namespace, evidence.server_key, user)
    return f"{made}  # then {commands.name_secret(pod, beside)}"


def _at(place: Place | None) -> str:
    return f" ({place})" if place is not None else ""
