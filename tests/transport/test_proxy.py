import pytest

from sealift.transport.proxy import proxy_for


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        pytest.param("https://r.io/", {}, None, id="none is set"),
        pytest.param("https://r.io/", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128", id="upper case"),
        pytest.param(
            "https://r.io/",
            {"HTTPS_PROXY": "http://a", "https_proxy": "http://b"},
            "http://b",
            id="lower case wins",
        ),
        pytest.param("https://r.io/", {"HTTP_PROXY": "http://p"}, None, id="each scheme has its own"),
        pytest.param("http://r.io/", {"HTTP_PROXY": "http://p"}, "http://p", id="http"),
        pytest.param("https://r.io/", {"ALL_PROXY": "http://p"}, None, id="ALL_PROXY is not read, as in Go"),
        pytest.param(
            "https://r.io/", {"HTTPS_PROXY": "p:3128"}, "http://p:3128", id="a proxy without scheme is http"
        ),
        pytest.param("https://127.0.0.1:5000/", {"HTTPS_PROXY": "http://p"}, None, id="loopback never"),
        pytest.param("https://localhost/", {"HTTPS_PROXY": "http://p"}, None, id="localhost never"),
        pytest.param("https://[::1]:5000/", {"HTTPS_PROXY": "http://p"}, None, id="::1 never"),
    ],
)
def test_the_proxy_is_the_environments(url: str, environment: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environment) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        pytest.param("r.io", "https://r.io/", True, id="the name"),
        pytest.param("r.io", "https://a.r.io/", True, id="and all below it"),
        pytest.param("r.io", "https://ar.io/", False, id="but not another name that ends so"),
        pytest.param(".r.io", "https://r.io/", False, id="with a dot only what is below"),
        pytest.param(".r.io", "https://a.r.io/", True, id="with a dot, below"),
        pytest.param("*.r.io", "https://a.r.io/", True, id="a star before the dot is the dot"),
        pytest.param("*", "https://r.io/", True, id="everything"),
        pytest.param("r.io:443", "https://r.io/", True, id="the port, where it is the scheme's own"),
        pytest.param("r.io:5000", "https://r.io/", False, id="another port"),
        pytest.param("10.0.0.0/8", "https://10.1.2.3:5000/", True, id="a range"),
        pytest.param("10.0.0.0/8", "https://11.1.2.3/", False, id="outside the range"),
        pytest.param("10.0.0.0/8", "https://r.io/", False, id="a range says nothing of names"),
        pytest.param("10.1.2.3", "https://10.1.2.3:5000/", True, id="an address"),
        pytest.param("2001:db8::1", "https://[2001:db8::1]/", True, id="a v6 address is no host with port"),
        pytest.param("x, r.io", "https://R.IO./", True, id="lists, spaces, case and the final dot"),
        pytest.param("not/a/range", "https://r.io/", False, id="nonsense excludes nothing"),
        pytest.param("", "https://r.io/", False, id="empty"),
    ],
)
def test_no_proxy_excludes_what_go_excludes(no_proxy: str, url: str, direct: bool) -> None:
    proxy = proxy_for(url, {"HTTPS_PROXY": "http://p", "NO_PROXY": no_proxy})
    assert proxy == (None if direct else "http://p")
