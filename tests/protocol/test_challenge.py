import pytest

from sealift.protocol.challenge import Challenge, parse_challenge, parse_challenges


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            'Bearer realm="https://a/t",service="s",scope="repository:x/y:pull,push"',
            Challenge(
                "bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:x/y:pull,push"}
            ),
            id="all three",
        ),
        pytest.param(
            'Basic realm="x", Bearer realm="https://a/t",service="s"',
            Challenge("basic", {"realm": "x"}),
            id="two in one line: the second is lost",
        ),
        pytest.param(
            'bearer REALM="https://a/t" , Service=s',
            Challenge("bearer", {"realm": "https://a/t", "service": "s"}),
            id="case and space around a comma",
        ),
        pytest.param(
            'Bearer realm="https://a/t",service="",scope="z"',
            Challenge("bearer", {"realm": "https://a/t", "service": "", "scope": "z"}),
            id="an empty value is kept",
        ),
        pytest.param('Bearer realm="https://a/t', Challenge("bearer", {"realm": ""}), id="no closing quote"),
        pytest.param(r'Bearer realm="a\"b\\c"', Challenge("bearer", {"realm": r'a"b\c'}), id="escapes"),
        pytest.param(
            "Bearer realm=https://a/t,service=s",
            Challenge("bearer", {"realm": "https"}),
            id="a URL without quotes",
        ),
        pytest.param(
            "Bearer realm='https://a/t'", Challenge("bearer", {"realm": "'https"}), id="single quotes"
        ),
        pytest.param(
            'Bearer realm="https://a/t" scope="s"',
            Challenge("bearer", {"realm": "https://a/t"}),
            id="no comma",
        ),
        pytest.param(
            'Bearer realm="r",realm="r2"', Challenge("bearer", {"realm": "r2"}), id="the last one counts"
        ),
        pytest.param('Bearer realm="r",,scope="s"', Challenge("bearer", {"realm": "r"}), id="two commas"),
        pytest.param("Bearer", Challenge("bearer"), id="no parameters"),
        pytest.param("Negotiate", None, id="a scheme that nobody speaks"),
        pytest.param('Negotiate abc==, Basic realm="x"', None, id="and what follows it"),
        pytest.param('Bearer realm ="x"', Challenge("bearer"), id="R-AUT-3 space before ="),
        pytest.param('Bearer realm= "x"', Challenge("bearer", {"realm": ""}), id="R-AUT-3 space after ="),
        pytest.param('Digest realm="x"', Challenge("digest", {"realm": "x"}), id="digest"),
        pytest.param("", None, id="an empty line"),
        pytest.param(' Bearer realm="x"', None, id="a space first"),
        pytest.param('Bearer\trealm="x"', Challenge("bearer", {"realm": "x"}), id="a tab"),
        pytest.param('Bearer realm="x\\', Challenge("bearer", {"realm": ""}), id="ends in an escape"),
        pytest.param('Bearer realm="x\\"', Challenge("bearer", {"realm": ""}), id="ends in an escaped quote"),
        pytest.param('Bearer realm="é"', Challenge("bearer", {"realm": "é"}), id="not ASCII, in quotes"),
        pytest.param('Bearer é="x"', Challenge("bearer"), id="not ASCII, as a name"),
    ],
)
def test_a_line_is_read_as_containerd_reads_it(line: str, expected: Challenge | None) -> None:
    assert parse_challenge(line) == expected


def test_bearer_is_tried_before_digest_before_basic() -> None:
    lines = ['Basic realm="x"', "Negotiate", "Digest", 'Bearer realm="https://a/t"', "Bearer second=1"]
    assert parse_challenges(lines) == (
        Challenge("bearer", {"realm": "https://a/t"}),
        Challenge("bearer", {"second": "1"}),
        Challenge("digest"),
        Challenge("basic", {"realm": "x"}),
    )


@pytest.mark.parametrize(
    ("challenge", "line"),
    [
        pytest.param(Challenge("basic"), "Basic", id="no parameters"),
        pytest.param(
            Challenge("bearer", {"realm": "https://a/t", "scope": "repository:x:pull,push"}),
            'Bearer realm="https://a/t",scope="repository:x:pull,push"',
            id="everything is quoted",
        ),
        pytest.param(Challenge("bearer", {"realm": 'a"b\\c'}), r'Bearer realm="a\"b\\c"', id="escapes"),
        pytest.param(
            Challenge("bearer", {"scope": "x\r\nSet-Cookie: y"}),
            'Bearer scope="xSet-Cookie: y"',
            id="nothing ends the line",
        ),
    ],
)
def test_what_is_written(challenge: Challenge, line: str) -> None:
    assert str(challenge) == line


@pytest.mark.timeout(5)
def test_a_long_line_is_read_at_once() -> None:
    for line in (
        "Bearer " + 'a="' * 100_000,
        'Bearer a="' + "\\" * 500_000,
        "Bearer" + " " * 500_000,
        "B" * 500_000,
    ):
        parse_challenge(line)
