"""Foreign layers: content that a manifest says is to be had somewhere else.

The addresses are words in a document that anybody may have written. They are
asked over https only and never with a credential, a cookie or a token
(CVE-2020-15157 in containerd).

Spec: OCI image-spec v1.1, "Content Descriptors", property ``urls``.
"""

from http import HTTPStatus
from urllib.parse import urljoin

from sealift.client.errors import UnusableAnswer
from sealift.image.descriptor import Descriptor
from sealift.transport.http import Request, Response, Transport, Unreachable

MAX_ADDRESSES = 8
MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


async def open_foreign(transport: Transport, blob: Descriptor, doing: str) -> Response:
    """A response with the blob's content from the first of its `urls` that has it. Unchecked: check it.

    Raises:
        UnusableAnswer: none of them has it.
    """
    for address in blob.urls[:MAX_ADDRESSES]:
        response = await _open(transport, address)
        if response is not None:
            return response
    raise UnusableAnswer(
        f"cannot {doing}",
        why="it is a foreign layer: the registry does not have it, and none of its own addresses gave it",
    )


async def _open(transport: Transport, address: str) -> Response | None:
    url = address
    for _ in range(MAX_REDIRECTS + 1):
        if not url.lower().startswith("https://"):
            return None
        try:
            response = await transport.send(Request(method="GET", url=url))
        except Unreachable:
            return None
        if response.status == HTTPStatus.OK:
            return response
        await response.close()
        location = response.headers.get("location")
        if response.status not in _REDIRECTS or location is None:
            return None
        url = urljoin(url, location)
    return None
