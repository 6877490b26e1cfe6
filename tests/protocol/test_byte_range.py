import pytest

from sealift.protocol.byte_range import (
    MalformedRange,
    Unsatisfiable,
    parse_content_range,
    parse_range,
    parse_received,
    write_chunk_range,
    write_content_range,
    write_range,
)

REFUSED = Unsatisfiable(10)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, None, id="no header"),
        pytest.param("", None, id="an empty header"),
        pytest.param("bytes=0-9", (0, 10), id="all"),
        pytest.param("bytes=2-5", (2, 6), id="a part"),
        pytest.param("bytes=9-9", (9, 10), id="the last byte"),
        pytest.param("bytes=0-99", (0, 10), id="more than there is"),
        pytest.param("bytes=2-" + "9" * 5000, (2, 10), id="an end of many digits"),
        pytest.param("bytes=3-", (3, 10), id="from somewhere"),
        pytest.param("bytes=-3", (7, 10), id="the last bytes"),
        pytest.param("bytes=-99", (0, 10), id="more last bytes than there are"),
        pytest.param("bytes=-" + "9" * 5000, (0, 10), id="last bytes of many digits"),
        pytest.param("BYTES= 2-5\t", (2, 6), id="case and space"),
        pytest.param("bytes=002-005", (2, 6), id="zeros in front"),
        pytest.param("bytes=" + "0" * 5000 + "2-5", (2, 6), id="many zeros in front"),
        pytest.param("bytes=10-", REFUSED, id="from the end"),
        pytest.param("bytes=10-20", REFUSED, id="past the end"),
        pytest.param("bytes=" + "9" * 5000 + "-", REFUSED, id="far past the end"),
        pytest.param("bytes=-0", REFUSED, id="the last no bytes"),
        pytest.param("bytes=0-1,3-4", None, id="several"),
        pytest.param("bytes=5-2", REFUSED, id="backwards"),
        pytest.param("bytes=-", None, id="neither end"),
        pytest.param("bytes=a-b", None, id="letters"),
        pytest.param("bytes=1-2-3", None, id="three numbers"),
        pytest.param("bytes=+1-2", None, id="a sign"),
        pytest.param("bytes=٣-٤", None, id="digits of another script"),
        pytest.param("items=0-1", None, id="another unit"),
        pytest.param("0-1", None, id="no unit"),
        pytest.param("bytes=0-1\n", None, id="a newline"),
    ],
)
def test_which_bytes_a_reader_wants(header: str | None, expected: object) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-5", "bytes=5-"])
def test_empty_content_is_always_given_whole(header: str) -> None:
    assert parse_range(header, 0) is None


def test_a_refusal_says_how_much_there_is() -> None:
    assert REFUSED.content_range == "bytes */10"


def test_what_is_written() -> None:
    assert (write_content_range(2, 6, 10), write_chunk_range(2, 6)) == ("bytes 2-5/10", "2-5")


@pytest.mark.parametrize(("text", "expected"), [("0-0", (0, 0)), ("5-1023", (5, 1023)), ("00-01", (0, 1))])
def test_a_chunk(text: str, expected: tuple[int, int]) -> None:
    assert parse_content_range(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "5",
        "5-",
        "-5",
        "5-4",
        "bytes 0-5/10",
        "bytes=0-5",
        "0-5/10",
        "0 - 5",
        "0-5\n",
        "0-" + "9" * 20,
    ],
)
def test_what_is_no_chunk(text: str) -> None:
    with pytest.raises(MalformedRange):
        parse_content_range(text)


@pytest.mark.parametrize(("received", "text"), [(0, "0-0"), (1, "0-0"), (2, "0-1"), (1024, "0-1023")])
def test_the_range_of_an_upload(received: int, text: str) -> None:
    assert write_range(received) == text


@pytest.mark.parametrize(
    ("text", "received"),
    [
        pytest.param("0-1023", 1024, id="as the specification has it"),
        pytest.param("bytes=0-1023", 1024, id="as some write it"),
        pytest.param("0-0", None, id="R-OCI-8 none or one"),
        pytest.param("5-9", None, id="not from the beginning"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="no header"),
        pytest.param("0-x", None, id="no number"),
    ],
)
def test_how_much_an_upload_has(text: str | None, received: int | None) -> None:
    assert parse_received(text) == received
