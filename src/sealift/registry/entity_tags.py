"""Entity tags: content that is named by its digest never changes, and its tag is that digest.

Spec: RFC 9110, sections 8.8.3, 13.1.2 and 13.1.5; R-OCI-21.
"""

from sealift.registry.exchange import Answer, Call


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
