"""Manifest files, read as kubectl reads them, with the line of every field.

YAML 1.1 in the reading of kubectl's own library (``yes`` is true, ``0o7`` is
seven, a date is text), JSON, several documents in a file. Nothing here knows
what a Pod is. Input is hostile until read: size, depth and what aliases expand
to have limits, and no tag makes an object.

Spec: YAML 1.1 as ``sigs.k8s.io/yaml`` v1.6 resolves it; checked against kubectl
by tests/peers/test_kubectl_manifests.py.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import yaml
from yaml import CLoader

from sealift.credentials import go_base64
from sealift.errors import SealiftError
from sealift.kubernetes.objects import Place

MAX_FILE_SIZE: Final = 64 * 1024 * 1024
"""Bytes of one file. Ten thousand Pods as ``kubectl get -o yaml`` prints them."""

MAX_DEPTH: Final = 200
"""Levels of nesting. A Kubernetes object has some twenty, and the parser's time grows with the square."""

MAX_NODES: Final = 20_000_000
"""Values in a file after every alias is written out."""

_LIST_MARKS: Final = ("[", "{")


class UnreadableManifest(SealiftError):
    """The file is not what kubectl would take. The message begins with file and line."""

    exit_status: ClassVar[int] = 2


class Node:
    """A value, and the line it stands on: its key's line where it has a key.

    `value` is a dict of `Node` by text, a list of `Node`, or a plain scalar.
    A value that is referred to by aliases is one object.
    """

    __slots__ = ("line", "size", "value")

    def __init__(self, value: Any, line: int, size: int = 1) -> None:
        self.value = value
        self.line = line
        self.size = size
        """Values in it, itself included, with aliases written out."""

    def plain(self) -> Any:
        """The value without lines, as `json` would give it. What aliases share stays shared."""
        return _plain(self, {})


def _plain(node: Node, seen: dict[int, Any]) -> Any:
    value = node.value
    if not isinstance(value, dict | list):
        return value
    known = seen.get(id(value))
    if known is None:
        if isinstance(value, dict):
            known = {key: _plain(member, seen) for key, member in value.items()}
        else:
            known = [_plain(item, seen) for item in value]
        seen[id(value)] = known
    return known


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: an object, whatever its kind."""

    file: str
    root: Node

    def place(self, node: Node) -> Place:
        """Where `node`, which is in this document, stands."""
        return Place(self.file, node.line)


def read_documents(text: bytes | str, file: str) -> tuple[Document, ...]:
    """The documents of a file. Empty ones are left out, as kubectl does.

    Args:
        text: The file's content. Bytes may be UTF-8 or UTF-16 with a mark.
        file: Its name, for messages; ``-`` is standard input.

    Raises:
        UnreadableManifest: It is neither YAML nor JSON, or past a limit.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(data) > MAX_FILE_SIZE:
        raise UnreadableManifest(
            f"{file}:1: the file is too long",
            why=f"it has more than {MAX_FILE_SIZE} bytes",
            hint="split it into several files",
        )
    try:
        roots = tuple(_Reader(data, file).roots())
    except UnreadableManifest:
        if not data.lstrip().startswith(b"{"):
            raise
        # JSON that YAML cannot hold: half a surrogate pair, or several objects in a row.
        json_roots = _read_json(data)
        if json_roots is None:
            raise
        roots = json_roots
    return tuple(Document(file, root) for root in roots if root.value is not None)


