"""Whether a repository has every part of a manifest: asked where one comes in, and where one comes back.

Present means linked in this repository. Content that is known only elsewhere
counts as missing.

Spec: distribution-spec v1.1.1, "Pushing Manifests"; R-OCI-20.
"""

from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import FOREIGN_LAYER_TYPES, MANIFEST_TYPES, Manifest
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.catalog.blob_links import linked_size_by_id
from sealift.registry.catalog.database import Reader
from sealift.registry.catalog.manifests import manifest_size
from sealift.registry.refusal import RegistryRefusal


def refuse_incomplete(
    reader: Reader, repository_id: int, parsed: Manifest, damaged: frozenset[Digest]
) -> None:
    """See that the repository has every part of a manifest, and of the size that it says.

    Raises:
        RegistryRefusal: MANIFEST_BLOB_UNKNOWN with every part that is missing,
            each once, in their order; MANIFEST_INVALID for a size.
    """
    missing: dict[Digest, None] = {}
    for part in parsed.references:
        if part.media_type in FOREIGN_LAYER_TYPES:
            continue
        size = _size_of(reader, repository_id, part)
        if size is None or (part.digest in damaged and part.media_type not in MANIFEST_TYPES):
            missing[part.digest] = None
        elif size != part.size:
            raise RegistryRefusal(
                ErrorCode.MANIFEST_INVALID,
                f"the manifest says that {part.digest} has {part.size} bytes; it has {size}",
                detail={"digest": str(part.digest), "expected": part.size, "actual": size},
            )
    if missing:
        raise _parts_missing(list(missing))


def _size_of(reader: Reader, repository: int, part: Descriptor) -> int | None:
    """The bytes that the repository has of a part, or None where it does not have it."""
    if part.media_type in MANIFEST_TYPES:
        return manifest_size(reader, repository, part.digest)
    return linked_size_by_id(reader, repository, part.digest)


def _parts_missing(missing: list[Digest]) -> RegistryRefusal:
    names = [str(each) for each in missing]
    return RegistryRefusal(
        ErrorCode.MANIFEST_BLOB_UNKNOWN,
        f"the manifest refers to content that this repository does not have: {', '.join(names)}",
        detail=[{"digest": each} for each in names],
    )
