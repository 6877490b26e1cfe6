"""Manifests: the bytes that were pushed, what they need, and what refers to them."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select
from sqlalchemy.dialects import sqlite

from sealift.image.digest import Digest
from sealift.image.manifest import FOREIGN_LAYER_TYPES, MANIFEST_TYPES, Manifest
from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.deleted_manifests import forget_deleted
from sealift.registry.catalog.schema import manifest, manifest_reference, repository, tag


class StoredManifest(NamedTuple):
    """A manifest as it was pushed."""

    digest: str
    media_type: str
    body: bytes


class Referrer(NamedTuple):
    """A manifest that has another one as its subject."""

    digest: str
    media_type: str
    size: int
    artifact_type: str | None
    body: bytes


_FOUND = select(manifest.c.digest, manifest.c.media_type, manifest.c.body)
_BY_TAG = Query(
    _FOUND.select_from(repository)
    .join(tag, tag.c.repository_id == repository.c.id)
    .join(
        manifest,
        (manifest.c.repository_id == tag.c.repository_id) & (manifest.c.digest == tag.c.digest),
    )
    .where(repository.c.name == bindparam("repository"), tag.c.name == bindparam("tag"))
)
_BY_DIGEST = Query(
    _FOUND.select_from(repository)
    .join(manifest, manifest.c.repository_id == repository.c.id)
    .where(repository.c.name == bindparam("repository"), manifest.c.digest == bindparam("digest"))
)
_SIZE = Query(
    select(manifest.c.size).where(
        manifest.c.repository_id == bindparam("repository_id"), manifest.c.digest == bindparam("digest")
    )
)
_PUT = sqlite.insert(manifest)
_ADD = Query(
    # The bytes of a digest are always the same, unless those that are here were damaged on the disk;
    # what they were sent as may have been wrong before.
    _PUT.on_conflict_do_update(
        index_elements=["repository_id", "digest"],
        set_={
            "media_type": _PUT.excluded.media_type,
            "size": _PUT.excluded.size,
            "body": _PUT.excluded.body,
        },
    ),
    columns=(
        "repository_id",
        "digest",
        "media_type",
        "size",
        "body",
        "subject_digest",
        "artifact_type",
        "created_at",
        "pushed_by",
    ),
)
_ADD_REFERENCE = Query(
    sqlite.insert(manifest_reference).on_conflict_do_nothing(),
    columns=("repository_id", "manifest_digest", "digest", "kind"),
)
_LISTED_IN = Query(
    select(manifest_reference.c.manifest_digest)
    .where(
        manifest_reference.c.repository_id == bindparam("repository_id"),
        manifest_reference.c.digest == bindparam("digest"),
        manifest_reference.c.kind == "manifest",
    )
    .limit(1)
)
_REFERRERS = Query(
    select(
        manifest.c.digest, manifest.c.media_type, manifest.c.size, manifest.c.artifact_type, manifest.c.body
    )
    .where(
        manifest.c.repository_id == bindparam("repository_id"),
        manifest.c.subject_digest == bindparam("subject"),
        manifest.c.digest > bindparam("last"),
        or_(bindparam("artifact_type").is_(None), manifest.c.artifact_type == bindparam("artifact_type")),
    )
    .order_by(manifest.c.digest)
)


def manifest_by_tag(reader: Reader, repository_name: str, name: str) -> StoredManifest | None:
    """The manifest that a tag stands for."""
    row = reader.first(_BY_TAG, repository=repository_name, tag=name)
    return None if row is None else StoredManifest(*row)


def manifest_by_digest(reader: Reader, repository_name: str, digest: str) -> StoredManifest | None:
    """The manifest of that digest, if the repository has it."""
    row = reader.first(_BY_DIGEST, repository=repository_name, digest=digest)
    return None if row is None else StoredManifest(*row)


def manifest_size(reader: Reader, repository_id: int, digest: Digest) -> int | None:
    """The size of a manifest that a repository has, or None where it does not have it."""
    row = reader.first(_SIZE, repository_id=repository_id, digest=str(digest))
    return None if row is None else int(row[0])


def add_manifest(
    transaction: Transaction, repository_id: int, parsed: Manifest, digest: Digest, *, by: str, now: int
) -> None:
    """Keep a manifest, whose parts were seen to be there in this same transaction.

    Args:
        transaction: Where that was seen.
        repository_id: Whose it is.
        parsed: The manifest.
        digest: What it is called: the digest it was pushed by, of whichever algorithm.
        by: Who pushed it.
        now: When.
    """
    transaction.run(
        _ADD,
        repository_id=repository_id,
        digest=str(digest),
        media_type=parsed.media_type,
        size=len(parsed.body),
        body=parsed.body,
        subject_digest=None if parsed.subject is None else str(parsed.subject.digest),
        artifact_type=parsed.listed_artifact_type,
        created_at=now,
        pushed_by=by,
    )
    forget_deleted(transaction, repository_id, str(digest))
    # an index may also list what is no manifest (build caches do); such a part is a blob
    references = [
        (child.digest, "manifest" if child.media_type in MANIFEST_TYPES else "layer")
        for child in parsed.manifests
    ]
    if parsed.config is not None:
        references.append((parsed.config.digest, "config"))
    references += [
        (layer.digest, "foreign" if layer.media_type in FOREIGN_LAYER_TYPES else "layer")
        for layer in parsed.layers
    ]
    for referred, kind in references:
        transaction.run(
            _ADD_REFERENCE,
            repository_id=repository_id,
            manifest_digest=str(digest),
            digest=str(referred),
            kind=kind,
        )


def index_that_lists(reader: Reader, repository_id: int, digest: Digest) -> str | None:
    """The digest of an index of the repository that lists the manifest, if there is one."""
    row = reader.first(_LISTED_IN, repository_id=repository_id, digest=str(digest))
    return None if row is None else str(row[0])


def referrers_after(
    reader: Reader, repository_id: int, subject: Digest, *, artifact_type: str | None, last: str
) -> Iterator[Referrer]:
    """The manifests that refer to `subject`, in the order of their digests, after `last`.

    Stop when you have enough: their bodies are read one by one.
    """
    rows = reader.each(
        _REFERRERS, repository_id=repository_id, subject=str(subject), artifact_type=artifact_type, last=last
    )
    for row in rows:
        yield Referrer(*row)
