import pytest

from sealift.transport.redaction import printable, redacted_header, redacted_headers, redacted_url


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        pytest.param(
            "Authorization", "Bearer canary", "Bearer ***", id="the scheme helps, the token does not"
        ),
        pytest.param("authorization", "Basic Y2FuYXJ5", "Basic ***", id="basic"),
        pytest.param("Authorization", "canary", "***", id="a bare token has no scheme to show"),
        pytest.param(
            "Authorization", "canary1 canary2", "***", id="an unknown scheme may be the secret itself"
        ),
        pytest.param("Set-Cookie", "session=canary", "***", id="cookies"),
        pytest.param("Cookie", "session=canary", "***", id="cookies sent"),
        pytest.param("X-Registry-Auth", "canary", "***", id="docker's own"),
        pytest.param(
            "X-Next-Years-Token", "canary", "***", id="an allow-list: what nobody thought of is masked"
        ),
        pytest.param("Content-Type", "application/json", "application/json", id="on the list"),
        pytest.param(
            "Www-Authenticate", 'Bearer realm="https://a/t"', 'Bearer realm="https://a/t"', id="challenge"
        ),
        pytest.param(
            "Location",
            "https://s3/x?X-Amz-Signature=canary&digest=sha256:1",
            "https://s3/x?X-Amz-Signature=***&digest=sha256:1",
            id="signed storage URLs",
        ),
        pytest.param(
            "Link",
            '</v2/a/tags/list?last=1&_state=canary>; rel="next"',
            '</v2/a/tags/list?last=1&_state=***>; rel="next"',
            id="links keep what is useful",
        ),
        pytest.param(
            "Server", "\x1b[31mred", "\\x1b[31mred", id="escape sequences do not reach the terminal"
        ),
    ],
)
def test_a_header_is_shown_only_where_it_is_on_the_list(name: str, value: str, shown: str) -> None:
    assert redacted_header(name, value) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("https://u:canary@h/v2/", "https://h/v2/", id="user info goes"),
        pytest.param(
            "https://h/p?token=canary&scope=a:b:c", "https://h/p?token=***&scope=a:b:c", id="by name"
        ),
        pytest.param("https://h/p?canary", "https://h/p?canary=***", id="a name without value is a name"),
        pytest.param("https://h/p?digest=a%3Ab#canary", "https://h/p?digest=a:b", id="fragments go"),
        pytest.param("https://h/p?_state=%63anary", "https://h/p?_state=***", id="escapes hide nothing"),
        pytest.param("http://[::1/x", "***", id="what cannot be taken apart is not shown"),
    ],
)
def test_a_url_keeps_what_helps(url: str, shown: str) -> None:
    assert redacted_url(url) == shown


def test_headers_keep_their_order_and_names() -> None:
    assert redacted_headers({"Accept": "a", "X-Secret": "b"}) == [("Accept", "a"), ("X-Secret", "***")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain ünïcode ✓", "plain ünïcode ✓", id="text stays"),
        pytest.param("a\nb\r", "a\\nb\\r", id="one line"),
        pytest.param("\u202eevil", "\\u202eevil", id="direction overrides"),
        pytest.param("a\udce9b", "a\\udce9b", id="bytes that were no UTF-8 can be printed"),
        pytest.param("x" * 3000, "x" * 2000 + "…", id="not endless"),
    ],
)
def test_printable_text_is_harmless(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()