def _read_json(data: bytes) -> tuple[Node, ...] | None:
    """A stream of JSON values, each with the line it begins on, or None where it is no JSON."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    decoder = json.JSONDecoder()
    roots: list[Node] = []
    at = 0
    while (found := re.compile(r"\S").search(text, at)) is not None:
        try:
            value, at = decoder.raw_decode(text, found.start())
            roots.append(_numbered(value, text.count("\n", 0, found.start()) + 1, MAX_DEPTH))
        except (ValueError, RecursionError):
            return None
    return tuple(roots)


_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def _numbered(value: Any, line: int, room: int) -> Node:
    """A decoded value as nodes of one line. `room` is how many levels it may have."""
    if not room:
        raise RecursionError
    if isinstance(value, dict):
        return Node({key: _numbered(member, line, room - 1) for key, member in value.items()}, line)
    if isinstance(value, list):
        return Node([_numbered(item, line, room - 1) for item in value], line)
    return Node(_HALF_A_PAIR.sub("\ufffd", value) if isinstance(value, str) else value, line)


def _line_of(event: yaml.Event) -> int:
    mark = event.start_mark
    return 1 if mark is None else mark.line + 1


class _Open:
    """A container that is being read."""

    __slots__ = ("anchor", "key", "line", "merging", "node", "size", "value")

    def __init__(self, value: Any, line: int, anchor: str | None) -> None:
        self.value = value
        self.line = line
        self.anchor = anchor
        self.key: str | None = None
        self.merging = False
        self.size = 1
        self.node = Node(value, line)


class _Reader:
    """From the parser's events to nodes, without recursion."""

    def __init__(self, data: bytes, file: str) -> None:
        self._data = data
        self._file = file
        self._anchors: dict[str, Node | None] = {}
        self._stack: list[_Open] = []
        self._key_line = 0

    def roots(self) -> Iterator[Node]:
        root: Node | None = None
        try:
            for event in yaml.parse(self._data, Loader=CLoader):
                if isinstance(event, yaml.DocumentStartEvent):
                    root = None
                    self._anchors.clear()
                elif isinstance(event, yaml.DocumentEndEvent):
                    if root is not None:
                        yield root
                elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                    node = self._node(event)
                    if node is not None and not self._stack:
                        root = node
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = 1 if mark is None else mark.line + 1
            raise self._not_yaml(line, error.problem or "the text ends too early") from None
        except yaml.reader.ReaderError as error:
            line = self._data.count(b"\n", 0, max(error.position, 0)) + 1
            raise self._not_yaml(line, str(error.reason)) from None

    def _not_yaml(self, line: int, problem: str) -> UnreadableManifest:
        hint = f"mend line {line}; a tab never indents YAML, spaces do" if "token" in problem else None
        return UnreadableManifest(
            f"{self._file}:{line}: this is not YAML",
            why=problem,
            hint=hint or f"mend line {line} of {self._file}",
        )

    def _node(self, event: yaml.Event) -> Node | None:
        """Take one event. Returns the node that it finished, if it finished one."""
        if isinstance(event, yaml.ScalarEvent):
            line = _line_of(event)
            node = Node(self._scalar(event, line), line)
            if event.anchor is not None:
                self._anchors[event.anchor] = node
            return self._add(node, is_merge=self._is_merge(event))
        if isinstance(event, yaml.AliasEvent):
            return self._add(self._alias(event))
        if isinstance(event, yaml.CollectionStartEvent):
            line = _line_of(event)
            if len(self._stack) >= MAX_DEPTH:
                raise UnreadableManifest(
                    f"{self._file}:{line}: nested too deeply",
                    why=f"at most {MAX_DEPTH} levels are read",
                    hint="no Kubernetes object is that deep: look for brackets that are not closed",
                )
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._stack.append(_Open(value, line, event.anchor))
            if event.anchor is not None:
                self._anchors[event.anchor] = None  # until it is whole
            return None
        closed = self._stack.pop()
        closed.node.size = closed.size
        if closed.anchor is not None:
            self._anchors[closed.anchor] = closed.node
        return self._add(closed.node)

    def _alias(self, event: yaml.AliasEvent) -> Node:
        line = _line_of(event)
        if event.anchor not in self._anchors:
            raise self._not_yaml(line, f"the anchor {event.anchor!r} is not defined above")
        target = self._anchors[event.anchor]
        if target is None:
            raise self._not_yaml(line, f"the anchor {event.anchor!r} contains itself")
        return Node(target.value, line, target.size)

    def _is_merge(self, event: yaml.ScalarEvent) -> bool:
        return event.value == "<<" and not event.style and event.tag in {None, "!!merge"}

    def _add(self, node: Node, *, is_merge: bool = False) -> Node:
        """Put a finished node where it belongs."""
        if not self._stack:
            return node
        top = self._stack[-1]
        top.size += node.size
        if top.size > MAX_NODES:
            raise UnreadableManifest(
                f"{self._file}:{node.line}: aliases write out too much",
                why=f"with every alias written out there are more than {MAX_NODES} values",
                hint="kubectl refuses such a file too: write the values instead of aliases",
            )
        if isinstance(top.value, list):
            top.value.append(node)
        elif top.key is None and not top.merging:
            if is_merge:
                top.merging = True
            else:
                top.key = self._key(node)
            self._key_line = node.line
            top.line = node.line
        elif top.merging:
            top.merging = False
            self._merge(top.value, node)
        else:
            top.value[top.key] = Node(node.value, top.line, node.size)
            top.key = None
        return node

    def _key(self, node: Node) -> str:
        """An object key as text: kubectl writes numbers and booleans out."""
        value = node.value
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise self._not_yaml(node.line, "a key must be text")

    def _merge(self, into: dict[str, Node], node: Node) -> None:
        """``<<`` overwrites what stands before it, not what follows; of several the first wins."""
        parts = node.value if isinstance(node.value, list) else [node]
        for part in reversed(parts):
            if not isinstance(part.value, dict):
                raise self._not_yaml(node.line, "<< takes a mapping, or a list of mappings")
            into.update(part.value)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            return resolve(text) if not event.style and tag is None else text
        short = tag.removeprefix("tag:yaml.org,2002:")
        if short == "binary":
            try:
                return go_base64.decode(text).decode("utf-8", "replace")
            except go_base64.CorruptBase64 as error:
                raise self._not_yaml(line, f"!!binary: {error}") from None
        if short in _RESOLVABLE:
            value = resolve(text)
            if short == "float" and isinstance(value, int) and not isinstance(value, bool):
                return float(value)
            if not isinstance(value, _RESOLVABLE[short]):
                raise self._not_yaml(line, f"the value is no !!{short}")
            return value
        return text


