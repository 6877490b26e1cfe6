"""Where a credential may go. Security table row 7, R-AUT-5."""

import pytest

from sealift.client.origin import Origin
from sealift.client.realm import RealmTrust, judge_realm

CREDENTIAL, ANONYMOUS, NOTHING = RealmTrust.CREDENTIAL, RealmTrust.ANONYMOUS, RealmTrust.NOTHING


@pytest.mark.parametrize(
    ("registry", "realm", "trust"),
    [
        pytest.param("https://r.example.com", "https://r.example.com/token", CREDENTIAL, id="itself"),
        pytest.param("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", CREDENTIAL, id="itself, plain"),
        pytest.param(
            "https://10.0.0.5:5000", "https://10.0.0.5:5000/token", CREDENTIAL, id="itself, private"
        ),
        pytest.param(
            "https://r.example.com", "https://R.EXAMPLE.COM:443/t", CREDENTIAL, id="itself, spelled otherwise"
        ),
        pytest.param("https://r.example.com", "http://r.example.com/token", NOTHING, id="https to http"),
        pytest.param(
            "https://r.example.com", "http://r.example.com:443/token", NOTHING, id="https to http, same port"
        ),
        pytest.param(
            "http://127.0.0.1:5000",
            "http://127.0.0.1:5001/token",
            NOTHING,
            id="another service of this machine",
        ),
        pytest.param(
            "http://127.0.0.1:5000", "http://localhost:5000/token", NOTHING, id="another name of this machine"
        ),
        pytest.param("http://r.lan", "http://auth.lan/token", NOTHING, id="plain http elsewhere"),
        pytest.param("https://r.example.com", "https://127.0.0.1/token", NOTHING, id="loopback"),
        pytest.param("https://r.example.com", "https://localhost/token", NOTHING, id="localhost"),
        pytest.param(
            "https://r.example.com",
            "https://169.254.169.254/latest",
            NOTHING,
            id="link-local: cloud metadata",
        ),
        pytest.param("https://r.example.com", "https://10.0.0.1/token", NOTHING, id="private"),
        pytest.param("https://r.example.com", "https://[fd00::1]/token", NOTHING, id="private v6"),
        pytest.param("https://r.example.com", "https://0.0.0.0/token", NOTHING, id="unspecified"),
        pytest.param(
            "https://r.example.com", "https://2130706433/token", NOTHING, id="loopback as one number"
        ),
        pytest.param(
            "https://r.example.com", "https://[::ffff:10.0.0.1]/t", NOTHING, id="private behind a v6 spelling"
        ),
        pytest.param(
            "https://10.0.0.5:5000", "https://10.0.0.5:5001/token", NOTHING, id="private, another port"
        ),
        pytest.param("https://r.example.com", "ftp://r.example.com/token", NOTHING, id="no http at all"),
        pytest.param("https://r.example.com", "file:///etc/passwd", NOTHING, id="a file"),
        pytest.param("https://r.example.com", "", NOTHING, id="nothing"),
        pytest.param("https://r.example.com", "/token", NOTHING, id="relative"),
        pytest.param("https://r.example.com", "https://u:p@r.example.com/token", NOTHING, id="user info"),
        pytest.param(
            "https://r.example.com",
            "https://r.example.com@evil.test/t",
            NOTHING,
            id="user info that looks like the host",
        ),
        pytest.param(
            "https://r.example.com", "https://r.example.com:8443/token", CREDENTIAL, id="another port, https"
        ),
        pytest.param(
            "https://registry.example.com", "https://auth.example.com/token", CREDENTIAL, id="the same domain"
        ),
        pytest.param("https://example.com", "https://auth.example.com/token", CREDENTIAL, id="below it"),
        pytest.param("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", CREDENTIAL, id="GitLab"),
        pytest.param(
            "https://registry-1.docker.io", "https://auth.docker.io/token", CREDENTIAL, id="Docker Hub"
        ),
        pytest.param(
            "https://registry.example.com", "https://evil.test/token", ANONYMOUS, id="another domain"
        ),
        pytest.param(
            "https://registry.example.com",
            "https://example.com.evil.test/t",
            ANONYMOUS,
            id="it only begins so",
        ),
        pytest.param(
            "https://registry.example.com", "https://notexample.com/t", ANONYMOUS, id="it only ends so"
        ),
        pytest.param(
            "https://r.co.uk",
            "https://evil.co.uk/token",
            ANONYMOUS,
            id="a country's second level is no domain",
        ),
        pytest.param("https://a.r.co.uk", "https://b.r.co.uk/token", CREDENTIAL, id="a domain under one"),
        pytest.param(
            "https://r.example.com", "https://auth.docker.io/token", ANONYMOUS, id="Hub's realm is Hub's"
        ),
        pytest.param(
            "https://registry", "https://auth/token", ANONYMOUS, id="names of one label share nothing"
        ),
        pytest.param("https://8.8.8.8", "https://8.8.4.4/token", ANONYMOUS, id="addresses share nothing"),
    ],
)
def test_a_realm_gets_what_the_table_says(registry: str, realm: str, trust: RealmTrust) -> None:
    assert judge_realm(realm, Origin.of(registry))[0] is trust


@pytest.mark.parametrize(
    ("named", "trust"),
    [
        pytest.param("auth.other.test", CREDENTIAL, id="by host"),
        pytest.param("auth.other.test:443", CREDENTIAL, id="by host and port"),
        pytest.param("auth.other.test:8443", ANONYMOUS, id="another port"),
        pytest.param("other.test", ANONYMOUS, id="not what is below"),
    ],
)
def test_a_user_can_name_a_realm(named: str, trust: RealmTrust) -> None:
    registry = Origin.of("https://registry.example.com")
    assert judge_realm("https://auth.other.test/token", registry, frozenset({named}))[0] is trust


def test_a_user_cannot_name_plain_http() -> None:
    registry = Origin.of("https://registry.example.com")
    trusted = frozenset({"auth.other.test"})
    assert judge_realm("http://auth.other.test/token", registry, trusted)[0] is NOTHING
