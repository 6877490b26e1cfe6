"""Manifest files: what YAML means, where things stand, what is refused. tests/peers asks kubectl itself."""

import time
from typing import Any

import pytest

from sealift.kubernetes.manifests import MAX_DEPTH, Node, UnreadableManifest, read_documents, resolve
from sealift.kubernetes.objects import Place


def plain(text: bytes | str) -> list[Any]:
    return [document.root.plain() for document in read_documents(text, "f.yaml")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("y", True), ("On", True), ("yEs", "yEs"), ("no", False), ("OFF", False),
        ("~", None), ("", None), ("NULL", None), ("nULL", "nULL"),
        ("0", 0), ("-0", 0), ("+1", 1), ("07", 7), ("0o17", 15), ("08", 8.0), ("0x1F", 31), ("-0b11", -3),
        ("1_000", 1000), ("0x", "0x"), ("0o8", "0o8"), ("1__0", 10),
        ("_1", "_1"), ("-", "-"), ("+", "+"),
        ("9223372036854775807", 2**63 - 1), ("9223372036854775808", 2.0**63),
        ("1" * 500, "1" * 500), ("1" * 390, "1" * 390),
        (".5", 0.5), (".5_0", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("1e", "1e"), ("1e400", "1e400"),
        (".e1", ".e1"),
        ("2001-01-01", "2001-01-01"), ("1:30", "1:30"), ("=", "="), ("a", "a"), ("1.2.3", "1.2.3"),
        (".inf", float("inf")), ("-.INF", float("-inf")),
    ],
)  # fmt: skip
def test_a_plain_scalar_means(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_every_value_knows_its_line() -> None:
    (document,) = read_documents("# a comment\na:\n  b: 1\n  c:\n  - x\n  - {d: 2}\ne: |\n  text\n", "f.yaml")
    root = document.root.value
    assert document.place(document.root) == Place("f.yaml", 2)
    assert str(document.place(root["a"].value["b"])) == "f.yaml:3"
    assert root["a"].value["c"].line == 4
    assert [item.line for item in root["a"].value["c"].value] == [5, 6]
    assert root["e"].line == 7


def test_an_alias_stands_where_it_is_written() -> None:
    (document,) = read_documents("a: &x\n  b: 1\nc: *x\n", "f.yaml")
    root = document.root.value
    assert root["c"].line == 3
    assert root["c"].value is root["a"].value
    shared = document.root.plain()
    assert shared == {"a": {"b": 1}, "c": {"b": 1}}
    assert shared["a"] is shared["c"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("# only a comment\n", [], id="a comment"),
        pytest.param("---\n---\na: 1\n---\n", [{"a": 1}], id="empty documents are left out"),
        pytest.param("a: 1\na: 2\n", [{"a": 2}], id="the last of two keys wins"),
        pytest.param(
            "b: &b {k: 1}\ns: {k: 3, <<: *b, m: 4}\n", [{"b": {"k": 1}, "s": {"k": 1, "m": 4}}], id="merge"
        ),
        pytest.param('{"a": "\\ud83d\\ude00"}', [{"a": "😀"}], id="JSON that is no YAML"),
        pytest.param(
            '{"a": "\\ud83d"}\n{"b": 1}',
            [{"a": "\ufffd"}, {"b": 1}],
            id="a stream of JSON, half a pair in it",
        ),
        pytest.param("\ufeffa: é\n".encode("utf-16"), [{"a": "é"}], id="UTF-16"),
        pytest.param("1: a\ntrue: b\n1.5: c\n", [{"1": "a", "true": "b", "1.5": "c"}], id="keys become text"),
    ],
)
def test_a_file_means(text: str | bytes, value: list[Any]) -> None:
    assert plain(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a:\n\tb: 1\n", "f.yaml:2: this is not YAML", id="a tab"),
        pytest.param("a: [1,\nb: 2\n", "f.yaml:3: this is not YAML", id="a bracket that is not closed"),
        pytest.param("a: 1\nb: *x\n", "f.yaml:2: this is not YAML", id="an alias to nothing"),
        pytest.param("a: &x [*x]\n", "f.yaml:1: this is not YAML", id="an alias to itself"),
        pytest.param("a: 1\n---\n{b: c}}\n", "f.yaml:3: this is not YAML", id="in the second document"),
        pytest.param(b"a: 1\nb: \xff\n", "f.yaml:2: this is not YAML", id="not UTF-8"),
        pytest.param(b"a: 1\nb: '\x01'\n", "f.yaml:2: this is not YAML", id="a control character"),
        pytest.param("a: !!int x\n", "f.yaml:1: this is not YAML", id="a tag that does not fit"),
        pytest.param("a: !!binary '!'\n", "f.yaml:1: this is not YAML", id="binary that is no base64"),
        pytest.param("a: {<<: 5}\n", "f.yaml:1: this is not YAML", id="a merge of a number"),
        pytest.param("{? [a]: b}\n", "f.yaml:1: this is not YAML", id="a key that is a list"),
        pytest.param('{"a": "\\ud83d", }x', "f.yaml:1: this is not YAML", id="neither JSON nor YAML"),
        pytest.param(b'{"a": "\\ud83d\xff"}', "f.yaml:1: this is not YAML", id="JSON that is no UTF-8"),
        pytest.param(
            '{"a": "\\ud83d", "b": ' + "[" * 300 + "]" * 300 + "}",
            "f.yaml:1: this is not YAML",
            id="deep JSON",
        ),
        pytest.param("[" * (MAX_DEPTH + 1), "f.yaml:1: nested too deeply", id="too deep"),
        pytest.param(
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "f.yaml:8: aliases write out too much",
            id="a billion laughs",
        ),
    ],
)
def test_what_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(UnreadableManifest) as caught:
        read_documents(text, "f.yaml")
    error = caught.value
    assert (str(error), error.exit_status) == (message, 2)
    assert error.why
    assert error.hint


def test_hostile_nesting_takes_no_time() -> None:
    start = time.process_time()
    with pytest.raises(UnreadableManifest):
        read_documents("[" * 200_000, "f.yaml")
    assert time.process_time() - start < 2


def test_aliases_take_no_room_where_they_are_few() -> None:
    document = plain("a: &a [x, x]\nb: [*a, *a]\n")
    assert document == [{"a": ["x", "x"], "b": [["x", "x"], ["x", "x"]]}]


def test_a_file_that_is_too_long_is_refused() -> None:
    with pytest.raises(UnreadableManifest, match="too long") as refused:
        read_documents(b"#" * (64 * 1024 * 1024 + 1), "f.yaml")
    # Whoever read the file stopped there, so how long it is nobody knows.
    assert refused.value.why == "it has more than 67108864 bytes"


def test_a_node_shows_nothing() -> None:
    assert "hunter2" not in repr(Node("hunter2", 1))


def test_the_deepest_that_is_read_can_be_used() -> None:
    (document,) = read_documents("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f.yaml")
    assert document.root.plain()
    half = '{"a": "\\ud83d", "b": ' + "[" * (MAX_DEPTH - 2) + "]" * (MAX_DEPTH - 2) + "}"
    assert plain(half)[0]["a"] == "\ufffd"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!!float 1", 1.0),
        ("!!int '5'", 5),
        ("!!bool yes", True),
        ("!!null ~", None),
        ("!own x", "x"),
        ("! 5", "5"),
    ],
)
def test_tags(text: str, value: object) -> None:
    assert plain(f"a: {text}") == [{"a": value}]
