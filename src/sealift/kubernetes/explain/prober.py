"""Asks a registry for an image with one credential, as a kubelet would have its runtime ask."""

from typing import Final

from sealift.client.errors import (
    Denied,
    NotFound,
    PlatformMissing,
    RateLimited,
    RegistryClientError,
    RegistryRefused,
    Unauthenticated,
)
from sealift.client.keyring import Keyring, NoCredentials, SingleCredential
from sealift.client.registry_client import RegistryClient
from sealift.client.session import SessionOptions
from sealift.credentials.credential import Credential
from sealift.image.manifest import INDEX_TYPES
from sealift.image.platform import Platform, choose
from sealift.image.reference import ImageReference
from sealift.kubernetes.explain.evidence import Outcome, OutcomeStatus
from sealift.transport.http import TlsFailed, Transport, Unreachable

_STATUSES: Final[tuple[tuple[type[RegistryClientError], OutcomeStatus], ...]] = (
    (Unauthenticated, "unauthenticated"),
    (Denied, "forbidden"),
    (NotFound, "notFound"),
    (RateLimited, "rateLimited"),
    (PlatformMissing, "platformMissing"),
)
_OK: Final = 200


class RegistryProber:
    """A door to registries, for `sealift.kubernetes.explain.collect.probe`.

    Each question has a client of its own, so that no token of one credential
    serves another.
    """

    def __init__(self, transport: Transport, options: SessionOptions, platform: Platform) -> None:
        self._transport = transport
        self._options = options
        self._platform = platform

    async def ask(self, reference: ImageReference, credential: Credential | None) -> Outcome:
        """HEAD the manifest, and read it if it is an index, to see whether the platform is in it.

        A credential without a user name is none for containerd (R-CRI-4).
        """
        keyring: Keyring = NoCredentials()
        if credential is not None and credential.username:
            keyring = SingleCredential(reference.repository.registry, credential)
        client = RegistryClient(self._transport, keyring, self._options)
        wanted = reference.for_containerd()
        try:
            found = await client.resolve(wanted)
            if found.media_type in INDEX_TYPES:
                index = await client.fetch_manifest(wanted.pinned_to(found.digest))
                if choose(index.manifests, self._platform) is None:
                    offered = ", ".join(
                        sorted({str(one.platform) for one in index.manifests if one.platform})
                    )
                    message = f"the index has no image for {self._platform}, but for: {offered or 'none'}"
                    return Outcome(status="platformMissing", http_status=_OK, message=message)
        except TlsFailed as error:
            return Outcome(status="tlsFailed", http_status=None, message=_message(error))
        except Unreachable as error:
            return Outcome(status="unreachable", http_status=None, message=_message(error))
        except RegistryClientError as error:
            status: OutcomeStatus = next(
                (name for kind, name in _STATUSES if isinstance(error, kind)), "unreachable"
            )
            http_status = error.http_status if isinstance(error, RegistryRefused) else None
            return Outcome(status=status, http_status=http_status, message=_message(error))
        return Outcome(status="ok", http_status=_OK, message=f"{found.digest}, {found.size} bytes")


def _message(error: Unreachable | RegistryClientError) -> str:
    return error.why or str(error)
