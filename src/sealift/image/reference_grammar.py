"""The grammar of image references, and where a text that is none breaks it.

Spec: distribution/reference v0.6.0 (R-REF-1 to R-REF-7). Python's traps are
R-PY-1: patterns are ASCII and match in full.
"""

import re
from typing import Final

MAX_TAG_LENGTH: Final = 128
"""Characters. Spec: distribution-spec v1.1.1, "Pulling manifests"."""

MAX_PATH_LENGTH: Final = 255
"""Bytes, and characters too, since a path is ASCII. The registry is not counted (R-REF-9)."""

# No alternative begins with a character that the part before it could go on
# with, so that a text that does not match is given up in linear time.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"  # R-REF-3
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"  # R-REF-2
_LABEL = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_NAME_OF_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_DOMAIN = rf"(?:{_NAME_OF_HOST}|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"  # R-REF-4, R-REF-5
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"  # R-REF-6
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_DIGEST = rf"{_ALGORITHM}:[0-9a-fA-F]{{32,}}"  # R-REF-7

REFERENCE: Final = re.compile(rf"(?:({_DOMAIN})/)?({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?", re.ASCII)
"""Groups: domain, path, tag, digest. Use `fullmatch` (R-REF-1)."""

PATH: Final = re.compile(_PATH, re.ASCII)
COMPONENT: Final = re.compile(_COMPONENT, re.ASCII)
TAG: Final = re.compile(_TAG, re.ASCII)
DOMAIN: Final = re.compile(_DOMAIN, re.ASCII)

_HOST_SO_FAR = re.compile(rf"(?:{_NAME_OF_HOST}(?:\.|-+)?)?", re.ASCII)
_ADDRESS_SO_FAR = re.compile(r"\[[a-fA-F0-9:]*\]?", re.ASCII)
_PORT = re.compile(r":[0-9]*", re.ASCII)
_PATH_SO_FAR = re.compile(rf"(?:{_PATH}(?:\.|__?|-+|/)?)?", re.ASCII)
_TAG_CHARACTERS = re.compile(r"[A-Za-z0-9_.-]*", re.ASCII)
_DIGEST_SO_FAR = re.compile(rf"(?:{_ALGORITHM}(?:[-_+.]|:[0-9a-fA-F]*)?)?", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)", re.ASCII)

HOST_RULE: Final = (
    "a registry is a host of letters, digits, '.' and '-' inside, then ':' and a port if it has one"
)
ADDRESS_RULE: Final = "an IPv6 address is hexadecimal digits and colons in brackets"
PORT_RULE: Final = "a port is digits"
PATH_RULE: Final = "a repository is lower-case letters and digits, with one of '.', '_', '__' or '-' inside, in parts joined by '/'"
TAG_RULE: Final = "a tag is letters, digits, '_', '.' and '-', and begins with none of the last two"
TAG_LENGTH_RULE: Final = f"a tag has at most {MAX_TAG_LENGTH} characters"
DIGEST_RULE: Final = (
    "a digest is an algorithm, ':' and at least 32 hexadecimal digits, and nothing follows it"
)
SPACE_RULE: Final = "an image name has no white space, not even at its ends"
SCHEME_RULE: Final = "an image name has no scheme such as https:// in front"


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
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return scheme.end(), SCHEME_RULE
    position, rule = _find_fault(text, path_start)
    return position, SPACE_RULE if text[position : position + 1].isspace() else rule


def _find_fault(text: str, path_start: int) -> tuple[int, str]:
    registry = text[: max(path_start - 1, 0)]
    if registry and DOMAIN.fullmatch(registry) is None:
        if COMPONENT.fullmatch(registry) is None:
            return _fault_in_domain(registry)
        path_start = 0  # R-REF-17: an underscore among dots is read as a path
    position = _end(_PATH_SO_FAR, text, path_start)
    path = PATH.match(text, path_start)
    if path is None or path.end() < position or text[position : position + 1] not in {":", "@"}:
        return position, PATH_RULE
    if text[position] == ":":
        return _fault_in_tag(text, position + 1)
    return _end(_DIGEST_SO_FAR, text, position + 1), DIGEST_RULE


def _fault_in_domain(domain: str) -> tuple[int, str]:
    if domain.startswith("["):
        position, rule = _end(_ADDRESS_SO_FAR, domain, 0), ADDRESS_RULE
        ended = domain[position - 1] == "]" and position > len("[]")
        position -= domain[:position] == "[]"
    else:
        position, rule = _end(_HOST_SO_FAR, domain, 0), HOST_RULE
        ended = position > 0 and domain[position - 1] not in ".-"
    if ended and domain.startswith(":", position):
        return _end(_PORT, domain, position), PORT_RULE
    return position, rule


def _fault_in_tag(text: str, start: int) -> tuple[int, str]:
    tag = TAG.match(text, start)
    if tag is None:
        return start, TAG_RULE
    if _end(_TAG_CHARACTERS, text, start) > tag.end():
        return tag.end(), TAG_LENGTH_RULE
    if text.startswith("@", tag.end()):
        return _end(_DIGEST_SO_FAR, text, tag.end() + 1), DIGEST_RULE
    return tag.end(), TAG_RULE


def find_fault_in_tag(tag: str) -> tuple[int, str]:
    """Where a text that is no tag breaks the grammar, and which rule."""
    return _fault_in_tag(tag, 0)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the longest beginning that `pattern` allows ends. The pattern also matches nothing."""
    match = pattern.match(text, start)
    return start if match is None else match.end()
