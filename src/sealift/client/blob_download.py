"""Downloads: a blob as a checked stream that goes on where a connection broke.

Spec: distribution-spec v1.1.1 end-2; R-OCI-3, R-OCI-33.
"""

from collections.abc import AsyncIterator
from http import HTTPStatus

from sealift.client.errors import ContentMismatch, NotFound, UnusableAnswer
from sealift.client.foreign_layer import open_foreign
from sealift.client.session import Session, repository_call
from sealift.image.descriptor import Descriptor
from sealift.image.digest import DigestCheck, DigestMismatch
from sealift.image.manifest import FOREIGN_LAYER_TYPES
from sealift.image.reference import Repository
from sealift.protocol.endpoints import blob_path
from sealift.protocol.scope import repository_scope
from sealift.transport.http import ConnectionBroken, Response, Transport

FRUITLESS_CONNECTIONS = 3
"""How often in a row a connection may end without one new byte before we give up."""


class BlobDownloads:
    """The downloads of one session."""

    def __init__(self, session: Session, transport: Transport) -> None:
        """`transport` is for foreign layers only: nothing of the session goes to their addresses."""
        self._session = session
        self._transport = transport

    async def fetch(self, repository: Repository, blob: Descriptor) -> AsyncIterator[bytes]:
        """Stream a blob, checking size and digest as it passes.

        Where the connection breaks it goes on from there by Range, as long as
        new connections bring something. A foreign layer that the registry does
        not have is fetched from its own addresses, see
        `sealift.client.foreign_layer`.

        Raises:
            ContentMismatch: the bytes are not what the descriptor says.
            NotFound: the registry does not have it.
        """
        check = DigestCheck(blob.digest)
        doing = f"pull {blob.digest} of {repository}"
        response = await self._open_first(repository, blob, doing)
        fruitless = 0
        while True:
            before = check.size
            try:
                async for part in response.body:
                    if check.size + len(part) > blob.size:
                        raise _wrong_size(blob, doing, "goes on after")
                    check.update(part)
                    yield part
            except ConnectionBroken:
                if fruitless >= FRUITLESS_CONNECTIONS:
                    raise
            finally:
                await response.close()
            if check.size == blob.size:
                break
            fruitless = fruitless + 1 if check.size == before else 0
            if fruitless > FRUITLESS_CONNECTIONS:
                raise _wrong_size(blob, doing, f"ends after {check.size} of")
            await self._session.pause(fruitless)
            response = await self._open(repository, blob, check.size, doing)
        try:
            check.verify()
        except DigestMismatch as error:
            raise ContentMismatch(
                f"cannot {doing}: it is not what its digest says", why=error.why, hint=error.hint
            ) from None

    async def _open_first(self, repository: Repository, blob: Descriptor, doing: str) -> Response:
        try:
            return await self._open(repository, blob, 0, doing)
        except NotFound:
            if blob.media_type not in FOREIGN_LAYER_TYPES or not blob.urls:
                raise
        return await open_foreign(self._transport, blob, doing)

    async def _open(self, repository: Repository, blob: Descriptor, start: int, doing: str) -> Response:
        """A response whose body begins at byte `start` of the blob."""
        response = await self._session.send(
            repository_call(
                repository,
                "GET",
                blob_path(repository.dial_path, blob.digest),
                doing=doing,
                scopes=(repository_scope(repository.dial_path, "pull"),),
                headers={"Range": f"bytes={start}-"} if start else {},
                accepted=frozenset({HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}) if start else frozenset(),
            )
        )
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            await response.close()
            raise _wrong_size(blob, doing, f"ends after {start} of")
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            if not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
                await response.close()
                raise UnusableAnswer(
                    f"cannot {doing}", why="the registry went on at another byte than was asked for"
                )
        elif start:
            response.body = _After(response.body, start)
        return response


def _wrong_size(blob: Descriptor, doing: str, how: str) -> ContentMismatch:
    return ContentMismatch(
        f"cannot {doing}: it is not what its descriptor says", why=f"its content {how} {blob.size} bytes"
    )


class _After(AsyncIterator[bytes]):
    """A body without its first bytes: the answer of a registry that does not know Range."""

    def __init__(self, body: AsyncIterator[bytes], start: int) -> None:
        self._body = body
        self._left = start

    async def __anext__(self) -> bytes:
        while True:
            part = await anext(self._body)
            if self._left < len(part):
                part, self._left = part[self._left :], 0
                return part
            self._left -= len(part)

    async def aclose(self) -> None:
        """Let go of the body behind this."""
        closer = getattr(self._body, "aclose", None)
        if closer is not None:
            await closer()
