import pytest

from sealift.client.origin import Origin


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        pytest.param("https://R.io/v2/", Origin("https", "r.io", 443), "r.io", id="case and default port"),
        pytest.param("http://r.io:5000", Origin("http", "r.io", 5000), "r.io:5000", id="port"),
        pytest.param(
            "https://r.io:443/", Origin("https", "r.io", 443), "r.io", id="a default port said aloud"
        ),
        pytest.param(
            "https://r.io./", Origin("https", "r.io", 443), "r.io", id="the final dot is no other host"
        ),
        pytest.param("https://[::1]:5000/", Origin("https", "::1", 5000), "[::1]:5000", id="brackets"),
        pytest.param(
            "https://u:p@r.io/", Origin("https", "r.io", 443), "r.io", id="user info is no part of it"
        ),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: Origin, authority: str) -> None:
    assert Origin.of(url) == origin
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "ftp://r.io/",
        "r.io",
        "https://",
        "https:///x",
        "https://r.io:99999/",
        "https://r.io:x/",
        "javascript:x",
        "",
    ],
)
def test_what_is_no_http_url_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Origin.of(url)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("127.1", True),
        ("0x7f000001", True),
        ("017700000001", True),
        ("2130706433", True),
        ("128.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("10.0.0.1", False),
        ("1.2.3.4.5", False),
        ("256.1.1.1", False),
        ("09.1.1.1", False),
        ("4294967296", False),
    ],
)
def test_loopback_is_told_in_every_spelling_that_a_resolver_takes(host: str, loopback: bool) -> None:
    assert Origin.of(f"https://{host}:5000/").is_loopback is loopback
