"""Entity tags: content that is named by its digest never changes, and its tag is that digest.

A change can be tied to what stands there now: ``If-Match`` with the digest that
the caller saw, ``If-None-Match: *`` where there is to be nothing yet.

Spec: RFC 9110, sections 8.8.3, 13.1.1, 13.1.2 and 13.1.5; R-OCI-21.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from sealift.registry.exchange import Answer, Call

ANYTHING: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a change asks of that which it changes, so that nobody overwrites what they have not seen."""

    must_be: frozenset[str] | None = None
    """Digests of which it has to be one; ``*`` is any. None: it does not matter."""

    must_not_be: frozenset[str] = frozenset()
    """Digests of which it may be none; ``*`` is any."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """The condition in a request's ``If-Match`` and ``If-None-Match``.

        A digest may stand there bare, as some clients send it. A weak tag
        matches nothing in ``If-Match``, as that compares strongly, and so does
        whatever is no tag: then the change is refused.
        """
        match, none = headers.get("if-match"), headers.get("if-none-match")
        return cls(
            must_be=None if match is None else frozenset(_listed(match)),
            must_not_be=frozenset(each.removeprefix("W/").strip('"') for each in _raw(none or "")),
        )

    def holds(self, current: str | None) -> bool:
        """Whether a change may go on where `current` stands now; None is nothing."""
        if self.must_be is not None and (current is None or not self.must_be & {current, ANYTHING}):
            return False
        return current is None or not self.must_not_be & {current, ANYTHING}


def _listed(header: str) -> list[str]:
    """The strong tags of a header, without their quotes."""
    return [each.strip('"') for each in _raw(header) if not each.startswith("W/")]


def _raw(header: str) -> list[str]:
    return [each.strip() for each in header.split(",") if each.strip()]


def entity_tag(digest: str) -> str:
    """The ``ETag`` of content."""
    return f'"{digest}"'


def is_known_to(call: Call, digest: str) -> bool:
    """Whether the caller says by ``If-None-Match`` that it has the content.

    The tag may be quoted, weak, or bare as some clients send it.
    """
    header = call.headers.get("if-none-match")
    if header is None:
        return False
    known = (each.strip().removeprefix("W/").strip('"') for each in header.split(","))
    return any(each in {digest, "*"} for each in known)


def not_modified(headers: dict[str, str]) -> Answer:
    """The 304 for content whose 200 would have had `headers`."""
    kept = ("etag", "docker-content-digest", "cache-control")
    return Answer(status=304, headers={name: headers[name] for name in kept if name in headers})
