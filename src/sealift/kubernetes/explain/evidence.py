"""All that the rules may look at. Whatever is not here cannot sway them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sealift.credentials.credential import Credential
from sealift.image import docker_hub
from sealift.image.reference import ImageReference, MalformedReference
from sealift.kubernetes.explain.findings import Severity
from sealift.kubernetes.objects import DEFAULT_SERVICE_ACCOUNT, ImageUse, Pod, Secret, ServiceAccount
from sealift.kubernetes.pull_secrets.pod_keyring import DecodedSecret, PodPull

OutcomeStatus = Literal[
    "ok",
    "unauthenticated",
    "forbidden",
    "notFound",
    "unreachable",
    "tlsFailed",
    "rateLimited",
    "platformMissing",
]


NO_ANSWER: Final[frozenset[OutcomeStatus]] = frozenset({"unreachable", "tlsFailed", "rateLimited"})
"""From here. A node may get another answer, so nothing follows for it."""

PUBLIC_REGISTRIES: Final = frozenset({"registry.k8s.io", "mcr.microsoft.com", "public.ecr.aws"})
"""Registries on which everything is public."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a registry said when an attempt was made."""

    status: OutcomeStatus
    http_status: int | None
    """Of the answer that decided, or None where there was none."""

    message: str
    """In the registry's or the system's words, on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at pulling, made or only foreseen."""

    credential: Credential | None
    """None is the anonymous attempt."""

    outcome: Outcome | None = None
    """None where it was not made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One image of one Pod, with everything that bears on its pull."""

    pod: Pod
    stands_alone: bool = False
    """Whether there is no Pod: somebody asked about an image."""

    use: ImageUse
    reference: ImageReference | None
    """None where the name cannot be read."""

    malformed: MalformedReference | None = None
    """Why it cannot."""

    pull_policy: str
    """The one in effect: written, or filled in as the API server does (R-POL-1)."""

    pull: PodPull | None = None
    """None where the name cannot be read, and nothing is tried."""

    attempts: tuple[Attempt, ...] = ()
    service_account: ServiceAccount | None = None
    """None where it is not in the input."""

    complete: bool = False
    """Whether the input is all there is, so that what is not in it does not exist."""

    elsewhere: Mapping[str, tuple[Secret, ...]]
    """For each missing Secret those of that name in other namespaces."""

    now: datetime
    """The time of asking, for tokens that expire."""

    @property
    def has_match(self) -> bool:
        """Whether any credential will be tried."""
        return any(attempt.credential is not None for attempt in self.attempts)

    @property
    def probed(self) -> bool:
        """Whether any attempt was made."""
        return any(attempt.outcome is not None for attempt in self.attempts)

    @property
    def proved(self) -> bool:
        """Whether an attempt was made and worked."""
        return any(
            attempt.outcome is not None and attempt.outcome.status == "ok" for attempt in self.attempts
        )

    @property
    def unanswered(self) -> bool:
        """Whether some attempt was made and the registry could not be asked."""
        return any(
            attempt.outcome is not None and attempt.outcome.status in NO_ANSWER for attempt in self.attempts
        )

    @property
    def input_is_short(self) -> bool:
        """Whether a credential may come from an object that is named and not in the input.

        The ServiceAccount ``default`` is in every namespace and in few files, and rarely names a Secret:
        it does not count.
        """
        if self.complete or self.pull is None:
            return False
        takes_account = not self.pod.image_pull_secrets
        account = self.pod.service_account_name
        unknown = takes_account and self.service_account is None and account != DEFAULT_SERVICE_ACCOUNT
        return unknown or bool(self.pull.missing)

    @property
    def is_always_public(self) -> bool:
        """Whether no credential can be missing: all of the registry is public, or of this part of it."""
        if self.reference is None:
            return False
        repository = self.reference.repository
        if repository.registry == docker_hub.DOMAIN:
            return repository.path.startswith(f"{docker_hub.OFFICIAL_NAMESPACE}/")
        return repository.registry in PUBLIC_REGISTRIES

    @property
    def weight(self) -> tuple[Severity, bool]:
        """How grave it is that a credential is not used, and whether that is certain.

        Likely fatal where there is no other one, and of no matter where one is or none is needed.
        """
        return ("info", True) if self.has_match or self.is_always_public else ("error", False)

    def decoded(self, name: str) -> DecodedSecret | None:
        """The Secret of that name among those that were read."""
        used = self.pull.used if self.pull is not None else ()
        return next((one for one in used if one.secret.name == name), None)

    @property
    def server_key(self) -> str:
        """The registry as a key: what a Secret for this image is made with."""
        return "REGISTRY" if self.reference is None else self.reference.repository.credential_key
