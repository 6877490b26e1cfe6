"""JSON as Go reads and writes it: R-PY-3 to R-PY-7."""

import pytest

from sealift.credentials.go_json import MAX_DEPTH, Array, GoJsonError, Literal, Object, fold, quote, read


@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(b"null", Literal.NULL, id="null"),
        pytest.param(b" true\n", Literal.BOOLEAN, id="white space around the document"),
        pytest.param(b"-0.5e+10", Literal.NUMBER, id="a number is not converted"),
        pytest.param(b"9" * 5000, Literal.NUMBER, id="a number of any length"),
        pytest.param(b"{}", Object(()), id="empty object"),
        pytest.param(b"[ ]", Array(()), id="empty array"),
        pytest.param(
            b'{"a":1,"a":"b"}', Object((("a", Literal.NUMBER), ("a", "b"))), id="duplicates are kept"
        ),
        pytest.param(
            b'{ "a" : [ 1 , {"b":null} ] }',
            Object((("a", Array((Literal.NUMBER, Object((("b", Literal.NULL),))))),)),
            id="nested",
        ),
        pytest.param(rb'"\"\\\/\b\f\n\r\t"', '"\\/\b\f\n\r\t', id="every short escape"),
        pytest.param(rb'"\u00e9\ud83d\ude00"', "é😀", id="a pair of surrogates is one character"),
        pytest.param(rb'"\ud83d\u0041"', "\ufffdA", id="half a pair before another escape"),
        pytest.param(rb'"\ud800"', "\ufffd", id="half a pair"),
        pytest.param(rb'"\udc00x"', "\ufffdx", id="the second half alone"),
        pytest.param(rb'"\ud800\ud83d\ude00"', "\ufffd😀", id="half a pair before a whole one"),
        pytest.param(b'"\xe2\x82"', "\ufffd\ufffd", id="each byte of a truncated character counts"),
        pytest.param(b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd", id="an encoded surrogate is three bad bytes"),
        pytest.param(b'"\xff\\n"', "\ufffd\n", id="a bad byte in a string with escapes"),
        pytest.param(b'"\x7f"', "\x7f", id="DEL may stand raw"),
    ],
)
def test_reads_what_go_reads(data: bytes, value: object) -> None:
    assert read(data) == value


@pytest.mark.parametrize(
    ("data", "text", "offset"),
    [
        pytest.param(b"", "unexpected end of JSON input", 0, id="nothing"),
        pytest.param(b" ", "unexpected end of JSON input", 1, id="white space only"),
        pytest.param(b"nope", "invalid character 'o' in literal null (expecting 'u')", 2, id="nope"),
        pytest.param(b"nul", "unexpected end of JSON input", 3, id="a literal cut off"),
        pytest.param(b"NaN", "invalid character 'N' looking for beginning of value", 1, id="NaN"),
        pytest.param(b"-Infinity", "invalid character 'I' in numeric literal", 2, id="Infinity"),
        pytest.param(b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value", 1, id="BOM"),
        pytest.param(b"{} {}", "invalid character '{' after top-level value", 4, id="trailing data"),
        pytest.param(
            b'{"a":1,}',
            "invalid character '}' looking for beginning of object key string",
            8,
            id="comma at the end",
        ),
        pytest.param(
            b"[1,]", "invalid character ']' looking for beginning of value", 4, id="comma in an array"
        ),
        pytest.param(b"[1 2]", "invalid character '2' after array element", 4, id="no comma"),
        pytest.param(b'{"a" 1}', "invalid character '1' after object key", 6, id="no colon"),
        pytest.param(
            b'{"a":1 "b"}', "invalid character '\"' after object key:value pair", 8, id="no comma, object"
        ),
        pytest.param(
            b"{'a':1}",
            r"invalid character '\'' looking for beginning of object key string",
            2,
            id="single quotes",
        ),
        pytest.param(b"01", "invalid character '1' after top-level value", 2, id="leading zero"),
        pytest.param(
            b"1.x", "invalid character 'x' after decimal point in numeric literal", 3, id="bare point"
        ),
        pytest.param(b"1e+", "unexpected end of JSON input", 3, id="exponent cut off"),
        pytest.param(b"1ex", "invalid character 'x' in exponent of numeric literal", 3, id="bad exponent"),
        pytest.param(b'"a\nb"', r"invalid character '\n' in string literal", 3, id="raw line break"),
        pytest.param(b'"a\x00"', r"invalid character '\x00' in string literal", 3, id="raw NUL"),
        pytest.param(rb'"\x"', "invalid character 'x' in string escape code", 3, id="unknown escape"),
        pytest.param(
            rb'"\u12g4"', r"invalid character 'g' in \u hexadecimal character escape", 6, id="bad hex"
        ),
        pytest.param(b'"abc', "unexpected end of JSON input", 4, id="string cut off"),
        pytest.param(
            '{"ü":x}'.encode(), "invalid character 'x' looking for beginning of value", 7, id="bytes count"
        ),
    ],
)
def test_refuses_what_go_refuses_in_its_words(data: bytes, text: str, offset: int) -> None:
    with pytest.raises(GoJsonError) as caught:
        read(data)
    assert (str(caught.value), caught.value.offset) == (text, offset)


def test_depth_has_a_limit_and_no_recursion() -> None:
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    value = read(deepest)
    depth = 0
    while isinstance(value, Array):
        depth += 1
        if not value.items:
            break
        value = value.items[0]
    assert depth == MAX_DEPTH
    with pytest.raises(GoJsonError, match="exceeded max depth"):
        read(b"[" + deepest + b"]")


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        pytest.param("AUTH", "auth", id="upper case"),
        pytest.param("auth\u017f", "auths", id="long s"),
        pytest.param("to\u212aen", "token", id="kelvin sign"),
        pytest.param("pa\u00dfword", "pa\u00dfword", id="sharp s is one character and no ss"),
        pytest.param("\u0130d", "\u0130d", id="dotted capital i has no ASCII fold"),
    ],
)
def test_folds_as_go_does(name: str, folded: str) -> None:
    assert fold(name) == folded


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("<>&", r'"\u003c\u003e\u0026"', id="HTML"),
        pytest.param("\u2028\u2029", r'"\u2028\u2029"', id="line separators"),
        pytest.param('"\\/', r'"\"\\/"', id="quote, backslash, slash"),
        pytest.param("\b\f\n\r\t", r'"\b\f\n\r\t"', id="short escapes"),
        pytest.param("\x00\x1f\x7f", '"\\u0000\\u001f\x7f"', id="other controls; DEL is raw"),
        pytest.param("é😀", '"é😀"', id="the rest is raw"),
        pytest.param("a\udcffb", r'"a\ufffdb"', id="a byte that is no UTF-8"),
    ],
)
def test_writes_what_go_writes(text: str, written: str) -> None:
    assert quote(text) == written
