"""The grammar of image references, and where a text that is none breaks it.

Spec: distribution/reference v0.6.0 (R-REF-1 to R-REF-7). Python's trap is
R-PY-1: patterns are ASCII and match in full.

The grammar is written as shapes and as sequences that a shape must not hold,
rather than as one nested pattern: what repeats is a single set of characters,
so that a text of megabytes costs neither time nor memory to refuse.
"""

import re
from typing import Final

MAX_TAG_LENGTH: Final = 128
"""Characters. Spec: distribution-spec v1.1.1, "Pulling manifests"."""

MAX_PATH_LENGTH: Final = 255
"""Bytes, and characters too, since a path is ASCII. The registry is not counted (R-REF-9)."""

_PATH = r"[a-z0-9](?:[a-z0-9._/-]*[a-z0-9])?"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[A-Fa-f0-9:]+\])"
_DOMAIN = rf"{_HOST}(?::[0-9]+)?"  # R-REF-4
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"  # R-REF-6
_DIGEST = r"[A-Za-z](?:[A-Za-z0-9+._-]*[A-Za-z0-9])?:[0-9A-Fa-f]{32,}"

_REFERENCE_SHAPE = re.compile(rf"(?:({_DOMAIN})/)?({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?", re.ASCII)
_PATH_SHAPE = re.compile(_PATH, re.ASCII)
_DOMAIN_SHAPE = re.compile(_DOMAIN, re.ASCII)
_TAG_SHAPE = re.compile(_TAG, re.ASCII)

_NOT_IN_PATH = re.compile(r"[./][._/-]|_(?:[./-]|__)|-[._/]", re.ASCII)
"""Between letters and digits stands one ``.``, ``_``, ``__`` or ``/``, or any number of ``-`` (R-REF-3)."""

_NOT_IN_HOST = re.compile(r"\.[.-]|-\.", re.ASCII)
"""A label is not empty and does not begin or end with a hyphen (R-REF-5)."""

