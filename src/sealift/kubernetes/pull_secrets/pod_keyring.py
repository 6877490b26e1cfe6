"""What a kubelet will try when a Pod needs an image: one pure function, for `explain` and for the node.

The order of things is the kubelet's: the Pod's own list of Secrets, or its
ServiceAccount's where the Pod has none; the Secrets of the Pod's namespace
alone; one keyring of all their entries, then the node's; every credential that
matches, one after the other; a single anonymous attempt where there is none.

Spec: R-SEC-1, R-SEC-2, R-SEC-12 to R-SEC-14, R-KEY-18 to R-KEY-26.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sealift.credentials import keyring, near_miss
from sealift.credentials.credential import Credential, Source
from sealift.credentials.docker_config import DockerConfig, UndecodableConfig, decode_config
from sealift.image.reference import ImageReference, keyring_name
from sealift.kubernetes.objects import DATA_KEYS, DOCKER_CONFIG, Pod, Secret, ServiceAccount

IgnoredReason = Literal["wrongType", "wrongKey", "empty"]
NamedBy = Literal["Pod", "ServiceAccount", "nobody"]

MAX_STRANGERS: Final = 3
"""Secrets of other namespaces that are shown as near misses of one image. Hundreds may have a copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A key that does not serve an image and looks as if it was meant to."""

    source: Source
    key: str
    """As it is written in the Secret."""

    reason: str
    """Why it does not, as a phrase."""

    would_match: bool = False
    """Whether the key is right and only the Secret is out of the Pod's reach."""

    secret: Secret | None = None
    """The one that is out of reach."""

    name_is_taken: bool = False
    """Whether the Pod's namespace has another Secret of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredSecret:
    """A Secret that the Pod names and that the kubelet passes over without a word (R-SEC-2, R-KEY-23)."""

    secret: Secret
    reason: IgnoredReason


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonedSecret:
    """A Secret whose content cannot be decoded, so that the Pod has no credential at all (R-SEC-12)."""

    secret: Secret
    error: UndecodableConfig
    """`go_text` is what the kubelet shows as the reason of waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedSecret:
    """A Secret that the kubelet reads, and what is in it."""

    secret: Secret
    config: DockerConfig
    credentials: tuple[Credential, ...]
    """In the byte order of their keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPull:
    """What a kubelet will do for one image of one Pod."""

    attempts: tuple[Credential | None, ...]
    """In the order of trying; ``None`` is the anonymous attempt, made only where
    nothing matched. Empty where the keyring cannot be built: then nothing is pulled."""

    order_random: bool
    """Whether the kubelet does not fix the order of some attempts (R-KEY-6)."""

    near_misses: tuple[NearMiss, ...]
    """Keys that do not serve the image and look as if they were meant to."""

    named: tuple[str, ...]
    """The Secrets that are looked up, in order, without empty names."""

    named_by: NamedBy
    """Whose list that is."""

    missing: tuple[str, ...]
    """Those of `named` that are not in the Pod's namespace (R-KEY-22)."""

    used: tuple[DecodedSecret, ...]
    """Those that were read, matching or not."""

    ignored: tuple[IgnoredSecret, ...]
    poisoned: tuple[PoisonedSecret, ...]
    """In the order of the list. The kubelet stops at the first and shows its error."""

    by_hub_fallback: bool = False
    """Whether the Docker Hub entry was taken because nothing else matched (R-KEY-15)."""


def pod_pull(
    pod: Pod,
    image: str,
    secrets: Mapping[tuple[str, str], Secret],
    service_account: ServiceAccount | None,
    node: Sequence[Credential] = (),
) -> PodPull:
    """What a kubelet will try for `image` in `pod`.

    Whoever asks for many Pods keeps a `PodKeyrings`, which remembers what it decoded.

    Args:
        pod: The Pod, or the Pod that a template will make.
        image: The image as the Pod writes it.
        secrets: Secrets by namespace and name. Those of other namespaces are
            looked at for near misses only.
        service_account: The Pod's, if it is known.
        node: Credentials of the node's own configuration, in the byte order of
            their keys. They come after those of the Secrets (R-KEY-18).

    Raises:
        MalformedReference: `image` is no image name: the kubelet says InvalidImageName.
    """
    return PodKeyrings(secrets, node=node).pull(pod, image, service_account)


