"""Manifests and tags: end-3, end-7 and end-9.

A manifest is kept as the bytes that were pushed. It is let in only with all its
parts: every blob linked in this repository and every child manifest pushed to
it, each of the size that the manifest says (clients refuse what has another),
seen in the transaction that keeps it. So a tag never names something that
cannot be pulled whole.

``Accept`` changes neither the bytes nor the status: which types a client can
read is for the client, and a 404 for what is there helps nobody (R-OCI-16 tells
what others do).

Spec: distribution-spec v1.1.1, "Pulling manifests", "Pushing Manifests",
"Content Management"; R-OCI-15 to R-OCI-21, R-OCI-27.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sealift.image.digest import Digest
from sealift.image.manifest import (
    MalformedManifest,
    Manifest,
    ManifestBounds,
    ManifestTooLarge,
)
from sealift.image.reference_grammar import is_tag
from sealift.protocol.endpoints import manifest_path
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.blob_store.blob_store import BlobStore
from sealift.registry.catalog.blob_links import linked_size
from sealift.registry.catalog.database import Catalog, Reader, Transaction
from sealift.registry.catalog.deleted_manifests import bury_manifest
from sealift.registry.catalog.manifests import (
    StoredManifest,
    add_manifest,
    index_that_lists,
    manifest_by_digest,
    manifest_by_tag,
    manifest_size,
)
from sealift.registry.catalog.repositories import ensure_repository, repository_id
from sealift.registry.catalog.tag_rules import TagImmutable
from sealift.registry.catalog.tags import remove_tag, remove_tags_on, set_tag, tag_digest
from sealift.registry.completeness import refuse_incomplete
from sealift.registry.counters import Alarms
from sealift.registry.entity_tags import ANYTHING, Condition, entity_tag, is_known_to, not_modified
from sealift.registry.exchange import Answer, Call
from sealift.registry.refusal import RegistryRefusal, refuse_long_name
from sealift.registry.room import Room
from sealift.registry.settings import Limits

log = logging.getLogger(__name__)

KEPT_ALGORITHMS: Final = frozenset({"sha256", "sha512"})
PARSED_IN_PLACE_BYTES: Final = 64 * 1024
"""Manifests up to this size, which is all of them but a few, are not worth a thread."""

LARGE_BYTES_AT_ONCE: Final = 32 * 1024 * 1024
"""Bytes of large manifests that one process holds at a time, so that many which are sent
slowly do not fill its memory. Whoever comes beyond it is told to come back."""

LARGE_RETRY_SECONDS: Final = 5

READ_TO_REFUSE: Final = 4
"""Times the size of a manifest that is read, and thrown away, of one that is too large."""

MOST_TAGS_AT_ONCE: Final = 64
"""Tags that one push by digest may set."""


class Manifests:
    """The handlers of ``/v2/<name>/manifests/<reference>``."""

    def __init__(
        self,
        catalog: Catalog,
        store: BlobStore,
        limits: Limits,
        *,
        room: Room | None = None,
        alarms: Alarms | None = None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._limits = limits
        self._alarms = alarms or Alarms()
        self._room = room or Room(catalog)
        self._memory = _Memory(LARGE_BYTES_AT_ONCE)
        self._bounds = ManifestBounds(
            size=limits.manifest_bytes, depth=limits.manifest_depth, elements=limits.manifest_elements
        )
        self._parsing = asyncio.Semaphore(1)
        """One large document at a time: parsed it takes many times its size, and two take as long."""

    async def get(self, call: Call) -> Answer:
        """A manifest, by tag or digest.

        Spec: distribution-spec v1.1.1 end-3; R-OCI-17, R-OCI-18, R-OCI-21.

        Raises:
            RegistryRefusal: MANIFEST_UNKNOWN; NAME_UNKNOWN where there is no
                such repository either.
        """
        found = self._find(call.path["name"], call.path["reference"])
        headers = {
            "content-type": found.media_type,
            "content-length": str(len(found.body)),
            "docker-content-digest": found.digest,
            "etag": entity_tag(found.digest),
        }
        if is_known_to(call, found.digest):
            return not_modified(headers)
        return Answer(status=200, headers=headers, body=found.body)

    async def put(self, call: Call) -> Answer:
        """Keep a manifest, and let a tag stand for it if it was pushed by one.

        ``If-Match`` and ``If-None-Match`` speak of what the tag stands for now,
        of each tag where there are several, and of the manifest where there is
        none. All of a push happens, or nothing.

        Spec: distribution-spec v1.1.1 end-7; end-7b of the main branch; RFC 9110, section 13.

        Raises:
            RegistryRefusal: MANIFEST_INVALID (400, or 413 where it is too
                large, or gives a part a wrong size); DIGEST_INVALID; TAG_INVALID;
                MANIFEST_BLOB_UNKNOWN with every part that is missing; DENIED for
                a tag that is immutable (403) or stands for another manifest
                than the condition says (412); TOOMANYREQUESTS where many large
                ones come at once; what `Room` raises, but for a manifest that
                is there already.
        """
        refuse_long_name(call.path["name"], self._limits)
        with self._memory.share() as share:
            return await self._put(call, share)

    async def _put(self, call: Call, share: "_Share") -> Answer:
        name, reference = call.path["name"], call.path["reference"]
        named = _named_digest(reference)
        tags = _tags_to_set(call, reference, named, self._limits.tag_characters)
        parsed = await self._parse(await self._read(call, share), call.headers.get("content-type"))
        digest = parsed.digest
        if named is not None:
            digest = Digest.of(parsed.body, named.algorithm)
            if digest != named:
                raise RegistryRefusal(
                    ErrorCode.DIGEST_INVALID,
                    f"the manifest that came has the digest {digest}",
                    detail={"expected": str(named), "actual": str(digest)},
                )
        repository = repository_id(self._catalog, name)
        if repository is None or manifest_size(self._catalog, repository, digest) is None:
            await self._room.refuse_manifest(name, len(parsed.body))
        damaged = await self._damaged(name, parsed)
        principal, now = call.principal, self._catalog.now()
        condition = Condition.of(call.headers)

        def keep(transaction: Transaction) -> None:
            repository = ensure_repository(transaction, name, by=principal.name, now=now)
            for changed in tags or (str(digest),):
                _refuse_unexpected(transaction, repository, changed, condition)
            refuse_incomplete(transaction, repository, parsed, damaged)
            add_manifest(transaction, repository, parsed, digest, by=principal.name, now=now)
            for tag in tags:
                set_tag(transaction, repository, tag, digest, by=principal, now=now, address=call.address)

        with _immutable_is_denied():
            await self._catalog.write(keep)
        headers = {
            "location": call.base_url + manifest_path(name, digest),
            "docker-content-digest": str(digest),
            "content-length": "0",
        }
        if parsed.subject is not None:
            headers["oci-subject"] = str(parsed.subject.digest)
        if named is not None and tags:
            headers["oci-tag"] = ", ".join(tags)
        return Answer(status=201, headers=headers)

    async def delete(self, call: Call) -> Answer:
        """Remove a tag; or a manifest, with every tag that stands for it.

        Spec: distribution-spec v1.1.1 end-9; R-OCI-27.

        Raises:
            RegistryRefusal: MANIFEST_UNKNOWN; UNSUPPORTED (405) for a manifest
                that an index of the repository lists; DENIED for a tag that is
                immutable, or a manifest that one stands for (403), and for a tag
                that does not stand for what ``If-Match`` says (412).
        """
        name, reference = call.path["name"], call.path["reference"]
        digest = Digest.parse(reference) if ":" in reference else None
        principal, now, address = call.principal, self._catalog.now(), call.address
        condition = Condition.of(call.headers)

        def remove(transaction: Transaction) -> bool:
            repository = repository_id(transaction, name)
            if repository is None or _current(transaction, repository, reference) is None:
                return False
            _refuse_unexpected(transaction, repository, reference, condition)
            if digest is None:
                return remove_tag(transaction, repository, reference, by=principal, now=now, address=address)
            listed_in = index_that_lists(transaction, repository, digest)
            if listed_in is not None:
                raise RegistryRefusal(
                    ErrorCode.UNSUPPORTED,
                    f"the index {listed_in} lists this manifest; delete that first",
                    detail={"digest": str(digest), "index": listed_in},
                )
            tags = remove_tags_on(transaction, repository, digest, by=principal, now=now, address=address)
            return bury_manifest(transaction, repository, digest, tags=tags, by=principal.name, now=now)

        with _immutable_is_denied():
            removed = await self._catalog.write(remove)
        if not removed:
            raise _unknown(self._catalog, name, reference)
        return Answer(status=202, headers={"content-length": "0"})

    def _find(self, name: str, reference: str) -> StoredManifest:
        by = manifest_by_digest if ":" in reference else manifest_by_tag
        found = by(self._catalog, name, reference)
        if found is None:
            raise _unknown(self._catalog, name, reference)
        return found

    async def _read(self, call: Call, share: "_Share") -> bytes:
        """The body, no longer than a manifest may be.

        One that is a little too long is read to its end all the same: a client
        that is refused while it still sends may see a broken connection instead.
        """
        most = self._limits.manifest_bytes
        declared = call.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > READ_TO_REFUSE * most:
            raise _too_large(most)
        pieces: list[bytes] = []
        size = 0
        async for piece in call.body:
            size += len(piece)
            if size > READ_TO_REFUSE * most:
                break
            if size > most:
                pieces.clear()
            else:
                pieces.append(piece)
                share.grow(size)
        if size > most:
            raise _too_large(most)
        return b"".join(pieces)

    async def _parse(self, body: bytes, content_type: str | None) -> Manifest:
        try:
            if len(body) <= PARSED_IN_PLACE_BYTES:
                parsed = Manifest.parse(body, content_type, bounds=self._bounds)
            else:  # so that a document made to be slow to read holds nobody else up
                async with self._parsing:
                    parsed = await asyncio.to_thread(Manifest.parse, body, content_type, bounds=self._bounds)
        except ManifestTooLarge:
            raise _too_large(self._limits.manifest_bytes) from None
        except MalformedManifest as malformed:
            message = f"{malformed}: {malformed.why}" + (f" ({malformed.hint})" if malformed.hint else "")
            raise RegistryRefusal(
                ErrorCode.MANIFEST_INVALID,
                message,
                detail={"place": malformed.place, "rule": malformed.rule},
            ) from None
        if len(parsed.references) > self._limits.manifest_references:
            raise RegistryRefusal(
                ErrorCode.MANIFEST_INVALID,
                f"a manifest refers to at most {self._limits.manifest_references} others here",
            )
        return parsed

    async def _damaged(self, name: str, parsed: Manifest) -> frozenset[Digest]:
        """Blobs that the repository has and the store has not, or not whole.

        They count as missing: the client pushes them again, which heals them.
        """
        damaged = set()
        for part in {part.digest for part in parsed.references}:
            size = linked_size(self._catalog, name, part)
            if size is not None and (stored := await self._store.size_of(part)) != size:
                self._alarms.sound(
                    "blob", "the stored blob %s has %s bytes and should have %d", part, stored, size
                )
                damaged.add(part)
        return frozenset(damaged)


class _Memory:
    """Memory for large manifests that are being pushed, all together."""

    def __init__(self, most: int) -> None:
        self.free = most

    @contextmanager
    def share(self) -> "Iterator[_Share]":
        """One push's part of it, given back in the end."""
        share = _Share(self)
        try:
            yield share
        finally:
            self.free += share.taken


