"""Why a key nearly serves an image."""

import pytest

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.credentials.keyring import build_index, lookup
from sealift.credentials.near_miss import sends_hub_credential, why_not

_APP = "private-registry.io/apps/internal-app"
_NGINX = "docker.io/library/nginx"
_NO_PORT = "the key has the port :{} and the image has none: a port counts as written"
_PREFIX = "has no trailing slash, so the kubelet reads it as a repository prefix"


@pytest.mark.parametrize(
    ("key", "image", "reason"),
    [
        pytest.param("https://private-registry.io/v2", _APP, f"the path /v2 {_PREFIX}", id="v2"),
        pytest.param("private-registry.io/v1", _APP, f"the path /v1 {_PREFIX}", id="v1"),
        pytest.param(
            "HTTPS://private-registry.io",
            _APP,
            "the scheme HTTPS:// must be lower case, or left out",
            id="scheme case",
        ),
        pytest.param(
            "oci://private-registry.io",
            _APP,
            "oci:// is no scheme that the kubelet takes off: leave it out",
            id="oci",
        ),
        pytest.param(
            "//private-registry.io",
            _APP,
            "// is no scheme that the kubelet takes off: leave it out",
            id="slashes",
        ),
        pytest.param(
            "private-registry.io:443",
            _APP,
            f"{_NO_PORT.format(443)}, the default port too",
            id="443",
        ),
        pytest.param(
            "private-registry.io:5000",
            _APP,
            _NO_PORT.format(5000),
            id="port too many",
        ),
        pytest.param(
            "reg.local",
            "reg.local:5000/a",
            "the image has the port :5000 and the key has none",
            id="port missing",
        ),
        pytest.param(
            "reg.local:5001",
            "reg.local:5000/a",
            "the key has the port :5001 and the image has :5000",
            id="other port",
        ),
        pytest.param(
            "Private-Registry.io",
            _APP,
            "upper and lower case count: the image says private-registry.io",
            id="case",
        ),
        pytest.param(
            " private-registry.io",
            _APP,
            "there is white space around the key, so it is no URL and the kubelet ignores it",
            id="space",
        ),
        pytest.param(
            "private-registry.io\n",
            _APP,
            "there is white space around the key, so it is no URL and the kubelet ignores it",
            id="line break",
        ),
        pytest.param(
            '"private-registry.io"',
            _APP,
            "there are quotes around the key, and they count as part of it",
            id="quotes",
        ),
        pytest.param("private-registry.io.", _APP, "the dot at the end of the host counts", id="dot"),
        pytest.param(
            "private-registy.io",
            _APP,
            "private-registy.io is spelt almost like private-registry.io",
            id="typing error",
        ),
        pytest.param(
            "www.private-registry.io",
            _APP,
            "www.private-registry.io is another host than private-registry.io",
            id="subdomain",
        ),
        pytest.param(
            "private-registry.io/other",
            _APP,
            "the path /other is not the beginning of /apps/internal-app",
            id="other path",
        ),
        pytest.param(
            "private-registry.io/Apps", _APP, "upper and lower case count in the path", id="path case"
        ),
        pytest.param(
            "private-registry.io/apps/internal-app:v1", _APP, "a key cannot name a tag or a digest", id="tag"
        ),
        pytest.param(
            "private-registry.io/apps/internal-app@sha256:00",
            _APP,
            "a key cannot name a tag or a digest",
            id="digest",
        ),
        pytest.param(
            "private-registry.io/apps/*",
            _APP,
            "a wildcard is not read in a path: a path is taken as the beginning of the image's",
            id="path glob",
        ),
        pytest.param(
            "private-registry.io/apps/internal-app/",
            _APP,
            "the slash at the end makes it serve only what lies below",
            id="slash at the end",
        ),
        pytest.param("private-registry.io//apps", _APP, "the doubled slash counts", id="doubled slash"),
        pytest.param(
            "*.azurecr.io",
            "a.b.azurecr.io/x",
            "* stands for one label: the pattern has 3 labels and a.b.azurecr.io has 4",
            id="labels",
        ),
        pytest.param("*", "foo.io/x", "* alone matches hosts of one label only, and foo.io has 2", id="star"),
        pytest.param(
            "*.docker.io", _NGINX, "*.docker.io does not match docker.io itself", id="star before the host"
        ),
        pytest.param(
            "[p]rivate-registry.io",
            _APP,
            "only * is a wildcard in a key; ? and [ ] are read as parts of a URL",
            id="class",
        ),
        pytest.param(
            "?rivate-registry.io",
            _APP,
            "only * is a wildcard in a key; ? and [ ] are read as parts of a URL",
            id="question mark",
        ),
        pytest.param(
            "*.io:5000/x",
            _APP,
            f"{_NO_PORT.format(5000)}; the path /x is not the beginning of /apps/internal-app",
            id="two differences",
        ),
        pytest.param("https://index.docker.io/v1", _NGINX, f"the path /v1 {_PREFIX}", id="Hub without slash"),
        pytest.param(
            "https://index.docker.io/v1/",
            _NGINX,
            "the kubelet uses the Docker Hub key only where no other key matches, and another one does",
            id="Hub hidden",
        ),
        pytest.param(
            "HTTPS://index.docker.io/v1/",
            _NGINX,
            "the scheme HTTPS:// must be lower case, or left out",
            id="Hub, scheme case",
        ),
        pytest.param(
            "index.docker.io/library",
            _NGINX,
            "a path under index.docker.io never serves an image of Docker Hub;"
            " https://index.docker.io/v1/ does",
            id="Hub with path",
        ),
        pytest.param(
            "registry-1.docker.io",
            _NGINX,
            "the kubelet does not know Docker Hub as registry-1.docker.io, but as https://index.docker.io/v1/",
            id="Hub, dialled host",
        ),
        pytest.param(
            "https://hub.docker.com",
            _NGINX,
            "the kubelet does not know Docker Hub as hub.docker.com, but as https://index.docker.io/v1/",
            id="Hub, web site",
        ),
        pytest.param("Docker.io", _NGINX, "the host Docker.io must be lower case", id="Hub, case"),
        pytest.param(
            "docker.io:443", _NGINX, "with the port :443 it does not mean Docker Hub", id="Hub, port"
        ),
        pytest.param(
            "docker.io/other",
            _NGINX,
            "the path /other is not the beginning of /library/nginx",
            id="Hub, other path",
        ),
        pytest.param("[::1]", "[::1]:5000/x", "the image has the port :5000 and the key has none", id="IPv6"),
        pytest.param("https://index.docker.io/v1/", _APP, None, id="Hub for another registry"),
        pytest.param("quay.io", _APP, None, id="another registry"),
        pytest.param("gcr.io", "ghcr.io/x", None, id="short hosts are no typing errors of each other"),
        pytest.param("*.azurecr.io", _APP, None, id="another pattern"),
        pytest.param("f[oo.io", _APP, None, id="a bracket that is not closed"),
        pytest.param(
            "private-registry.io:5000/v2",
            _APP,
            f"{_NO_PORT.format(5000)}; the path /v2 {_PREFIX}",
            id="port and v2",
        ),
        pytest.param(
            "Private-Registry.io/v2/apps",
            _APP,
            "upper and lower case count: the image says private-registry.io",
            id="case, behind v2",
        ),
        pytest.param("", _APP, None, id="empty"),
    ],
)
def test_why_not(key: str, image: str, reason: str | None) -> None:
    assert why_not(key, image) == reason


