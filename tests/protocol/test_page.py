from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from sealift.protocol.page import MalformedPage, Page, next_url

NAMES = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, Page(), id="nothing"),
        pytest.param({"n": ["3"]}, Page(3), id="n"),
        pytest.param({"n": ["0"]}, Page(0), id="none at all"),
        pytest.param({"n": ["007"]}, Page(7), id="zeros in front"),
        pytest.param({"n": ["0" * 5000 + "7"]}, Page(7), id="many zeros in front"),
        pytest.param({"n": ["9" * 18]}, Page(10**18 - 1), id="large"),
        pytest.param({"n": ["1" + "0" * 5000]}, Page(10**18), id="of many digits"),
        pytest.param({"last": ["v1"]}, Page(None, "v1"), id="last without n"),
        pytest.param({"n": ["1", "x"], "last": ["a", "b"]}, Page(1, "a"), id="the first counts"),
        pytest.param({"n": [], "last": []}, Page(), id="empty lists"),
    ],
)
def test_parse(query: Mapping[str, Sequence[str]], expected: Page) -> None:
    assert Page.parse(query) == expected


@pytest.mark.parametrize("n", ["", "-1", "+1", "x", "1.0", " 1", "1 ", "1\n", "٣", "0x1", "00-"])
def test_n_that_is_no_number(n: str) -> None:
    with pytest.raises(MalformedPage):
        Page.parse({"n": [n]})


@pytest.mark.parametrize(
    ("page", "part", "following"),
    [
        pytest.param(Page(), NAMES, None, id="all, within our maximum"),
        pytest.param(Page(2), ["a", "b"], Page(2, "b"), id="the first"),
        pytest.param(Page(2, "b"), ["c", "d"], None, id="the last, and no link"),
        pytest.param(Page(2, "c"), ["d"], None, id="fewer than asked for"),
        pytest.param(Page(2, "bb"), ["c", "d"], None, id="last need not exist"),
        pytest.param(Page(None, "a"), ["b", "c", "d"], None, id="last without n"),
        pytest.param(Page(2, "z"), [], None, id="past the end"),
        pytest.param(Page(0), [], None, id="R-OCI-23 n=0 has no link"),
        pytest.param(Page(10**18), NAMES, None, id="more than there are"),
    ],
)
def test_of(page: Page, part: list[str], following: Page | None) -> None:
    assert page.of(NAMES, 10) == (part, following)


def test_our_maximum_holds_whatever_is_asked() -> None:
    assert Page(10**18).of(NAMES, 3) == (["a", "b", "c"], Page(10**18, "c"))
    assert Page().of(NAMES, 3) == (["a", "b", "c"], Page(None, "c"))


@pytest.mark.parametrize(
    ("page", "link"),
    [
        pytest.param(Page(2, "b"), '</v2/x/tags/list?last=b&n=2>; rel="next"', id="n and last"),
        pytest.param(Page(None, "b"), '</v2/x/tags/list?last=b>; rel="next"', id="last alone"),
        pytest.param(
            Page(1, 'a/b>;"é&'),
            '</v2/x/tags/list?last=a%2Fb%3E%3B%22%C3%A9%26&n=1>; rel="next"',
            id="escapes",
        ),
    ],
)
def test_a_link_is_written_and_read(page: Page, link: str) -> None:
    assert page.link("/v2/x/tags/list") == link
    url = next_url(link, "https://a.b/v2/x/tags/list?n=2")
    assert url is not None
    assert Page.parse(parse_qs(urlsplit(url).query)) == page


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        pytest.param(None, None, id="no header"),
        pytest.param("", None, id="an empty header"),
        pytest.param('</v2/x?n=1>; rel="next"', "https://a.b/v2/x?n=1", id="relative to the host"),
        pytest.param('<list?n=1>; rel="next"', "https://a.b/v2/x/tags/list?n=1", id="relative to the path"),
        pytest.param('<?n=1>; rel="next"', "https://a.b/v2/x/tags/list?n=1", id="relative to the query"),
        pytest.param('<https://c.d/x>; rel="next"', "https://c.d/x", id="absolute"),
        pytest.param("</x>; rel=next", "https://a.b/x", id="R-OCI-23 no quotes"),
        pytest.param("</x>;rel=next;title=y", "https://a.b/x", id="no spaces"),
        pytest.param('</x>; title="a, b"; rel="next"', "https://a.b/x", id="another parameter with a comma"),
        pytest.param('</x>; REL="Next"', "https://a.b/x", id="case"),
        pytest.param('</x>; rel="prev next"', "https://a.b/x", id="several relations"),
        pytest.param('</p>; rel="prev", </x>; rel="next"', "https://a.b/x", id="the second link"),
        pytest.param('</a,b>; rel="next"', "https://a.b/a,b", id="a comma in the target"),
        pytest.param('</x>; rel="prev"', None, id="another relation"),
        pytest.param('</x>; rel="nextish"', None, id="a longer word"),
        pytest.param("</x>; title=next", None, id="another parameter"),
        pytest.param("</x>", None, id="no relation"),
        pytest.param("/x; rel=next", None, id="no brackets"),
        pytest.param("</x; rel=next", None, id="an open bracket"),
        pytest.param('</x>; rel="next', None, id="an open quote"),
    ],
)
def test_what_a_link_names(link: str | None, expected: str | None) -> None:
    assert next_url(link, "https://a.b/v2/x/tags/list?n=2") == expected


@pytest.mark.timeout(5)
def test_a_long_link_is_read_at_once() -> None:
    for link in (
        "<" * 500_000,
        "<a>" + '"' * 500_000,
        '<a>"x' * 100_000,
        "<a>;rel" + " " * 500_000,
        "<a>," * 100_000,
    ):
        assert next_url(link, "https://a.b/") is None
