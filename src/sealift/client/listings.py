"""What a registry lists: its repositories, their tags, and what refers to a manifest, page by page.

Spec: distribution-spec v1.1.1, end-8 and end-12; R-OCI-22 to R-OCI-25. A list
has an end: a link in circles or to another host is not followed.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

from sealift.client.errors import UnusableAnswer
from sealift.client.origin import Origin
from sealift.client.session import Call, Session, repository_call
from sealift.image.descriptor import Descriptor, MalformedDescriptor
from sealift.image.digest import Digest
from sealift.image.manifest import OCI_INDEX
from sealift.image.reference import Repository
from sealift.protocol.endpoints import catalog_path, referrers_path, tags_path
from sealift.protocol.page import next_url
from sealift.protocol.scope import CATALOG, repository_scope
from sealift.transport.http import Response
from sealift.transport.redaction import printable

MAX_PAGE = 8 * 1024 * 1024
"""Bytes of one page of a list."""

MAX_PAGES = 100_000
"""Pages of one list: a registry that links on for ever is not followed for ever."""

PAGE_SIZE = 1000
"""Names that we ask for at once. A registry may give fewer."""

MAX_NAME = 1024
"""Characters of a name in a list that we pass on."""


class Listings:
    """The lists of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def tags(self, repository: Repository) -> AsyncIterator[str]:
        """Every tag of a repository, in the registry's order (end-8).

        Raises:
            NotFound: no such repository, or not for us.
        """
        call = repository_call(
            repository,
            "GET",
            tags_path(repository.dial_path, n=PAGE_SIZE),
            doing=f"list the tags of {repository}",
            scopes=(repository_scope(repository.dial_path, "pull"),),
        )
        async for response in self._pages(call):
            for name in await _names(response, "tags", call.doing):
                yield name

    async def repositories(self, registry: str) -> AsyncIterator[str]:
        """Every repository of a registry that lists them, as far as we may see them."""
        call = Call(
            registry=registry,
            path="",
            method="GET",
            target=catalog_path(n=PAGE_SIZE),
            doing=f"list the repositories of {registry}",
            scopes=(CATALOG,),
        )
        async for response in self._pages(call):
            for name in await _names(response, "repositories", call.doing):
                yield name

    async def referrers(self, repository: Repository, subject: Digest) -> AsyncIterator[Descriptor]:
        """Everything that refers to a manifest (end-12).

        Raises:
            NotFound: the registry has no such endpoint.
            UnusableAnswer: what it answers is no index.
        """
        call = repository_call(
            repository,
            "GET",
            referrers_path(repository.dial_path, subject),
            doing=f"list what refers to {subject} in {repository}",
            scopes=(repository_scope(repository.dial_path, "pull"),),
            headers={"Accept": OCI_INDEX},
        )
        async for response in self._pages(call):
            for descriptor in await _descriptors(response, call.doing):
                yield descriptor

    async def _pages(self, call: Call) -> AsyncIterator[Response]:
        """The answers, one a page. A link in circles or to another host ends it with an error."""
        seen: set[str] = set()
        home = (await self._session.settle(call.registry)).origin
        while True:
            response = await self._session.send(call)
            yield response
            link = next_url(response.headers.get("link"), response.url)
            if link is None:
                return
            try:
                leaves = Origin.of(link) != home
            except ValueError:
                leaves = True
            if leaves or link in seen or len(seen) >= MAX_PAGES:
                raise UnusableAnswer(
                    f"cannot {call.doing} any further",
                    why="the link to the next page leads to another host or in circles",
                )
            seen.add(link)
            call = replace(call, target=link)


async def _document(response: Response) -> object:
    """The JSON of one page; None where it is none."""
    try:
        return json.loads(await response.read(MAX_PAGE))
    except (ValueError, RecursionError):
        return None


async def _names(response: Response, key: str, doing: str) -> list[str]:
    """The names of one page. ``null`` is an empty list (R-OCI-22)."""
    document = await _document(response)
    names = document.get(key) if isinstance(document, dict) else document
    if isinstance(document, dict) and names is None:
        return []
    if not isinstance(names, list) or not all(
        isinstance(name, str) and len(name) <= MAX_NAME for name in names
    ):
        raise UnusableAnswer(f"cannot {doing}", why=f"the registry's answer is no list of {key}")
    return [printable(name, MAX_NAME) for name in names]


async def _descriptors(response: Response, doing: str) -> list[Descriptor]:
    """The entries of one page of referrers."""
    document = await _document(response)
    entries = document.get("manifests") if isinstance(document, dict) else None
    if isinstance(document, dict) and "manifests" in document and entries is None:
        return []
    try:
        if not isinstance(entries, list):
            raise UnusableAnswer(f"cannot {doing}", why="the registry's answer is no index")
        return [Descriptor.from_document(entry) for entry in entries]
    except MalformedDescriptor as refusal:
        raise UnusableAnswer(f"cannot {doing}", why=f"the registry's answer is no index: {refusal}") from None