def names_in_effect(pod: Pod, service_account: ServiceAccount | None) -> tuple[tuple[str, ...], NamedBy]:
    """The names of the Secrets that a kubelet looks up, and whose list they are.

    A ServiceAccount's list is copied into a Pod whose own list has no element,
    and is never merged; one empty name is an element (R-KEY-24).
    """
    if pod.image_pull_secrets:
        return tuple(name for name in pod.image_pull_secrets if name), "Pod"
    if service_account is not None and service_account.image_pull_secrets:
        return tuple(name for name in service_account.image_pull_secrets if name), "ServiceAccount"
    return (), "nobody"


def decode_secret(secret: Secret) -> DecodedSecret | IgnoredSecret | PoisonedSecret:
    """What the kubelet makes of a Secret that a Pod names (R-SEC-2, R-SEC-12, R-SEC-14)."""
    data_key = DATA_KEYS.get(secret.type)
    if data_key is None:
        return IgnoredSecret(secret=secret, reason="wrongType")
    if data_key not in secret.data:
        return IgnoredSecret(secret=secret, reason="wrongKey")
    content = secret.data[data_key]
    if not content:
        return IgnoredSecret(secret=secret, reason="empty")
    try:
        config = decode_config(content, legacy=secret.type == DOCKER_CONFIG)
    except UndecodableConfig as error:
        return PoisonedSecret(secret=secret, error=error)
    source = Source(kind="Secret", namespace=secret.namespace, name=secret.name)
    credentials = tuple(
        Credential(
            username=entry.username, password=entry.password, email=entry.email, source=source, key=entry.key
        )
        for entry in config.entries
    )
    return DecodedSecret(secret=secret, config=config, credentials=credentials)


