"""Lists: the tags of a repository (end-8), and the repositories a caller may see (``_catalog``).

Each page is one stretch of an index, in the order of the bytes. Nothing is read
that is not on it.

Spec: distribution-spec v1.1.1, "Listing Tags"; R-OCI-22, R-OCI-23.
"""

import msgspec

from sealift.protocol.endpoints import catalog_path, tags_path
from sealift.protocol.error_codes import ErrorCode
from sealift.protocol.page import MalformedPage, Page
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.repositories import VisibleRepositories, repository_id, visible_names
from sealift.registry.catalog.tags import tags_after
from sealift.registry.exchange import Answer, Call
from sealift.registry.refusal import RegistryRefusal
from sealift.registry.settings import Limits


class Listings:
    """The handlers of ``/v2/<name>/tags/list`` and ``/v2/_catalog``."""

    def __init__(self, catalog: Catalog, limits: Limits) -> None:
        self._catalog = catalog
        self._limits = limits

    async def tags(self, call: Call) -> Answer:
        """The tags of a repository, or one page of them.

        Raises:
            RegistryRefusal: NAME_UNKNOWN; PAGINATION_NUMBER_INVALID.
        """
        name = call.path["name"]
        page = _page(call)
        repository = repository_id(self._catalog, name)
        if repository is None:
            raise RegistryRefusal(
                ErrorCode.NAME_UNKNOWN, "repository name not known to registry", detail={"name": name}
            )
        limit = page.limit(self._limits.page_entries)
        names = tags_after(self._catalog, repository, last=page.last, most=limit + 1) if limit else []
        return _answer({"name": name, "tags": names[:limit]}, names, limit, page, tags_path(name))

    async def repositories(self, call: Call, visible: VisibleRepositories) -> Answer:
        """The repositories that a caller may see, or one page of them.

        Raises:
            RegistryRefusal: PAGINATION_NUMBER_INVALID.
        """
        page = _page(call)
        limit = page.limit(self._limits.page_entries)
        names = visible_names(self._catalog, visible, last=page.last, most=limit + 1) if limit else []
        return _answer({"repositories": names[:limit]}, names, limit, page, catalog_path())


def _page(call: Call) -> Page:
    try:
        return Page.parse(call.query)
    except MalformedPage as malformed:
        raise RegistryRefusal(ErrorCode.PAGINATION_NUMBER_INVALID, str(malformed)) from None


def _answer(document: dict[str, object], names: list[str], limit: int, page: Page, path: str) -> Answer:
    """A page, with a ``Link`` to the next where one name more was found than it holds."""
    body = msgspec.json.encode(document)
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if len(names) > limit > 0:
        headers["link"] = Page(page.n, names[limit - 1]).link(path)
    return Answer(status=200, headers=headers, body=body)