@pytest.mark.parametrize(
    ("key", "image", "told"),
    [
        pytest.param("private-registry.io/v2", _APP, True, id="no slash"),
        pytest.param("Private-Registry.io", _APP, True, id="case"),
        pytest.param("private-registry.io:443", _APP, True, id="the default port"),
        pytest.param("private-registry.io/apps/*", _APP, True, id="wildcard in the path"),
        pytest.param("private-registry.io/other", _APP, False, id="another team"),
        pytest.param("private-registry.io:5000", _APP, False, id="another port"),
        pytest.param("test.private-registry.io", _APP, False, id="a host below"),
        pytest.param("privat-registry.io", _APP, False, id="spelt almost alike"),
        pytest.param("us-docker.pkg.dev", "eu-docker.pkg.dev/p/x", False, id="another region"),
        pytest.param("docker.io/team-b", "docker.io/team-a/x", False, id="another team on Docker Hub"),
    ],
)
def test_where_another_key_serves_the_image_a_key_for_a_place_like_it_is_right(
    key: str, image: str, told: bool
) -> None:
    assert why_not(key, image) is not None
    assert (why_not(key, image, is_served=True) is not None) is told


@pytest.mark.parametrize(
    ("key", "image"),
    [
        ("registry12.example.com", "registry13.example.com/x"),
        ("192.168.10.1:5000", "192.168.10.12:5000/x"),
        ("1234.dkr.ecr.us-east-1.amazonaws.com", "1234.dkr.ecr.us-east-2.amazonaws.com/x"),
    ],
)
def test_hosts_that_differ_in_numbers_are_no_typing_errors(key: str, image: str) -> None:
    assert why_not(key, image) is None


def test_a_key_that_is_called_a_near_miss_does_miss() -> None:
    for key in ("HTTPS://foo.io", "foo.io/v2", "foo.io:443", "Foo.io", " foo.io", "*.foo.io", "foo.io."):
        entry = Credential(
            username="u", password=SecretText("p"), source=Source(kind="Secret", name="s"), key=key
        )
        assert lookup(build_index([entry]), "foo.io/a") == ()
        assert why_not(key, "foo.io/a") is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("docker.io/library/x", False), ("localhost/x", True), ("Example/x", True), ("foo.io/x", False)],
)
def test_who_else_is_given_the_credential_of_docker_hub(name: str, expected: bool) -> None:
    assert sends_hub_credential(name) is expected
