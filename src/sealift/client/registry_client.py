"""A registry as one user of it sees it: the verbs of the distribution protocol.

Everything that has a digest is checked against it before it is called done;
everything that a registry says has a limit. How a request gets there (scheme,
token, redirect, retry) is `sealift.client.session`'s business.

Spec: OCI distribution-spec v1.1.1, end-1 to end-11; R-OCI-*.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final

from sealift.client.blob_download import BlobDownloads
from sealift.client.blob_upload import BlobUploads, Content, Upload
from sealift.client.errors import (
    ContentMismatch,
    ContentRefused,
    RegistryFailed,
    UnusableAnswer,
    UnusableManifest,
)
from sealift.client.keyring import Keyring
from sealift.client.listings import Listings
from sealift.client.session import Call, Host, Session, SessionOptions, repository_call
from sealift.credentials.credential import Credential, SecretText
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest, MalformedDigest
from sealift.image.manifest import (
    MANIFEST_TYPES,
    MAX_MANIFEST_SIZE,
    MalformedManifest,
    Manifest,
)
from sealift.image.reference import ImageReference, Repository
from sealift.protocol.endpoints import blob_path, manifest_path
from sealift.protocol.scope import repository_scope
from sealift.transport.http import ConnectionBroken, Response, Transport

ACCEPT: Final = ", ".join((*MANIFEST_TYPES, "*/*"))
"""All four types by name, since distribution v3 looks for them literally (R-OCI-16)."""

UPLOAD_ATTEMPTS = 3
"""How often a blob is sent from its beginning before we give up."""

MAX_ABOUT = 64 * 1024
"""Bytes of what a server says about itself."""

UNKNOWN_SIZE = -1
"""Of a blob that is there, in an answer without a length."""


class Delivery(Enum):
    """How a blob came to be where it was wanted."""

    EXISTED = "exists"
    MOUNTED = "mounted"
    SENT = "sent"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a registry said to a credential."""

    asked: bool
    """False where it asks nobody for one: then nothing was proved."""

    identity_token: SecretText | None = None
    """What may be kept instead of the password."""


