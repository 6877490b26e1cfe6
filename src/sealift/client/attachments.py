"""What is attached to an image: signatures, SBOMs and attestations, brought along when it is copied.

There are three ways in which they are attached, and all three are followed:

* a manifest with a ``subject``, which the registry lists (end-12);
* the same in a registry without such a list: its clients keep one, as an index
  under a tag made of the subject's digest (R-OCI-25);
* an image under a tag made of the digest and a suffix, ``sha256-<hex>.sig``,
  ``.att``, ``.sbom``, as cosign has always written them.

Where the destination has no list of its own, we keep the one under the tag.

Spec: distribution-spec v1.1.1, "Listing Referrers", "Referrers Tag Schema",
"Pushing Manifests with Subject".
"""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from sealift.client.copy import MAX_DEPTH, MAX_MANIFESTS, Progress, copy_image
from sealift.client.errors import NotFound, RegistryRefused, UnusableManifest
from sealift.client.registry_client import RegistryClient
from sealift.client.registry_image import RegistryDestination, RegistrySource
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import MANIFEST_TYPES, OCI_INDEX, Manifest
from sealift.image.reference import ImageReference, Repository
from sealift.image.reference_grammar import is_tag
from sealift.protocol.endpoints import referrers_tag

NO_SUCH_LIST: Final = frozenset(
    {
        HTTPStatus.NOT_FOUND,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)
"""What registries without a list of referrers answer to the question for it."""


async def referrers_of(client: RegistryClient, repository: Repository, subject: Digest) -> list[Descriptor]:
    """All that refers to a manifest: what the registry lists, else what its clients listed under a tag.

    Raises:
        UnusableManifest: they are more than `MAX_MANIFESTS`, or the tag names no index.
    """
    found = await _listed(client, repository, subject)
    if found is None:
        kept = await _list_under_tag(client, repository, subject)
        found = list(kept.manifests) if kept is not None else []
    return found


class Attachments:
    """Implements `Companions`: what is attached to the images of one repository, on its way to another."""

    def __init__(
        self,
        client: RegistryClient,
        source: Repository,
        destination: Repository,
        progress: Progress | None = None,
    ) -> None:
        self._client = client
        self._source = source
        self._destination = destination
        self._progress = progress
        self.brought: dict[Digest, Descriptor] = {}
        """What came along, by digest."""

    async def bring(self, manifests: Sequence[Manifest]) -> None:
        """Bring over what is attached to these, and what is attached to that.

        Raises:
            UnusableManifest: there is more than `MAX_MANIFESTS` of it, or more than `MAX_DEPTH` deep.
        """
        subjects = {manifest.digest for manifest in manifests}
        level = set(subjects)
        for _ in range(MAX_DEPTH):
            found = [
                each for subject in sorted(level, key=str) for each in await self._bring_referrers(subject)
            ]
            level = {each.digest for each in found} - subjects
            subjects |= level
            if not level:
                break
        else:
            raise UnusableManifest(
                "what is attached to the image has no end", why=f"it is nested more than {MAX_DEPTH} deep"
            )
        for tag in await self._tags_made_of(subjects):
            reference = ImageReference(repository=self._source, tag=tag)
            self._note(await self._copy(reference, ImageReference(repository=self._destination, tag=tag)))

    async def _bring_referrers(self, subject: Digest) -> list[Descriptor]:
        found = [
            each
            for each in await referrers_of(self._client, self._source, subject)
            if each.media_type in MANIFEST_TYPES
        ]
        for each in found:
            if each.digest not in self.brought:
                self._note(each)
                await self._copy(
                    ImageReference(repository=self._source, digest=each.digest),
                    ImageReference(repository=self._destination, digest=each.digest),
                )
        if found and await _listed(self._client, self._destination, subject) is None:
            await self._keep_list(subject, found)
        return found

    async def _copy(self, source: ImageReference, destination: ImageReference) -> Descriptor:
        report = await copy_image(
            RegistrySource(self._client, source),
            RegistryDestination(self._client, destination),
            progress=self._progress,
        )
        return report.root

    def _note(self, brought: Descriptor) -> None:
        self.brought[brought.digest] = brought
        if len(self.brought) > MAX_MANIFESTS:
            raise _too_many()

    async def _tags_made_of(self, subjects: set[Digest]) -> list[str]:
        """The tags of the source that are a subject's digest and a suffix."""
        beginnings = {referrers_tag(subject) for subject in subjects}
        found = []
        try:
            async for tag in self._client.tags(self._source):
                digest, dot, suffix = tag.partition(".")
                if dot and suffix and digest in beginnings and is_tag(tag):
                    found.append(tag)
        except NotFound:  # distribution has no list for a repository without tags
            return []
        return found

    async def _keep_list(self, subject: Digest, found: Sequence[Descriptor]) -> None:
        """Add to the list under the tag, for a destination that keeps none itself."""
        kept = await _list_under_tag(self._client, self._destination, subject)
        before = list(kept.manifests) if kept is not None else []
        known = {each.digest for each in before}
        added = [each for each in found if each.digest not in known]
        if not added:
            return
        entries = [each.to_document() for each in (*before, *added)]
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
        tagged = ImageReference(repository=self._destination, tag=referrers_tag(subject))
        await self._client.push_manifest(tagged, Manifest.parse(body, OCI_INDEX))


async def _listed(client: RegistryClient, repository: Repository, subject: Digest) -> list[Descriptor] | None:
    """What the registry itself lists; None where it has no such list."""
    found: list[Descriptor] = []
    try:
        async for each in client.referrers(repository, subject):
            found.append(each)
            if len(found) > MAX_MANIFESTS:
                raise _too_many()
    except RegistryRefused as refusal:
        if refusal.http_status not in NO_SUCH_LIST:
            raise
        return None
    return found


async def _list_under_tag(client: RegistryClient, repository: Repository, subject: Digest) -> Manifest | None:
    """The index that clients keep where the registry has no list; None where nobody began one."""
    reference = ImageReference(repository=repository, tag=referrers_tag(subject))
    try:
        kept = await client.fetch_manifest(reference)
    except NotFound:
        return None
    if not kept.is_index:
        raise UnusableManifest(
            f"cannot read what refers to {subject}",
            why=f"{reference} should be an index, and is {kept.media_type}",
        )
    if len(kept.manifests) > MAX_MANIFESTS:
        raise _too_many()
    return kept


def _too_many() -> UnusableManifest:
    return UnusableManifest(
        "too much is attached to the image", why=f"it is more than {MAX_MANIFESTS} manifests"
    )