_RESOLVABLE: Final[dict[str, type]] = {"int": int, "float": float, "bool": bool, "null": type(None)}

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_HINTS: Final = frozenset("+-0123456789yYnNtTfFoO~.")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[oO](?P<o>[0-7]+)|0[bB](?P<b>[01]+)"
    r"|(?P<d>0|[1-9][0-9]*)|0(?P<z>[0-7]+))",
    re.ASCII,
)
_BASES: Final = {"hex": 16, "o": 8, "b": 2, "d": 10, "z": 8}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_POINT_FLOAT = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)?", re.ASCII)
_MAX_DIGITS: Final = 400
"""Characters of a number. What is longer is past every type that Kubernetes has."""


def resolve(text: str) -> Any:
    """What a plain scalar means: None, a bool, a number, or the text itself.

    A date stays text, and so does ``1:30``.
    """
    if text and text[0] not in _HINTS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        return float(text.replace("_", "")) if _POINT_FLOAT.fullmatch(text) else text
    if text[0] not in "+-0123456789" or len(text) > _MAX_DIGITS:
        return text
    digits = text.replace("_", "")
    integer = _INTEGER.fullmatch(digits)
    if integer is not None:
        base = integer.lastgroup or "d"
        number = int(f"{integer['sign']}{integer[base]}", _BASES[base])
        # As JSON this is a float where Go's integers have no room, and text where its floats have none.
        return number if -(1 << 63) <= number < 1 << 63 else _float_or_text(number, text)
    if _FLOAT.fullmatch(digits):
        return _float_or_text(digits, text)
    return text


def _float_or_text(number: int | str, text: str) -> float | str:
    try:
        value = float(number)
    except OverflowError:
        return text
    return text if abs(value) == float("inf") else value