class PodKeyrings:
    """`pod_pull` for many Pods over the same Secrets.

    Each Secret is decoded once, each keyring built once, and what was asked
    before is remembered. The Secrets must not change meanwhile.
    """

    def __init__(self, secrets: Mapping[tuple[str, str], Secret], *, node: Sequence[Credential] = ()) -> None:
        self._secrets = secrets
        self._node = keyring.build_index(node)
        self._decoded: dict[tuple[str, str], DecodedSecret | IgnoredSecret | PoisonedSecret] = {}
        self._rings: dict[tuple[str, tuple[str, ...]], _Ring] = {}
        self._pulls: dict[tuple[str, tuple[str, ...], NamedBy, str], PodPull] = {}
        self._whole: keyring.KeyringIndex | None = None

    def decode(self, namespace: str, name: str) -> DecodedSecret | IgnoredSecret | PoisonedSecret | None:
        """What the kubelet makes of one Secret, or None where there is none."""
        key = (namespace, name)
        secret = self._secrets.get(key)
        if secret is None:
            return None
        if key not in self._decoded:
            self._decoded[key] = decode_secret(secret)
        return self._decoded[key]

    def pull(self, pod: Pod, image: str, service_account: ServiceAccount | None) -> PodPull:
        """What a kubelet will try for `image` in `pod`.

        Raises:
            MalformedReference: `image` is no image name.
        """
        names, named_by = names_in_effect(pod, service_account)
        repository = keyring_name(ImageReference.parse(image))
        memo = (pod.namespace, names, named_by, repository)
        if memo not in self._pulls:
            self._pulls[memo] = self._pull(pod.namespace, names, named_by, repository)
        return self._pulls[memo]

    def _pull(self, namespace: str, names: tuple[str, ...], named_by: NamedBy, repository: str) -> PodPull:
        ring = self._ring(namespace, names)
        secret_match = keyring.match(ring.index, repository)
        node_match = keyring.match(self._node, repository)
        found = (*secret_match.credentials, *node_match.credentials)
        misses = [*_misses(ring.credentials, secret_match, repository)]
        if not secret_match.credentials:
            misses += self._out_of_reach(namespace, names, repository)
        attempts: tuple[Credential | None, ...] = () if ring.poisoned else found or (None,)
        return PodPull(
            attempts=attempts,
            order_random=bool(attempts) and (secret_match.order_random or node_match.order_random),
            near_misses=tuple(misses),
            named=names,
            named_by=named_by,
            missing=ring.missing,
            used=ring.used,
            ignored=ring.ignored,
            poisoned=ring.poisoned,
            by_hub_fallback=secret_match.by_hub_fallback,
        )

    def _ring(self, namespace: str, names: tuple[str, ...]) -> "_Ring":
        memo = (namespace, names)
        if memo not in self._rings:
            seen = [self.decode(namespace, name) for name in names]
            used = tuple(one for one in seen if isinstance(one, DecodedSecret))
            credentials = tuple(credential for one in used for credential in one.credentials)
            self._rings[memo] = _Ring(
                index=keyring.build_index(credentials),
                credentials=credentials,
                missing=tuple(
                    dict.fromkeys(name for name, one in zip(names, seen, strict=True) if one is None)
                ),
                used=used,
                ignored=tuple(one for one in seen if isinstance(one, IgnoredSecret)),
                poisoned=tuple(one for one in seen if isinstance(one, PoisonedSecret)),
            )
        return self._rings[memo]

    def _out_of_reach(self, namespace: str, names: tuple[str, ...], repository: str) -> list[NearMiss]:
        """Keys that would serve the image, in Secrets that this Pod does not get."""
        if self._whole is None:
            everything = [self.decode(*key) for key in self._secrets]
            self._whole = keyring.build_index(
                credential
                for one in everything
                if isinstance(one, DecodedSecret)
                for credential in one.credentials
            )
        here: list[NearMiss] = []
        elsewhere: list[NearMiss] = []
        for credential in keyring.match(self._whole, repository).credentials:
            source = credential.source
            if source.namespace != namespace:
                reason = f"the Secret is in the namespace {source.namespace}, and the Pod is in {namespace}"
                elsewhere.append(
                    NearMiss(
                        source=source,
                        key=credential.key,
                        reason=reason,
                        would_match=True,
                        secret=self._secrets[source.namespace or "", source.name],
                        name_is_taken=(namespace, source.name) in self._secrets,
                    )
                )
            elif source.name not in names:
                reason = "the key matches, but the Pod does not name this Secret"
                here.append(NearMiss(source=source, key=credential.key, reason=reason, would_match=True))
        elsewhere.sort(key=lambda miss: miss.source.name not in names)
        return [*here, *elsewhere[:MAX_STRANGERS]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ring:
    """The keyring of one list of Secrets, and what became of each of them."""

    index: keyring.KeyringIndex
    credentials: tuple[Credential, ...]
    missing: tuple[str, ...]
    used: tuple[DecodedSecret, ...]
    ignored: tuple[IgnoredSecret, ...]
    poisoned: tuple[PoisonedSecret, ...]


def _misses(credentials: Sequence[Credential], match: keyring.Match, repository: str) -> Iterator[NearMiss]:
    """The near misses among the credentials that the Pod does get."""
    matched = {(credential.source, credential.key) for credential in match.credentials}
    for credential in dict.fromkeys((one.source, one.key) for one in credentials):
        if credential not in matched:
            source, key = credential
            reason = near_miss.why_not(key, repository, is_served=bool(match.credentials))
            if reason is not None:
                yield NearMiss(source=source, key=key, reason=reason)
