"""All that the registry has, page by page, for whoever looks after the storage: scrubber, check and backup.

Pages are short, so that a server beside is never held up by a snapshot.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, literal_column, select, tuple_, union

from sealift.image.digest import Digest
from sealift.registry.catalog.database import Query, Reader
from sealift.registry.catalog.schema import blob, blob_link, manifest, manifest_reference, repository, tag

PAGE: Final = 256
"""Blobs that are asked for at a time."""

MANIFESTS_AT_ONCE: Final = 8
"""Manifests that are asked for at a time; each may have 4 MiB."""

_BLOBS = Query(
    select(blob.c.digest, blob.c.size)
    .where(blob.c.digest > bindparam("last"))
    .order_by(blob.c.digest)
    .limit(bindparam("most"))
)
_BLOB = Query(select(blob.c.size).where(blob.c.digest == bindparam("digest")))
_MANIFESTS = Query(
    select(manifest.c.repository_id, repository.c.name, manifest.c.digest, manifest.c.size, manifest.c.body)
    .join(repository, repository.c.id == manifest.c.repository_id)
    .where(
        tuple_(manifest.c.repository_id, manifest.c.digest)
        > tuple_(bindparam("last_repository"), bindparam("last_digest"))
    )
    .order_by(manifest.c.repository_id, manifest.c.digest)
    .limit(bindparam("most"))
)


_TAGS = Query(select(func.count()).select_from(tag))
_TAGS_WITHOUT = Query(
    select(repository.c.name, tag.c.name, tag.c.digest)
    .join(repository, repository.c.id == tag.c.repository_id)
    .outerjoin(
        manifest,
        (manifest.c.repository_id == tag.c.repository_id) & (manifest.c.digest == tag.c.digest),
    )
    .where(manifest.c.digest.is_(None))
    .limit(bindparam("most"))
)
_LINKS_WITHOUT = Query(
    select(repository.c.name, blob_link.c.digest)
    .join(repository, repository.c.id == blob_link.c.repository_id)
    .outerjoin(blob, blob.c.digest == blob_link.c.digest)
    .where(blob.c.digest.is_(None))
    .limit(bindparam("most"))
)
_PARTS_WITHOUT = Query(
    select(repository.c.name, manifest_reference.c.manifest_digest, manifest_reference.c.digest)
    .join(repository, repository.c.id == manifest_reference.c.repository_id)
    .outerjoin(
        blob_link,
        (blob_link.c.repository_id == manifest_reference.c.repository_id)
        & (blob_link.c.digest == manifest_reference.c.digest),
    )
    .outerjoin(
        manifest,
        (manifest.c.repository_id == manifest_reference.c.repository_id)
        & (manifest.c.digest == manifest_reference.c.digest),
    )
    .where(
        ((manifest_reference.c.kind == "manifest") & manifest.c.digest.is_(None))
        | (
            manifest_reference.c.kind.in_((literal_column("'config'"), literal_column("'layer'")))
            & blob_link.c.digest.is_(None)
        )
    )
    .limit(bindparam("most"))
)
_HOLDERS = Query(
    select(repository.c.name)
    .join(blob_link, blob_link.c.repository_id == repository.c.id)
    .where(blob_link.c.digest == bindparam("digest"))
    .order_by(repository.c.name)
    .limit(bindparam("most"))
)
_start = union(
    select(manifest_reference.c.repository_id, manifest_reference.c.manifest_digest.label("digest"))
    .join(blob_link, blob_link.c.repository_id == manifest_reference.c.repository_id)
    .where(blob_link.c.digest == bindparam("digest"), manifest_reference.c.digest == bindparam("digest")),
    select(manifest.c.repository_id, manifest.c.digest)
    .join(repository, repository.c.id == manifest.c.repository_id)
    .where(repository.c.name == bindparam("repository"), manifest.c.digest == bindparam("digest")),
).subquery()
_needing = select(_start.c.repository_id, _start.c.digest).cte("needing", recursive=True)
_needing = _needing.union(
    select(manifest_reference.c.repository_id, manifest_reference.c.manifest_digest).join(
        _needing,
        (manifest_reference.c.repository_id == _needing.c.repository_id)
        & (manifest_reference.c.digest == _needing.c.digest),
    )
)
_IMAGES = Query(
    select(repository.c.name, tag.c.name)
    .join(tag, tag.c.repository_id == repository.c.id)
    .join(_needing, (_needing.c.repository_id == tag.c.repository_id) & (_needing.c.digest == tag.c.digest))
    .distinct()
    .order_by(repository.c.name, tag.c.name)
    .limit(bindparam("most"))
)


class KnownBlob(NamedTuple):
    """A blob as the catalog has it."""

    digest: Digest
    size: int
    """Bytes."""


class KnownManifest(NamedTuple):
    """A manifest as the catalog has it."""

    repository_id: int
    repository: str
    digest: str
    size: int
    """Bytes."""
    body: bytes

    @property
    def is_right(self) -> bool:
        """Whether the bytes are those of the digest."""
        digest = Digest.parse(self.digest)
        return len(self.body) == self.size and Digest.of(self.body, digest.algorithm) == digest


def blobs_after(reader: Reader, last: str, *, most: int) -> list[KnownBlob]:
    """Some blobs in the order of their digests, after `last`; empty text is the beginning."""
    rows = reader.all(_BLOBS, last=last, most=most)
    return [KnownBlob(Digest.parse(digest), size) for digest, size in rows]


def all_blobs(reader: Reader) -> Iterator[KnownBlob]:
    """Every blob, in the order of the digests."""
    last = ""
    while page := blobs_after(reader, last, most=PAGE):
        yield from page
        last = str(page[-1].digest)


def all_manifests(reader: Reader) -> Iterator[KnownManifest]:
    """Every manifest, by repository and digest."""
    last = (0, "")
    while page := manifests_after(reader, last, most=MANIFESTS_AT_ONCE):
        yield from page
        last = (page[-1].repository_id, page[-1].digest)


def known_size(reader: Reader, digest: Digest) -> int | None:
    """The size that a blob has by the catalog, or None where no repository has had it."""
    row = reader.first(_BLOB, digest=str(digest))
    return None if row is None else int(row[0])


def manifests_after(reader: Reader, last: tuple[int, str], *, most: int) -> list[KnownManifest]:
    """Some manifests in the order of repository and digest, after `last`; ``(0, "")`` is the beginning."""
    rows = reader.all(_MANIFESTS, last_repository=last[0], last_digest=last[1], most=most)
    return [KnownManifest(*row) for row in rows]


def count_tags(reader: Reader) -> int:
    """How many tags there are."""
    row = reader.first(_TAGS)
    return 0 if row is None else int(row[0])


def tags_without_manifest(reader: Reader, *, most: int) -> list[tuple[str, str, str]]:
    """Repository, tag and digest of tags that stand for a manifest which is not there."""
    return [
        (str(name), str(tagged), str(digest)) for name, tagged, digest in reader.all(_TAGS_WITHOUT, most=most)
    ]


def links_without_blob(reader: Reader, *, most: int) -> list[tuple[str, str]]:
    """Repository and digest of links to a blob that nothing is known of."""
    return [(str(name), str(digest)) for name, digest in reader.all(_LINKS_WITHOUT, most=most)]


def parts_missing(reader: Reader, *, most: int) -> list[tuple[str, str, str]]:
    """Repository, manifest and part, where the repository does not have the part."""
    rows = reader.all(_PARTS_WITHOUT, most=most)
    return [(str(name), str(needs), str(part)) for name, needs, part in rows]


def repositories_with(reader: Reader, digest: str, *, most: int) -> list[str]:
    """Repositories that have a blob."""
    return [str(name) for (name,) in reader.all(_HOLDERS, digest=digest, most=most)]


def images_that_need(reader: Reader, digest: str, *, repository: str = "", most: int) -> list[str]:
    """Images, as ``repository:tag``, that a blob is part of; or the manifest `digest` of `repository`."""
    rows = reader.all(_IMAGES, digest=digest, repository=repository, most=most)
    return [f"{name}:{tagged}" for name, tagged in rows]