class RegistryClient:
    """Registries, as one user of them sees them.

    One instance serves any number of registries and tasks. It holds tokens, in
    memory only, and no other state.
    """

    def __init__(
        self,
        transport: Transport,
        keyring: Keyring,
        options: SessionOptions | None = None,
        *,
        session: Session | None = None,
    ) -> None:
        """`session` is for tests that bring a clock of their own."""
        self._session = session if session is not None else Session(transport, keyring, options)
        self._uploads = BlobUploads(self._session)
        self._downloads = BlobDownloads(self._session, transport)
        self._listings = Listings(self._session)

    async def ping(self, registry: str) -> Host:
        """Where `registry` is and how it challenges; no credential is sent (end-1).

        Raises:
            Unreachable: nothing there speaks HTTP.
        """
        return await self._session.settle(registry)

    async def prove(self, registry: str, credential: Credential) -> Proof:
        """Have the registry say that it knows this credential, as `login` needs it.

        Raises:
            Unauthenticated: it does not.
            UnusableAnswer: what answers there is no registry.
        """
        host, grant = await self._session.prove(registry, credential)
        if grant is None and host.status != HTTPStatus.OK:
            raise UnusableAnswer(
                f"{registry} does not answer as a registry",
                why=f"GET /v2/ gave status {host.status}, and no way to log in",
                hint="check the host and the port",
            )
        return Proof(
            asked=grant is not None, identity_token=grant.identity_token if grant is not None else None
        )

    async def is_sealift(self, registry: str) -> bool:
        """Whether the registry says that it is Sealift and has a management API. No credential is sent."""
        response = await self._session.ask_openly(registry, "/api/v1")
        body = await response.read_start(MAX_ABOUT)
        try:
            document = json.loads(body) if response.status == HTTPStatus.OK else None
        except (ValueError, RecursionError):
            return False
        return isinstance(document, dict) and document.get("product") == "sealift"

    # -------------------------------------------------------------- manifests

    async def resolve(self, reference: ImageReference) -> Descriptor:
        """Find out what a reference points at now, without fetching it.

        Spec: end-3, as HEAD. Falls back to GET where the registry does not do
        HEAD, or its answer lacks digest, type or length (R-CRI-6).

        Raises:
            NotFound: no such repository or tag, or not for us: a private
                registry may answer 404 for what we may not see.
            Unauthenticated: every credential of the keyring was refused.
            Denied: we are known, and may not.
        """
        fallback = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
        response = await self._session.send(
            self._manifest_call(reference, "HEAD", "resolve", accepted=fallback)
        )
        await response.close()
        described = _described(response, reference) if response.status == HTTPStatus.OK else None
        if described is not None:
            return described
        # Also where HEAD was refused: its answer has no body, and GET's tells why (R-OCI-4).
        manifest = await self._fetch_manifest(reference, "resolve")
        return Descriptor(manifest.media_type, reference.digest or manifest.digest, len(manifest.body))

    async def find_digest(self, reference: ImageReference, *, pushing: bool = False) -> Digest | None:
        """The digest of what a reference points at, or None where there is nothing. One HEAD, no body.

        Args:
            reference: By tag or by digest.
            pushing: Ask with the rights of a push, so that one token serves the whole of it.

        Raises:
            UnusableAnswer: there is something, and the registry does not say what.
        """
        call = self._manifest_call(
            reference,
            "HEAD",
            "look for",
            accepted=frozenset({HTTPStatus.NOT_FOUND}),
            pushing=pushing,
        )
        response = await self._session.send(call)
        await response.close()
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        digest = reference.digest if reference.digest is not None else _header_digest(response)
        if digest is None:
            raise UnusableAnswer(f"cannot {call.doing}", why="the registry does not say its digest")
        return digest

    async def fetch_manifest(self, reference: ImageReference) -> Manifest:
        """Fetch a manifest or index (end-3), and check it.

        By digest the bytes are checked against it; by tag against what the
        registry itself says their digest is, where it says so.

        Raises:
            ContentMismatch: the bytes are not what digest or header says.
            UnusableManifest: they are no manifest that we can read.
            NotFound, Unauthenticated, Denied: as for `resolve`.
        """
        return await self._fetch_manifest(reference, "pull")

    async def _fetch_manifest(self, reference: ImageReference, verb: str) -> Manifest:
        response = await self._session.send(self._manifest_call(reference, "GET", verb))
        doing = f"{verb} {reference}"
        try:
            body = await response.read(MAX_MANIFEST_SIZE)
        except ValueError:
            raise UnusableManifest(
                f"cannot {doing}", why=f"its manifest is longer than {MAX_MANIFEST_SIZE} bytes"
            ) from None
        claimed = _header_digest(response)
        for expected in (reference.digest, claimed if reference.digest is None else None):
            if expected is not None and Digest.of(body, expected.algorithm) != expected:
                raise ContentMismatch(
                    f"cannot {doing}: its manifest is not what its digest says",
                    why=f"expected {expected}, and got {Digest.of(body, expected.algorithm)}",
                    hint="try again; if it stays so, the copy in the registry is damaged or was replaced",
                )
        try:
            return Manifest.parse(body, response.headers.get("content-type"))
        except MalformedManifest as error:
            raise UnusableManifest(
                f"cannot {doing}", why=f"what the registry sent is no manifest: {error.why}", hint=error.hint
            ) from None

    def _manifest_call(
        self,
        reference: ImageReference,
        method: str,
        verb: str,
        *,
        accepted: frozenset[int] = frozenset(),
        pushing: bool = False,
    ) -> Call:
        repository = reference.repository
        path = repository.dial_path
        return repository_call(
            repository,
            method,
            manifest_path(repository.dial_path, reference.selector),
            doing=f"{verb} {reference}",
            scopes=(repository_scope(path, "pull", "push") if pushing else repository_scope(path, "pull"),),
            headers={"Accept": ACCEPT},
            accepted=accepted,
        )

    async def push_manifest(self, reference: ImageReference, manifest: Manifest) -> Descriptor:
        """Put a manifest under the reference's tag, or under its digest where it has no tag (end-7).

        With a tag and a digest of another algorithm than SHA-256, the tag is
        asked for beside the digest (end-7b), so that it stands for that digest;
        a registry that does not know this gets the tag alone.

        Raises:
            ContentMismatch: the registry stored it under another digest.
            RegistryRefused: it did not take it: a blob is missing, or it is invalid there.
        """
        repository = reference.repository
        target = reference.tag or str(reference.digest or manifest.digest)
        doing = f"push {repository}{'@' if ':' in target else ':'}{target}"
        response: Response | None = None
        if reference.tag is not None and _is_beside_sha256(reference.digest):
            path = manifest_path(repository.dial_path, str(reference.digest))
            response = await self._put_manifest(repository, f"{path}?tag={reference.tag}", manifest, doing)
            if response.headers.get("oci-tag", "").strip() != reference.tag:
                response = None
        if response is None:
            path = manifest_path(repository.dial_path, target)
            response = await self._put_manifest(repository, path, manifest, doing)
        claimed = _header_digest(response)
        if claimed is not None and claimed != Digest.of(manifest.body, claimed.algorithm):
            raise ContentMismatch(
                f"cannot {doing}: the registry stored something else",
                why=f"it says {claimed}, and the manifest's digest is {manifest.digest}",
            )
        return Descriptor(manifest.media_type, manifest.digest, len(manifest.body))

    async def _put_manifest(
        self, repository: Repository, path: str, manifest: Manifest, doing: str
    ) -> Response:
        """The answer to a PUT of a manifest at `path`, without its body."""
        response = await self._session.send(
            repository_call(
                repository,
                "PUT",
                path,
                doing=doing,
                scopes=(repository_scope(repository.dial_path, "pull", "push"),),
                headers={"Content-Type": manifest.media_type},
                body=manifest.body,
            )
        )
        await response.close()
        return response

    async def delete_manifest(self, reference: ImageReference) -> None:
        """Delete a tag, or by digest a manifest with all its tags (end-9).

        Raises:
            Unsupported: the registry does not delete, or not by tag.
            NotFound: there is no such tag or manifest.
        """
        repository = reference.repository
        call = repository_call(
            repository,
            "DELETE",
            manifest_path(repository.dial_path, reference.selector),
            doing=f"delete {reference}",
            scopes=(repository_scope(repository.dial_path, "delete", "pull"),),
        )
        try:
            response = await self._session.send(call)
        except ContentRefused as refusal:
            if reference.digest is not None:
                raise
            # distribution before version 3 wants a digest there, and takes the tag for a bad one.
            raise refusal.as_unsupported() from None
        await response.close()

    # ------------------------------------------------------------------ lists

    def tags(self, repository: Repository) -> AsyncIterator[str]:
        """Every tag of a repository, page by page, in the registry's order (end-8).

        Raises:
            NotFound: no such repository, or not for us.
        """
        return self._listings.tags(repository)

    def repositories(self, registry: str) -> AsyncIterator[str]:
        """Every repository of a registry that lists them, as far as we may see them."""
        return self._listings.repositories(registry)

    def referrers(self, repository: Repository, subject: Digest) -> AsyncIterator[Descriptor]:
        """Everything that refers to a manifest (end-12).

        Raises:
            NotFound: the registry has no such endpoint.
        """
        return self._listings.referrers(repository, subject)

    # ------------------------------------------------------------------ blobs

    async def blob_size(self, repository: Repository, digest: Digest, *, pushing: bool = False) -> int | None:
        """The size of a blob by HEAD (end-2). None: not there. `UNKNOWN_SIZE`: the registry does not say.

        Args:
            repository: Where to look.
            digest: Of the blob.
            pushing: Ask with the rights of a push, so that one token serves the whole of it.
        """
        path = repository.dial_path
        scope = repository_scope(path, "pull", "push") if pushing else repository_scope(path, "pull")
        doing = f"push {digest} to {repository}" if pushing else f"look for {digest} in {repository}"
        response = await self._session.send(
            repository_call(
                repository,
                "HEAD",
                blob_path(path, digest),
                doing=doing,
                scopes=(scope,),
                accepted=frozenset({HTTPStatus.NOT_FOUND}),
            )
        )
        await response.close()
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        length = response.headers.get("content-length", "")
        return int(length[:18]) if length.isascii() and length.isdigit() else UNKNOWN_SIZE

    def fetch_blob(self, repository: Repository, blob: Descriptor) -> AsyncIterator[bytes]:
        """Stream a blob (end-2), checking size and digest as it passes.

        Where the connection breaks it goes on from there. The digest can only
        be known at the end: do not trust what was yielded before the iteration
        has finished without `ContentMismatch`.

        Raises:
            ContentMismatch: the bytes are not what the descriptor says.
            NotFound: the registry does not have it.
        """
        return self._downloads.fetch(repository, blob)

    async def push_blob(
        self,
        repository: Repository,
        blob: Descriptor,
        content: Content,
        *,
        mount_from: Repository | None = None,
    ) -> Delivery:
        """Have a blob in a repository: found there, mounted from another one, or sent.

        Args:
            repository: Where it is wanted.
            blob: Its digest and size.
            content: Makes its bytes. Called again where a connection broke and the upload starts over.
            mount_from: A repository of the same registry that has the blob.

        Raises:
            Denied, Unauthenticated: we may not push there.
            ContentRefused: the registry did not receive what the digest says.
        """
        size = await self.blob_size(repository, blob.digest, pushing=True)
        if size in {blob.size, UNKNOWN_SIZE}:
            return Delivery.EXISTED
        upload: Upload | None = None
        if (
            mount_from is not None
            and mount_from.dial_host == repository.dial_host
            and mount_from != repository
        ):
            upload = await self._uploads.mount(repository, blob.digest, mount_from)
            if upload is None:
                return Delivery.MOUNTED
        attempt = 0
        while True:
            attempt += 1
            try:
                upload = upload if upload is not None else await self._uploads.start(repository, blob.digest)
                await self._uploads.send(upload, blob, content)
            except (ConnectionBroken, RegistryFailed):
                if attempt >= UPLOAD_ATTEMPTS:
                    raise
            else:
                return Delivery.SENT
            upload = None
            await self._session.pause(attempt)


def _described(response: Response, reference: ImageReference) -> Descriptor | None:
    """The descriptor in the headers of a HEAD; None where something is missing there."""
    digest = reference.digest if reference.digest is not None else _header_digest(response)
    length = response.headers.get("content-length", "")
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if digest is None or media_type not in MANIFEST_TYPES or not (length.isascii() and length.isdigit()):
        return None
    return Descriptor(media_type, digest, int(length[:18])) if int(length[:18]) else None


def _is_beside_sha256(digest: Digest | None) -> bool:
    """Whether a digest is one that a push by tag alone would not be known by."""
    return digest is not None and digest.algorithm != "sha256"


def _header_digest(response: Response) -> Digest | None:
    """What the registry says the digest is. Text that is no digest counts as nothing said (R-OCI-3)."""
    try:
        return Digest.parse(response.headers.get("docker-content-digest", ""))
    except MalformedDigest:
        return None