class _Share:
    """What one push has taken."""

    def __init__(self, memory: _Memory) -> None:
        self._memory = memory
        self.taken = 0
        """Bytes. Nothing, for a manifest that is not large."""

    def grow(self, size: int) -> None:
        """Have room for a manifest of `size` bytes.

        Raises:
            RegistryRefusal: TOOMANYREQUESTS: others have it.
        """
        more = size - self.taken if size > PARSED_IN_PLACE_BYTES else 0
        if more > self._memory.free:
            raise RegistryRefusal(
                ErrorCode.TOOMANYREQUESTS,
                "too many large manifests are being pushed; try again",
                headers={"retry-after": str(LARGE_RETRY_SECONDS)},
            )
        self._memory.free -= more
        self.taken += more


@contextmanager
def _immutable_is_denied() -> "Iterator[None]":
    """Tell of an immutable tag in the protocol's words.

    DENIED, since docker, podman and skopeo print its message and end there.
    After UNSUPPORTED podman tries again; after TAG_INVALID podman and skopeo try
    schema 1 instead, and print why that was refused (docs/adr/0009).
    """
    try:
        yield
    except TagImmutable as immutable:
        raise RegistryRefusal(
            ErrorCode.DENIED,
            f"{immutable}: {immutable.why}",
            detail={"tag": immutable.tag, "pattern": immutable.pattern},
        ) from None


