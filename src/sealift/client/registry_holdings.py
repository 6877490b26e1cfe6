"""All that a registry holds, over the wire.

The distribution protocol lists tags, and what refers to a manifest; it does
not list manifests. One that no tag, no index and no subject leads to cannot be
found this way, only in the file tree.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus

from sealift.client.errors import NotFound, RegistryRefused, Unauthenticated, UnusableAnswer
from sealift.client.holdings import Gap
from sealift.client.registry_client import RegistryClient
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import MANIFEST_TYPES, Manifest
from sealift.image.reference import ImageReference, Repository
from sealift.image.reference_grammar import MAX_PATH_LENGTH, is_path, is_tag

_NO_SUCH_ENDPOINT = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)


class RegistryHoldings:
    """Implements `Holdings`."""

    def __init__(self, client: RegistryClient, registry: str, named: Sequence[str] = ()) -> None:
        """`named` are repositories that are read without asking the registry for its list."""
        self._client = client
        self._registry = registry
        self._named = tuple(named)
        self._lists_referrers = True

    async def repositories(self, wanted: Callable[[str], bool]) -> AsyncIterator[str | Gap]:
        """Those that were named, or those that the registry lists.

        Raises:
            RegistryRefused: it does not list them, or not for us.
        """
        if self._named:
            for name in self._named:
                yield name
            return
        seen: set[str] = set()
        try:
            async for name in self._client.repositories(self._registry):
                if name in seen:
                    continue
                seen.add(name)
                if not is_path(name) or len(name) > MAX_PATH_LENGTH:
                    yield Gap(name, UnusableAnswer(f"{name!a} is not the name of a repository"))
                elif wanted(name):
                    yield name
        except RegistryRefused as refusal:
            if not isinstance(refusal, Unauthenticated):
                refusal.hint = "name the repositories: --repo NAME, once for each"
            raise

    async def tags(self, name: str) -> AsyncIterator[str | Gap]:
        """All that the registry lists.

        Distribution says 404 of a repository without tags. Of one that it listed itself this is no error.
        """
        seen: set[str] = set()
        try:
            async for tag in self._client.tags(self._repository(name)):
                if tag in seen:
                    continue
                seen.add(tag)
                yield tag if is_tag(tag) else Gap(tag, UnusableAnswer(f"{tag!a} is not a tag"))
        except NotFound:
            if self._named:
                raise

    async def digest_of(self, name: str, tag: str) -> Digest:
        """What the tag stands for, by HEAD, or by GET where the registry says too little."""
        found = await self._client.resolve(ImageReference(repository=self._repository(name), tag=tag))
        return found.digest

    async def revisions(self, name: str) -> AsyncIterator[Digest | Gap]:  # noqa: ARG002  the protocol's
        """None: the protocol has no such list."""
        nothing: tuple[Digest, ...] = ()
        for digest in nothing:
            yield digest

    async def manifest(self, name: str, digest: Digest) -> Manifest:
        """The manifest by its digest."""
        return await self._client.fetch_manifest(
            ImageReference(repository=self._repository(name), digest=digest)
        )

    async def referrers(self, name: str, digest: Digest) -> AsyncIterator[Digest]:
        """What the registry lists; nothing where it has no such endpoint: then they hang on tags."""
        if not self._lists_referrers:
            return
        try:
            async for found in self._client.referrers(self._repository(name), digest):
                if found.media_type in MANIFEST_TYPES:
                    yield found.digest
        except RegistryRefused as refusal:
            if refusal.http_status not in _NO_SUCH_ENDPOINT:
                raise
            # We have just read a manifest of this repository: it is the endpoint that is missing.
            self._lists_referrers = False

    async def has_blob(self, name: str, blob: Descriptor) -> bool:
        """Whether the registry has it in this repository."""
        return await self._client.blob_size(self._repository(name), blob.digest) is not None

    def blob(self, name: str, blob: Descriptor) -> AsyncIterator[bytes]:
        """The blob, going on where a connection broke."""
        return self._client.fetch_blob(self._repository(name), blob)

    def mountable(self, name: str) -> Repository:
        """The repository itself."""
        return self._repository(name)

    def _repository(self, name: str) -> Repository:
        return Repository(self._registry, name)
