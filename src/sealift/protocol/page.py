"""Pages of a list: which part is asked for, and the link to the next.

Spec: distribution-spec v1.1.1, "Listing Tags" (R-OCI-23); RFC 8288 for ``Link``.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self
from urllib.parse import quote, urljoin

from sealift.errors import SealiftError

_NUMBER = re.compile(r"[0-9]+", re.ASCII)
_MANY_DIGITS: Final = 18
_MAX_LINK: Final = 8192
"""Characters of a Link header that are looked at."""

_LINK = re.compile(r"[ \t]*<([^<>]*)>([^,<\"]*(?:\"[^\"]*\"[^,<\"]*)*)(?:,|$)")
_NEXT = re.compile(
    r";[ \t]*rel[ \t]*=[ \t]*(?:\"(?:[^\"]* )?next(?: [^\"]*)?\"|next)[ \t]*(?:;|$)", re.IGNORECASE
)


class MalformedPage(SealiftError):
    """``n`` is no number: status 400, PAGINATION_NUMBER_INVALID."""

    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a sorted list: at most `n` names after `last`."""

    n: int | None = None
    """How many names at most. None where the asker leaves it to the registry."""

    last: str = ""
    """Names up to and including this one were seen. It need not exist."""

    @classmethod
    def parse(cls, query: Mapping[str, Sequence[str]]) -> Self:
        """Read ``n`` and ``last`` of a query; where one is repeated the first counts.

        Raises:
            MalformedPage: ``n`` is there and is no whole number from 0.
        """
        numbers, lasts = query.get("n"), query.get("last")
        n = None
        if numbers:
            digits = numbers[0].lstrip("0") or numbers[0][:1]
            if _NUMBER.fullmatch(digits) is None:
                raise MalformedPage(f"n is a whole number from 0, and not {digits[:40]!a}")
            n = int(digits) if len(digits) <= _MANY_DIGITS else 10**_MANY_DIGITS
        return cls(n, lasts[0] if lasts else "")

    def limit(self, maximum: int) -> int:
        """How many names to give, where we give `maximum` at most."""
        return maximum if self.n is None else min(self.n, maximum)

    def of(self, names: Sequence[str], maximum: int) -> tuple[Sequence[str], "Page | None"]:
        """This part of `names`, which are sorted, and the part that follows, if there is more.

        ``n=0`` gives nothing and no next part (R-OCI-23).
        """
        start = bisect_right(names, self.last) if self.last else 0
        part = names[start : start + self.limit(maximum)]
        more = bool(part) and start + len(part) < len(names)
        return part, Page(self.n, part[-1]) if more else None

    def link(self, path: str) -> str:
        """The ``Link`` header to this part of the list at `path`, relative to the host."""
        number = "" if self.n is None else f"&n={self.n}"
        return f'<{path}?last={quote(self.last, safe="")}{number}>; rel="next"'


def next_url(link: str | None, url: str) -> str | None:
    """The URL of the next page that a ``Link`` header names, or None.

    The target may be relative to `url`, and the quotes round ``next`` may be
    missing. It may name another host: whether to go there is for the caller.
    """
    text = (link or "")[:_MAX_LINK]
    position = 0
    while (match := _LINK.match(text, position)) is not None:
        if _NEXT.search(match[2]) is not None:
            return urljoin(url, str(match[1]))
        position = match.end()
    return None