def _current(reader: Reader, repository: int, reference: str) -> str | None:
    """The digest of what stands under a tag or a digest, or None."""
    if ":" not in reference:
        return tag_digest(reader, repository, reference)
    return None if manifest_size(reader, repository, Digest.parse(reference)) is None else reference


def _refuse_unexpected(reader: Reader, repository: int, reference: str, condition: Condition) -> None:
    """See that what is to be changed is what the caller believes it to be.

    What it is instead is not said: who may push need not be one who may pull.

    Raises:
        RegistryRefusal: 412. It is not. Spec: RFC 9110, section 15.5.13.
    """
    current = _current(reader, repository, reference)
    if condition.holds(current):
        return
    stands = "is not there" if current is None else "stands for another manifest than was expected"
    if current is not None and condition.must_not_be & {current, ANYTHING}:
        stands = "is there already"
    raise RegistryRefusal(
        ErrorCode.DENIED,
        f"{reference} {stands}: somebody else was first, so look again; nothing was changed",
        detail={"reference": reference, "condition": "If-Match, If-None-Match"},
        status=412,
    )


def _named_digest(reference: str) -> Digest | None:
    """The digest that a manifest is pushed by, or None where it is a tag."""
    if ":" not in reference:
        return None
    digest = Digest.parse(reference)
    if digest.algorithm not in KEPT_ALGORITHMS:
        raise RegistryRefusal(
            ErrorCode.DIGEST_INVALID,
            f"manifests are kept here by sha256 or sha512, not by {digest.algorithm}",
        )
    return digest


