"""Sees to it that the image of a container is here, step by step as a kubelet does.

The steps are numbered as in the kubelet's ``EnsureImageExists``; what is
decided, and in which words, stands in `sealift.node.pull_policy`,
`sealift.node.backoff` and `sealift.node.messages`. This module asks the runtime
and passes on what comes of it.

Spec: R-IMG-1 to R-IMG-18, R-KEY-26 to R-KEY-29, R-SEC-12, R-SEC-13.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sealift.credentials.credential import Credential
from sealift.image.reference import MalformedReference, apply_default_tag
from sealift.kubernetes.pull_secrets.pod_keyring import PodPull
from sealift.node import messages
from sealift.node.backoff import Backoff, image_key
from sealift.node.errors import RuntimeRefused
from sealift.node.image_service import ImageService, NodeImage
from sealift.node.messages import Event, Waiting
from sealift.node.pull_policy import Step, Verification, looks_locally, next_step, recorded_name
from sealift.node.sandbox import SandboxConfig

Emit = Callable[[Event], None]
"""Where events of a Pod go."""

Clock = Callable[[], float]
"""Seconds that never step back, such as `time.monotonic`."""

Credentials = Callable[[], PodPull]
"""What the Pod's Secrets give for an image. Asked at most once, and only where a
credential is needed (R-IMG-6): a Secret that is broken does no harm before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One container's need of an image."""

    pod_uid: str
    image: str
    """As the Pod spells it. Messages carry this spelling (R-IMG-13)."""

    policy: str
    sandbox: SandboxConfig
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class _Grant:
    """Who has shown that it may have an image: see `recorded_name` and `_fingerprint`."""

    image_id: str
    name: str
    fingerprint: str


class ImageManager:
    """Fetches images for Pods, and remembers who failed and who was let in.

    It keeps its memory for as long as it lives: back-off and the last failure
    by Pod and image, and which credentials have pulled which image, as hashes.
    """

    def __init__(
        self,
        service: ImageService,
        *,
        clock: Clock,
        verification: Verification = Verification.ALWAYS,
    ) -> None:
        self._service = service
        self._clock = clock
        self._verification = verification
        self._backoff = Backoff()
        self._last_failure: dict[str, Waiting] = {}
        self._grants: set[_Grant] = set()

    def seconds_left(self, pod_uid: str, image: str) -> float:
        """How long the next attempt for this image of this Pod has to wait still."""
        return self._backoff.seconds_left(image_key(pod_uid, image), self._clock())

    async def ensure(self, need: Need, emit: Emit) -> str | Waiting:
        """Have the image here: its ID, or why the container has to wait.

        Raises:
            RuntimeUnreachable: The runtime is gone. That is nobody's reason to wait.
        """
        outcome = await self._ensure(need, emit)
        if isinstance(outcome, Waiting):
            emit(messages.start_failed(outcome))
        return outcome

    async def _ensure(self, need: Need, emit: Emit) -> str | Waiting:
        # 1. The name as the runtime gets it.
        try:
            wanted = apply_default_tag(need.image)
        except MalformedReference as refusal:
            return _told(messages.invalid_name(need.image, refusal), emit)
        # 2. Look at what is here, unless the policy says not to.
        present: NodeImage | None = None
        if looks_locally(need.policy):
            try:
                present = await self._service.status(wanted)
            except RuntimeRefused as refusal:
                text = messages.error_text(refusal.code, refusal.description)
                return _told(messages.inspect_failed(text), emit)
        # 3. May this Pod have it? Credentials are looked for where it is not everyone's anyway.
        pull: PodPull | None = None
        allowed = self._verification is Verification.NEVER
        if present is not None and not allowed:
            allowed = self._was_pulled_with(present, need.image, None)
            if not allowed:
                pull = need.credentials()
                if pull.poisoned:
                    return _undecodable(pull)
                allowed = any(self._was_pulled_with(present, need.image, one) for one in pull.attempts)
        step = next_step(need.policy, present=present is not None, allowed=allowed)
        if step is Step.REFUSE:
            return _told(messages.never_pull(need.image), emit)
        if step is Step.USE and present is not None:
            emit(messages.already_present(need.image))
            return present.id
        # 4. Ask the registry.
        pull = need.credentials() if pull is None else pull
        if pull.poisoned:
            return _undecodable(pull)
        return await self._pull(need, wanted, pull, emit)

    async def _pull(self, need: Need, wanted: str, pull: PodPull, emit: Emit) -> str | Waiting:
        key = image_key(need.pod_uid, need.image)
        if self._backoff.seconds_left(key, self._clock()) > 0:
            emit(messages.back_off(need.image))
            return messages.in_back_off(need.image, self._last_failure.get(key))
        emit(messages.pulling(need.image))
        began = self._clock()
        outcome = await self._try_each(need, wanted, pull.attempts)
        if isinstance(outcome, _Pulled):
            took = self._clock() - began
            size = await self._size(outcome.image_id)
            emit(messages.pulled(need.image, pull_seconds=took, total_seconds=took, size=size))
            self._backoff.succeeded(self._clock())
            self._grants.add(
                _Grant(outcome.image_id, recorded_name(need.image), _fingerprint(outcome.credential))
            )
            return outcome.image_id
        emit(messages.pull_failed(need.image, outcome))
        self._backoff.failed(key, self._clock())
        waiting = messages.pull_failure(need.image, outcome)
        self._last_failure[key] = waiting
        return waiting

    async def _try_each(
        self, need: Need, wanted: str, attempts: tuple[Credential | None, ...]
    ) -> "_Pulled | str":
        """Each credential in turn until one works; else all errors as one text (R-KEY-26, R-KEY-27)."""
        texts = []
        for credential in attempts:
            try:
                image_id = await self._service.pull(wanted, credential, sandbox=need.sandbox)
            except RuntimeRefused as refusal:
                texts.append(messages.error_text(refusal.code, refusal.description))
                continue
            if image_id:
                return _Pulled(image_id, credential)
            texts.append(f'imageRef of image "{wanted}" is not set')
        return messages.aggregate(texts)

    def _was_pulled_with(self, present: NodeImage, image: str, credential: Credential | None) -> bool:
        """Whether this process saw that credential, or nobody's, pull this very image."""
        return _Grant(present.id, recorded_name(image), _fingerprint(credential)) in self._grants

    async def _size(self, image_id: str) -> int:
        """Bytes of an image for the event, 0 where the runtime does not say (R-IMG-11)."""
        try:
            image = await self._service.status(image_id)
        except RuntimeRefused:
            return 0
        return 0 if image is None else image.size


@dataclass(frozen=True, slots=True)
class _Pulled:
    """A pull that worked, and the credential that did it."""

    image_id: str
    credential: Credential | None


def _told(waiting: Waiting, emit: Emit) -> Waiting:
    emit(messages.not_pulled(waiting))
    return waiting


def _undecodable(pull: PodPull) -> Waiting:
    return messages.undecodable_secret(pull.poisoned[0].error.go_text)


def _fingerprint(credential: Credential | None) -> str:
    """What a credential is remembered by: its hash, or empty for an anonymous pull.

    An image that was pulled without any is everyone's (R-ENS-11, R-ENS-13).
    """
    if credential is None:
        return ""
    text = f"{credential.username}\0{credential.password.reveal()}\0{credential.email}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