_NOT_IN_ALGORITHM = re.compile(r"[-_+.](?![A-Za-z])", re.ASCII)
"""Each part of an algorithm begins with a letter (R-REF-7)."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)", re.ASCII)
_PATH_CHARACTERS = re.compile(r"[a-z0-9._/-]*", re.ASCII)
_HOST_CHARACTERS = re.compile(r"[A-Za-z0-9.-]*", re.ASCII)
_ADDRESS_CHARACTERS = re.compile(r"\[[A-Fa-f0-9:]*", re.ASCII)
_DIGITS = re.compile(r"[0-9]*", re.ASCII)
_TAG_CHARACTERS = re.compile(r"[A-Za-z0-9_.-]*", re.ASCII)
_ALGORITHM_CHARACTERS = re.compile(r"[A-Za-z0-9+._-]*", re.ASCII)
_HEX_DIGITS = re.compile(r"[0-9A-Fa-f]*", re.ASCII)

HOST_RULE: Final = "a registry is a host of letters and digits, with '.' and '-' inside, and a port"
ADDRESS_RULE: Final = "an IPv6 address is hexadecimal digits and colons in brackets"
PORT_RULE: Final = "after the colon of a registry stands a port, which is digits"
PATH_RULE: Final = (
    "a repository is lower-case letters and digits with '.', '_', '__' or '-' inside, in parts joined by '/'"
)
TAG_RULE: Final = "a tag is letters, digits, '_', '.' and '-', and does not begin with the last two"
TAG_LENGTH_RULE: Final = f"a tag has at most {MAX_TAG_LENGTH} characters"
DIGEST_RULE: Final = (
    "a digest is an algorithm, ':' and at least 32 hexadecimal digits, and nothing follows it"
)
EMPTY_RULE: Final = "an image has a name"
SPACE_RULE: Final = "an image name has no white space, not even at its ends"
SCHEME_RULE: Final = "an image name has no scheme such as https:// in front"


def split(text: str) -> tuple[str, str, str | None, str | None] | None:
    """Domain (or empty), path, tag and digest of `text` as it stands. None where it is no reference.

    Nothing is implied here: no Docker Hub, no ``library/``, no limit of length (R-REF-1).
    """
    match = _REFERENCE_SHAPE.fullmatch(text)
    if match is None:
        return None
    domain, path, tag, digest = match.groups()
    if _NOT_IN_PATH.search(path) is not None or (domain and _NOT_IN_HOST.search(domain) is not None):
        return None
    if digest and _NOT_IN_ALGORITHM.search(digest) is not None:
        return None
    return domain or "", path, tag, digest


def is_path(text: str) -> bool:
    """Whether `text` is a path, of any length: what distribution-spec calls ``<name>`` (R-OCI-1)."""
    return _PATH_SHAPE.fullmatch(text) is not None and _NOT_IN_PATH.search(text) is None


def is_component(text: str) -> bool:
    """Whether `text` is one element of a path (R-REF-3)."""
    return "/" not in text and is_path(text)


def is_domain(text: str) -> bool:
    """Whether `text` is a registry: a host, with a port if it has one (R-REF-4, R-REF-5)."""
    return _DOMAIN_SHAPE.fullmatch(text) is not None and _NOT_IN_HOST.search(text) is None


def is_tag(text: str) -> bool:
    """Whether `text` is a tag (R-REF-6)."""
    return _TAG_SHAPE.fullmatch(text) is not None


def find_fault(text: str, path_start: int) -> tuple[int, str]:
    """Where `text`, which is known to be no reference, breaks the grammar, and which rule.

    Args:
        text: The whole text as the user wrote it.
        path_start: Where the path begins; what stands before it, but for the
            slash, was taken for a registry. 0 where the registry is implied.

    Returns:
        The index of the first character that no reference could have there
        (the length of `text` where it ended too early), and the rule.
    """
    if not text:
        return 0, EMPTY_RULE
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return scheme.end(), SCHEME_RULE
    position, rule = _find_fault(text, path_start)
    return position, SPACE_RULE if text[position : position + 1].isspace() else rule


def _find_fault(text: str, path_start: int) -> tuple[int, str]:
    registry = text[: max(path_start - 1, 0)]
    if registry and not is_domain(registry):
        if not is_component(registry):
            return _fault_in_domain(registry)
        path_start = 0  # R-REF-17: an underscore among dots is read as a path
    end = _end(_PATH_CHARACTERS, text, path_start)
    fault = _fault_in_run(text, path_start, end, _NOT_IN_PATH)
    if fault is not None:
        return fault, PATH_RULE
    if text.startswith(":", end):
        return fault_in_tag(text, end + 1)
    return (_fault_in_digest(text, end + 1), DIGEST_RULE) if text.startswith("@", end) else (end, PATH_RULE)


def _fault_in_domain(domain: str) -> tuple[int, str]:
    if domain.startswith("["):
        end = _end(_ADDRESS_CHARACTERS, domain, 0)
        if end == 1 or not domain.startswith("]", end):
            return end, ADDRESS_RULE
        end, rule = end + 1, ADDRESS_RULE
    else:
        end, rule = _end(_HOST_CHARACTERS, domain, 0), HOST_RULE
        fault = _fault_in_run(domain, 0, end, _NOT_IN_HOST)
        if fault is not None:
            return fault, rule
    return (_end(_DIGITS, domain, end + 1), PORT_RULE) if domain.startswith(":", end) else (end, rule)


def fault_in_tag(text: str, start: int) -> tuple[int, str]:
    """Where a tag that begins at `start`, or the digest behind it, breaks the grammar, and which rule."""
    end = _end(_TAG_CHARACTERS, text, start)
    if end == start or text[start] in ".-":
        return start, TAG_RULE
    if end - start > MAX_TAG_LENGTH:
        return start + MAX_TAG_LENGTH, TAG_LENGTH_RULE
    return (_fault_in_digest(text, end + 1), DIGEST_RULE) if text.startswith("@", end) else (end, TAG_RULE)


def _fault_in_digest(text: str, start: int) -> int:
    end = _end(_ALGORITHM_CHARACTERS, text, start)
    if end == start or not text[start].isalpha():
        return start
    fault = _NOT_IN_ALGORITHM.search(text, start, end)
    if fault is not None:
        return fault.end()
    return _end(_HEX_DIGITS, text, end + 1) if text.startswith(":", end) else end


def _fault_in_run(text: str, start: int, end: int, forbidden: re.Pattern[str]) -> int | None:
    """Where a run of the right characters is wrong all the same: at an end, or by what it holds."""
    if end == start or not text[start].isalnum():
        return start
    fault = forbidden.search(text, start, end)
    if fault is not None:
        return fault.end() - 1
    return None if text[end - 1].isalnum() else end


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the run of characters ends that `pattern` allows from `start`; `start` where it allows none."""
    match = pattern.match(text, start)
    return start if match is None else match.end()
