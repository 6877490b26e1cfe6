"""Anything that can be asked for credentials, and the two simplest of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sealift.credentials.credential import Credential


class Keyring(Protocol):
    """Has credentials for registries.

    A login file, a credential helper, the pull Secrets of a Pod: each is one.
    """

    async def credentials_for(self, registry: str, path: str = "") -> Sequence[Credential]:
        """The credentials to try, best first. Empty means: ask without one.

        Args:
            registry: As it stands in a reference: ``docker.io``, ``example.com:5000``.
            path: The repository within it; empty where the registry itself is asked.

        Raises:
            SealiftError: the source is there and cannot be read. One that is
                absent is no error: it has no credentials.
        """


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """A keyring that is empty: every request is anonymous."""

    async def credentials_for(self, registry: str, path: str = "") -> Sequence[Credential]:  # noqa: ARG002  the protocol's
        """None, for whatever registry."""
        return ()


@dataclass(frozen=True, slots=True)
class SingleCredential:
    """A keyring of one credential for one registry, and of none for any other."""

    registry: str
    credential: Credential

    async def credentials_for(self, registry: str, path: str = "") -> Sequence[Credential]:  # noqa: ARG002  the protocol's
        """The one, if it is for this registry."""
        return (self.credential,) if registry == self.registry else ()
