"""What holds for everything that client and registry say to each other."""

import string
from contextlib import suppress
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.test_reference_laws import paths, tags

from sealift.image.reference_grammar import is_path
from sealift.protocol.byte_range import Unsatisfiable, parse_range, parse_received, write_range
from sealift.protocol.challenge import Challenge, parse_challenge
from sealift.protocol.endpoints import (
    BadPath,
    Endpoint,
    Match,
    MethodNotAllowed,
    NoRoute,
    manifest_path,
    match,
)
from sealift.protocol.error_codes import ErrorCode, ProtocolError, read_errors, write_errors
from sealift.protocol.page import MalformedPage, Page, next_url
from sealift.protocol.scope import Scope, parse_scopes, write_scopes
from sealift.protocol.token import MalformedTokenAnswer, TokenAnswer

pytestmark = pytest.mark.laws

tokens = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=10)
header_text = st.text(
    st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=30
)
names = paths.filter(lambda path: len(path) <= 255)
scopes = st.builds(Scope, names, st.frozensets(st.sampled_from(["pull", "push", "delete", "*"])))
printable = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20)


@given(
    st.sampled_from(["bearer", "basic", "digest"]),
    st.dictionaries(tokens.map(str.lower), header_text, max_size=4),
)
def test_a_challenge_that_is_written_is_read(scheme: str, parameters: dict[str, str]) -> None:
    challenge = Challenge(scheme, parameters)
    assert parse_challenge(str(challenge)) == challenge


@given(st.text(max_size=100) | st.text('Bearer basic=",\\ a', max_size=60))
def test_any_line_is_a_challenge_or_none(line: str) -> None:
    challenge = parse_challenge(line)
    assert challenge is None or challenge.scheme in {"bearer", "basic", "digest"}


@given(st.lists(scopes, max_size=4))
def test_scopes_that_are_written_are_read(written: list[Scope]) -> None:
    assert parse_scopes(write_scopes(written)) == tuple(written)
    assert [Scope.from_access(scope.to_access()) for scope in written] == written


@given(st.text(max_size=60) | st.text("repositygul(:)/,*ab.-_ ", max_size=40))
def test_a_scope_that_is_read_is_written_the_same(text: str) -> None:
    scope = Scope.parse(text)
    if scope is not None:
        assert Scope.parse(str(scope)) == scope


@given(scopes, scopes, scopes)
def test_allowing_is_an_order(a: Scope, b: Scope, c: Scope) -> None:
    assert a.allows(a)
    if a.allows(b) and b.allows(c):
        assert a.allows(c)


@given(names, tags)
def test_a_path_that_is_built_is_matched(name: str, tag: str) -> None:
    assert match("GET", manifest_path(name, tag)) == Match(Endpoint.GET_MANIFEST, name, tag)
    everything_escaped = "/v2/" + "/".join(
        "".join(f"%{ord(character):02x}" for character in part)
        for part in f"{name}/manifests/{tag}".split("/")
    )
    assert match("GET", everything_escaped) == Match(Endpoint.GET_MANIFEST, name, tag)


@given(
    st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "", "get"]),
    st.lists(
        st.sampled_from(
            ["v2", "a", "A", "..", ".", "", "blobs", "uploads", "manifests", "tags", "list", "%2e%2e", "%2F"]
        )
        | st.text(max_size=5),
        max_size=8,
    ).map(lambda parts: "/" + "/".join(parts)),
)
def test_whatever_is_matched_is_well_formed(method: str, path: str) -> None:
    found = match(method, path)
    assert isinstance(found, Match | NoRoute | MethodNotAllowed | BadPath)
    if isinstance(found, Match):
        assert not found.name or is_path(found.name)
        assert not {"", ".", ".."} & set("/".join(found.parts.values() or ["x"]).split("/"))
        assert quote("".join(found.parts.values()), safe="/:=") == "".join(found.parts.values())


@given(st.text("bytes=0123456789-, ", max_size=20) | st.text(max_size=20), st.integers(0, 50))
def test_a_range_lies_within_the_content(header: str, size: int) -> None:
    found = parse_range(header, size)
    if isinstance(found, tuple):
        start, stop = found
        assert 0 <= start < stop <= size
    else:
        assert found in {None, Unsatisfiable(size)}


@given(st.integers(2, 2**63))
def test_what_an_upload_has_is_read_as_written(received: int) -> None:
    assert parse_received(write_range(received)) == received


@given(st.lists(st.text("abc", max_size=3), unique=True).map(sorted), st.integers(1, 5), st.integers(1, 5))
def test_pages_together_are_the_whole_list(everything: list[str], n: int, maximum: int) -> None:
    everything = [name for name in everything if name]
    page: Page | None = Page(n)
    seen: list[str] = []
    while page is not None:
        part, following = page.of(everything, maximum)
        assert len(part) <= min(n, maximum)
        seen.extend(part)
        if following is not None:
            url = next_url(following.link("/v2/x/tags/list"), "http://a.b/v2/x/tags/list")
            assert url is not None
            assert Page.parse(parse_qs(urlsplit(url).query)) == following
        page = following
    assert seen == everything


@given(st.text(max_size=30))
def test_any_number_is_a_page_or_refused(n: str) -> None:
    try:
        page = Page.parse({"n": [n], "last": [n]})
    except MalformedPage:
        return
    assert page.n is not None
    assert page.n >= 0


@given(st.text('</a?>;="rel next,', max_size=40) | st.text(max_size=40))
def test_any_link_is_a_url_or_none(link: str) -> None:
    found = next_url(link, "https://a.b/v2/x/tags/list")
    assert found is None or isinstance(found, str)


@given(
    st.lists(
        st.builds(
            ProtocolError, st.sampled_from(ErrorCode), printable.filter(bool), st.none() | st.integers()
        ),
        max_size=5,
    )
)
def test_errors_that_are_written_are_read(errors: list[ProtocolError]) -> None:
    assert read_errors(write_errors(errors)) == tuple(errors)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_body_is_errors_and_a_token_or_not(body: bytes) -> None:
    assert isinstance(read_errors(body), tuple)
    with suppress(MalformedTokenAnswer):
        assert TokenAnswer.read(body).token


@given(
    st.text(string.ascii_letters, min_size=1),
    st.integers(1, 10**6),
    st.none() | st.text(string.ascii_letters, min_size=1),
)
def test_a_token_that_is_written_is_read(token: str, expires_in: int, refresh_token: str | None) -> None:
    answer = TokenAnswer(token=token, expires_in=expires_in, refresh_token=refresh_token)
    assert TokenAnswer.read(answer.write()) == answer
