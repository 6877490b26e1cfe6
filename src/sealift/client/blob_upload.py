"""Uploads: starting one, mounting instead, and sending a blob through it.

Spec: distribution-spec v1.1.1 end-4a, end-6, end-11; R-OCI-5 to R-OCI-13. A
blob goes in one PUT whose body is streamed, as containerd sends it: every
registry has to take that, and it is one round trip less than PATCH and PUT.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from sealift.client.errors import (
    ContentMismatch,
    Denied,
    NotFound,
    RegistryClientError,
    Unauthenticated,
    UnusableAnswer,
)
from sealift.client.session import Session, repository_call
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest, MalformedDigest
from sealift.image.reference import Repository
from sealift.protocol.endpoints import uploads_path
from sealift.protocol.scope import Scope, repository_scope
from sealift.transport.http import ConnectionBroken, Response, Unreachable

Content = Callable[[], AsyncIterator[bytes]]
"""Makes a blob's bytes, from the beginning each time it is called."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that a registry has opened for us."""

    repository: Repository
    location: str
    """Absolute. It is used as it came, query and all; it may be on another host (R-OCI-5)."""


class BlobUploads:
    """The uploads of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def start(self, repository: Repository, digest: Digest) -> Upload:
        """Open an upload for a blob (end-4a)."""
        response = await self._session.send(
            repository_call(
                repository,
                "POST",
                uploads_path(repository.dial_path),
                doing=f"push {digest} to {repository}",
                scopes=(_push(repository),),
                headers={"Content-Length": "0"},
                repeatable=True,
            )
        )
        await response.close()
        return _upload(repository, response)

    async def mount(self, repository: Repository, digest: Digest, source: Repository) -> Upload | None:
        """Have a blob taken over from `source` (end-11). None: done. Else the upload that was opened instead.

        One token covers both repositories (R-AUT-11). Where the registry wants
        nothing of it, we go on as if there were no `source`.
        """
        try:
            response = await self._session.send(
                repository_call(
                    repository,
                    "POST",
                    uploads_path(repository.dial_path, mount=digest, source=source.dial_path),
                    doing=f"push {digest} to {repository}",
                    scopes=(_push(repository), repository_scope(source.dial_path, "pull")),
                    headers={"Content-Length": "0"},
                    repeatable=True,
                )
            )
        except (Unauthenticated, Denied, NotFound):
            return await self.start(repository, digest)
        await response.close()
        return None if response.status == HTTPStatus.CREATED else _upload(repository, response)

    async def send(self, upload: Upload, blob: Descriptor, content: Content) -> None:
        """Send a blob through an upload and close it (end-6).

        Raises:
            ConnectionBroken: it ended in the middle; the upload is worth nothing now.
            ContentMismatch: the registry took it for something else.
        """
        doing = f"push {blob.digest} to {upload.repository}"
        joint = "&" if urlsplit(upload.location).query else "?"
        try:
            response = await self._session.send(
                repository_call(
                    upload.repository,
                    "PUT",
                    f"{upload.location.rstrip('?&')}{joint}digest={blob.digest}",
                    doing=doing,
                    scopes=(_push(upload.repository),),
                    headers={"Content-Type": "application/octet-stream"},
                    body=content,
                    content_length=blob.size,
                    once=True,
                )
            )
        except ConnectionBroken:
            raise
        except Exception:  # whatever the content's source raised: tell the registry that no more will come
            await self._cancel(upload)
            raise
        await response.close()
        try:
            claimed = Digest.parse(response.headers.get("docker-content-digest", ""))
        except MalformedDigest:
            return
        if claimed.algorithm == blob.digest.algorithm and claimed != blob.digest:
            raise ContentMismatch(
                f"cannot {doing}: the registry stored something else", why=f"it says {claimed}"
            )

    async def _cancel(self, upload: Upload) -> None:
        """Give an upload up (end-14), if the registry can. What it answers changes nothing for us."""
        with contextlib.suppress(RegistryClientError, Unreachable):
            response = await self._session.send(
                repository_call(
                    upload.repository,
                    "DELETE",
                    upload.location,
                    doing="give up an upload",
                    scopes=(_push(upload.repository),),
                    once=True,
                )
            )
            await response.close()


def _push(repository: Repository) -> Scope:
    return repository_scope(repository.dial_path, "pull", "push")


def _upload(repository: Repository, response: Response) -> Upload:
    """The upload in the answer to a POST."""
    location = response.headers.get("location", "")
    if response.status != HTTPStatus.ACCEPTED or not location:
        raise UnusableAnswer(
            f"cannot push to {repository}",
            why=f"the registry answered {response.status} and no place to send a blob to",
        )
    absolute = location if "://" in location.partition("?")[0] else urljoin(response.url, location)
    if response.url.startswith("https:") and absolute.startswith("http:"):
        raise UnusableAnswer(
            f"cannot push to {repository}",
            why="it was asked over https and wants the upload over plain http",
            hint="it stands behind a proxy that it does not know of: set its external URL",
        )
    return Upload(repository, absolute)