def _tags_to_set(call: Call, reference: str, named: Digest | None, most: int) -> tuple[str, ...]:
    """The tags that a push is to set: the one it was pushed by, or those of ``?tag=`` beside a digest."""
    tags = (reference,) if named is None else tuple(dict.fromkeys(call.query.get("tag", ())))
    if len(tags) > MOST_TAGS_AT_ONCE:
        raise RegistryRefusal(
            ErrorCode.TAG_INVALID, f"one push sets at most {MOST_TAGS_AT_ONCE} tags", status=414
        )
    for tag in tags:
        if not is_tag(tag):
            raise RegistryRefusal(ErrorCode.TAG_INVALID, f"{tag[:128]!a} cannot be a tag")
        if len(tag) > most:
            raise RegistryRefusal(
                ErrorCode.TAG_INVALID, f"a tag has at most {most} characters here", detail={"tag": tag}
            )
    return tags


def _too_large(most: int) -> RegistryRefusal:
    return RegistryRefusal(
        ErrorCode.MANIFEST_INVALID, f"a manifest has at most {most} bytes here", status=413
    )


def _unknown(reader: Reader, name: str, reference: str) -> RegistryRefusal:
    if repository_id(reader, name) is None:
        return RegistryRefusal(
            ErrorCode.NAME_UNKNOWN, "repository name not known to registry", detail={"name": name}
        )
    return RegistryRefusal(ErrorCode.MANIFEST_UNKNOWN, "manifest unknown", detail={"reference": reference})
