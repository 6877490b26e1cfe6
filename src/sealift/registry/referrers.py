"""What refers to a manifest: signatures, SBOMs and the like (end-12).

The list is made of the manifests that name the subject, whether that is there,
comes later, or has gone. An unknown subject has an empty list, and so has one
in a repository to which nothing was pushed yet.

Spec: distribution-spec v1.1.1, "Listing Referrers"; R-OCI-24.
"""

from typing import Any, Final
from urllib.parse import quote

import msgspec

from sealift.image.digest import Digest
from sealift.image.manifest import OCI_INDEX
from sealift.protocol.endpoints import referrers_path
from sealift.registry.blob_store.alarms import Alarms
from sealift.registry.blob_store.blob_damaged import BlobDamaged
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.manifests import Referrer, referrers_after
from sealift.registry.catalog.repositories import repository_id
from sealift.registry.exchange import Answer, Call
from sealift.registry.refusal import damage_refusal
from sealift.registry.settings import Limits

MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a page, and of the manifests read for it, before it ends with a ``Link``."""


class _Annotated(msgspec.Struct):
    annotations: dict[str, str] | None = None


_ANNOTATIONS = msgspec.json.Decoder(_Annotated)


class Referrers:
    """The handler of ``/v2/<name>/referrers/<digest>``."""

    def __init__(self, catalog: Catalog, limits: Limits, alarms: Alarms) -> None:
        self._catalog = catalog
        self._alarms = alarms
        self._limits = limits

    async def get(self, call: Call) -> Answer:
        """An index of all that refers to a manifest, or one page of it.

        Raises:
            RegistryRefusal: UNKNOWN (500) where the bytes of one are not those
                of its digest: its annotations stand in the list.
        """
        name, subject = call.path["name"], Digest.parse(call.path["digest"])
        wanted = call.query.get("artifactType", ("",))[0] or None
        last = call.query.get("last", ("",))[0]
        found, more = self._page(name, subject, wanted, last)
        for each in found:
            self._see_right(name, each)
        body = msgspec.json.encode(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_entry(each) for each in found]}
        )
        headers = {"content-type": OCI_INDEX, "content-length": str(len(body))}
        if wanted is not None:
            headers["oci-filters-applied"] = "artifactType"
        if more:
            path = referrers_path(name, subject, artifact_type=wanted)
            joined = "&" if wanted is not None else "?"
            headers["link"] = f'<{path}{joined}last={quote(found[-1].digest, safe=":")}>; rel="next"'
        return Answer(status=200, headers=headers, body=body)

    def _page(self, name: str, subject: Digest, wanted: str | None, last: str) -> tuple[list[Referrer], bool]:
        """As many referrers as a page takes, and whether there are more."""
        repository = repository_id(self._catalog, name)
        if repository is None:
            return [], False
        found: list[Referrer] = []
        size = 0
        for each in referrers_after(self._catalog, repository, subject, artifact_type=wanted, last=last):
            size += len(each.body)
            if found and (size > MOST_BYTES or len(found) >= self._limits.page_entries):
                return found, True
            found.append(each)
        return found, False

    def _see_right(self, name: str, referrer: Referrer) -> None:
        """See that the database gave back what was pushed."""
        digest = Digest.parse(referrer.digest)
        if Digest.of(referrer.body, digest.algorithm) != digest:
            size = len(referrer.body)
            damaged = BlobDamaged(digest, expected=size, found=size, kind="manifest")
            self._alarms.sound(damaged, f"listed as a referrer in {name}")
            raise damage_refusal(damaged)


def _entry(referrer: Referrer) -> dict[str, Any]:
    """The descriptor of a referrer, with its artifact type and annotations."""
    entry: dict[str, Any] = {
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": referrer.size,
    }
    if referrer.artifact_type is not None:
        entry["artifactType"] = referrer.artifact_type
    annotations = _ANNOTATIONS.decode(referrer.body).annotations
    if annotations:
        entry["annotations"] = annotations
    return entry
