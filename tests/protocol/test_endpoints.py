"""Paths of the registry protocol: every endpoint, and all that looks like one and is none."""

from urllib.parse import parse_qs, urlsplit

import pytest

from sealift.image.digest import Digest
from sealift.protocol.endpoints import (
    BadPath,
    Endpoint,
    Match,
    MethodNotAllowed,
    NoRoute,
    blob_path,
    catalog_path,
    is_name,
    manifest_path,
    match,
    referrers_path,
    referrers_tag,
    tags_path,
    upload_path,
    uploads_path,
)
from sealift.protocol.error_codes import ErrorCode

HEX = "0123456789abcdef" * 4
DIGEST = Digest("sha256", HEX)
SHA512 = Digest("sha512", HEX * 2)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("GET", "/v2/", Match(Endpoint.BASE), id="end-1"),
        pytest.param("HEAD", "/v2/", Match(Endpoint.BASE), id="end-1 HEAD"),
        pytest.param("GET", "/v2", Match(Endpoint.BASE), id="end-1 without its slash"),
        pytest.param(
            "GET", f"/v2/a/b/blobs/{DIGEST}", Match(Endpoint.GET_BLOB, "a/b", "", str(DIGEST)), id="end-2"
        ),
        pytest.param(
            "HEAD",
            f"/v2/a/blobs/{SHA512}",
            Match(Endpoint.GET_BLOB, "a", "", str(SHA512)),
            id="end-2 HEAD sha512",
        ),
        pytest.param("GET", "/v2/a/manifests/v1", Match(Endpoint.GET_MANIFEST, "a", "v1"), id="end-3 tag"),
        pytest.param(
            "HEAD",
            f"/v2/a/manifests/{DIGEST}",
            Match(Endpoint.GET_MANIFEST, "a", str(DIGEST), str(DIGEST)),
            id="end-3 digest",
        ),
        pytest.param("POST", "/v2/a/blobs/uploads/", Match(Endpoint.START_UPLOAD, "a"), id="end-4"),
        pytest.param(
            "POST", "/v2/a/blobs/uploads", Match(Endpoint.START_UPLOAD, "a"), id="end-4 without its slash"
        ),
        pytest.param(
            "PATCH", "/v2/a/blobs/uploads/u-1", Match(Endpoint.SEND_CHUNK, "a", upload_id="u-1"), id="end-5"
        ),
        pytest.param(
            "PUT",
            "/v2/a/blobs/uploads/u_1.=",
            Match(Endpoint.FINISH_UPLOAD, "a", upload_id="u_1.="),
            id="end-6",
        ),
        pytest.param("PUT", "/v2/a/manifests/v1", Match(Endpoint.PUT_MANIFEST, "a", "v1"), id="end-7"),
        pytest.param("GET", "/v2/a/tags/list", Match(Endpoint.LIST_TAGS, "a"), id="end-8"),
        pytest.param("DELETE", "/v2/a/manifests/v1", Match(Endpoint.DELETE_MANIFEST, "a", "v1"), id="end-9"),
        pytest.param(
            "DELETE", f"/v2/a/blobs/{DIGEST}", Match(Endpoint.DELETE_BLOB, "a", "", str(DIGEST)), id="end-10"
        ),
        pytest.param(
            "GET",
            f"/v2/a/referrers/{DIGEST}",
            Match(Endpoint.LIST_REFERRERS, "a", "", str(DIGEST)),
            id="end-12",
        ),
        pytest.param(
            "GET", "/v2/a/blobs/uploads/u", Match(Endpoint.UPLOAD_STATUS, "a", upload_id="u"), id="end-13"
        ),
        pytest.param(
            "DELETE", "/v2/a/blobs/uploads/u", Match(Endpoint.CANCEL_UPLOAD, "a", upload_id="u"), id="end-14"
        ),
        pytest.param("GET", "/v2/_catalog", Match(Endpoint.LIST_REPOSITORIES), id="distribution's list"),
    ],
)
def test_endpoints(method: str, path: str, expected: Match) -> None:
    assert match(method, path) == expected


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/a/manifests/b/manifests/latest", "a/manifests/b"),
        ("/v2/manifests/manifests/latest", "manifests"),
        ("/v2/a/blobs/uploads/manifests/latest", "a/blobs/uploads"),
        ("/v2/tags/list/manifests/latest", "tags/list"),
        ("/v2/v2/manifests/latest", "v2"),
        ("/v2/" + "/".join("a" * 128)[:255] + "/manifests/latest", "/".join("a" * 128)[:255]),
    ],
)
def test_a_repository_may_be_called_like_a_route(path: str, name: str) -> None:
    assert match("GET", path) == Match(Endpoint.GET_MANIFEST, name, "latest")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param(
            "GET",
            f"/v2/a/blobs/sha256%3A{HEX}",
            Match(Endpoint.GET_BLOB, "a", "", str(DIGEST)),
            id="an escaped colon, as some clients send it",
        ),
        pytest.param(
            "GET",
            "/v2/%61/manifests/%76%31",
            Match(Endpoint.GET_MANIFEST, "a", "v1"),
            id="escapes that need not be",
        ),
        pytest.param("GET", "/v2/%5Fcatalog", Match(Endpoint.LIST_REPOSITORIES), id="an escaped underscore"),
    ],
)
def test_an_escape_is_the_character_it_stands_for(method: str, path: str, expected: Match) -> None:
    assert match(method, path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/v2/a%2Fb/manifests/latest",
        "/v2/a%2fb/manifests/latest",
        "/v2/a/manifests/latest%",
        "/v2/a/manifests/%4",
        "/v2/a/manifests/%zz",
        "/v2/..%2F..%2Fetc/manifests/latest",
        "/v2/%2e%2e/manifests/latest",
        "/v2/a/%2e%2e/b/manifests/latest",
        "/v2/%2561/manifests/latest",
        "/v2/a%00b/manifests/latest",
        "/v2/a%0a/manifests/latest",
        "/v2/%C3%A9/manifests/latest",
        "/v2/A/manifests/latest",
        "/v2/a/../b/manifests/latest",
        "/v2/./a/manifests/latest",
        "/v2//manifests/latest",
        "/v2/manifests/latest",
        "/v2///manifests/latest",
        "/v2/a//b/manifests/latest",
        "/v2//a/manifests/latest",
        "/v2/a//manifests/latest",
        "/v2/a__-b/manifests/latest",
        "/v2/-a/manifests/latest",
        "/v2/a\n/manifests/latest",
        "/v2/é/manifests/latest",
        "/v2/a:b/manifests/latest",
        "/v2/a@b/manifests/latest",
        "/v2/" + "a" * 256 + "/manifests/latest",
        "/v2/" + "a/" * 2000 + "manifests/latest",
        "/v2/A/tags/list",
        "/v2/tags/list",
        f"/v2/A/blobs/{DIGEST}",
        f"/v2/A/referrers/{DIGEST}",
        "/v2/A/blobs/uploads/u",
    ],
)
def test_a_name_that_is_none(path: str) -> None:
    found = match("GET", path)
    assert isinstance(found, BadPath)
    assert (found.code, found.status) == (ErrorCode.NAME_INVALID, 400)


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        pytest.param("GET", "/v2/a/manifests/.x", "MANIFEST_UNKNOWN", 404, id="no tag to read"),
        pytest.param("HEAD", "/v2/a/manifests/", "MANIFEST_UNKNOWN", 404, id="no reference to read"),
        pytest.param(
            "DELETE", "/v2/a/manifests/" + "t" * 129, "MANIFEST_UNKNOWN", 404, id="no tag to delete"
        ),
        pytest.param("PUT", "/v2/a/manifests/.x", "TAG_INVALID", 400, id="no tag to write"),
        pytest.param("GET", "/v2/a/manifests/sha256:abc", "DIGEST_INVALID", 400, id="a short digest"),
        pytest.param(
            "PUT", f"/v2/a/manifests/sha256:{HEX.upper()}", "DIGEST_INVALID", 400, id="upper-case digits"
        ),
        pytest.param(
            "GET", f"/v2/a/manifests/md5:{HEX[:32]}", "DIGEST_INVALID", 400, id="an unknown algorithm"
        ),
        pytest.param("GET", f"/v2/a/manifests/v1@{DIGEST}", "DIGEST_INVALID", 400, id="a tag and a digest"),
        pytest.param("GET", "/v2/a/blobs/latest", "DIGEST_INVALID", 400, id="a blob by tag"),
        pytest.param("GET", "/v2/a/blobs/", "DIGEST_INVALID", 400, id="a blob by nothing"),
        pytest.param("GET", f"/v2/a/blobs/{DIGEST}0", "DIGEST_INVALID", 400, id="a long digest"),
        pytest.param(
            "GET", "/v2/a/referrers/latest", "DIGEST_INVALID", 400, id="R-OCI-24 referrers of a tag"
        ),
        pytest.param(
            "PATCH", "/v2/a/blobs/uploads/..", "BLOB_UPLOAD_UNKNOWN", 404, id="an upload that is a way up"
        ),
        pytest.param(
            "PATCH", "/v2/a/blobs/uploads/" + "u" * 129, "BLOB_UPLOAD_UNKNOWN", 404, id="a long upload"
        ),
        pytest.param("POST", "/v2/A/blobs/uploads/", "NAME_INVALID", 400, id="an upload to no repository"),
    ],
)
def test_parts_that_are_none(method: str, path: str, code: str, status: int) -> None:
    found = match(method, path)
    assert isinstance(found, BadPath)
    assert (found.code, found.status) == (code, status)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2/", ("GET", "HEAD")),
        ("POST", "/v2", ("GET", "HEAD")),
        ("DELETE", "/v2/_catalog", ("GET", "HEAD")),
        ("POST", "/v2/a/manifests/v1", ("GET", "HEAD", "PUT", "DELETE")),
        ("PUT", f"/v2/a/blobs/{DIGEST}", ("GET", "HEAD", "DELETE")),
        ("GET", "/v2/a/blobs/uploads/", ("POST",)),
        ("GET", "/v2/a/blobs/uploads", ("POST",)),
        ("POST", "/v2/a/blobs/uploads/u", ("GET", "HEAD", "PATCH", "PUT", "DELETE")),
        ("PUT", "/v2/a/tags/list", ("GET", "HEAD")),
        ("PUT", f"/v2/a/referrers/{DIGEST}", ("GET", "HEAD")),
        ("get", "/v2/a/manifests/v1", ("GET", "HEAD", "PUT", "DELETE")),
        ("", "/v2/a/manifests/v1", ("GET", "HEAD", "PUT", "DELETE")),
    ],
)
def test_methods_that_are_not_there(method: str, path: str, allowed: tuple[str, ...]) -> None:
    assert match(method, path) == MethodNotAllowed(allowed)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1/",
        "/v2x/",
        "/V2/",
        "//v2/",
        "v2/",
        "/v2/a",
        "/v2/a/",
        "/v2/a/tags",
        "/v2/a/tags/",
        "/v2/a/tags/other",
        "/v2/_catalog/",
        "/v2/uploads/u",
        "/v2/a/uploads/u",
        "/v2/blobs/uploads/u/v",
        "/v2/a/blobs/uploads/u/v",
        "/v2/a/manifests",
        "/v2/a/manifests/latest/x",
        "/v2/a/Manifests/latest",
    ],
)
def test_what_is_no_route(path: str) -> None:
    assert match("GET", path) == NoRoute()


@pytest.mark.parametrize("path", ["/v2/blobs/uploads/", "/v2//blobs/uploads/", "/v2/blobs/uploads"])
def test_an_upload_to_no_repository(path: str) -> None:
    found = match("POST", path)
    assert isinstance(found, BadPath)
    assert found.code == ErrorCode.NAME_INVALID


def test_the_parts_of_a_match() -> None:
    assert Match(Endpoint.BASE).parts == {}
    assert Match(Endpoint.GET_MANIFEST, "a", "v1").parts == {"name": "a", "reference": "v1"}
    assert Match(Endpoint.GET_BLOB, "a", "", "d").parts == {"name": "a", "digest": "d"}
    assert Match(Endpoint.SEND_CHUNK, "a", upload_id="u").parts == {"name": "a", "upload_id": "u"}


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        ("GET", manifest_path("a/b", "v1"), Endpoint.GET_MANIFEST),
        ("PUT", manifest_path("a/b", DIGEST), Endpoint.PUT_MANIFEST),
        ("GET", blob_path("a/b", DIGEST), Endpoint.GET_BLOB),
        ("POST", uploads_path("a/b"), Endpoint.START_UPLOAD),
        ("PATCH", upload_path("a/b", "u-1"), Endpoint.SEND_CHUNK),
        ("GET", tags_path("a/b"), Endpoint.LIST_TAGS),
        ("GET", catalog_path(), Endpoint.LIST_REPOSITORIES),
        ("GET", referrers_path("a/b", DIGEST), Endpoint.LIST_REFERRERS),
    ],
)
def test_what_is_built_is_matched(method: str, path: str, endpoint: Endpoint) -> None:
    found = match(method, path)
    assert isinstance(found, Match)
    assert found.endpoint == endpoint


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (uploads_path("a", digest=DIGEST), {"digest": [str(DIGEST)]}),
        (uploads_path("a", mount=DIGEST, source="b/c"), {"mount": [str(DIGEST)], "from": ["b/c"]}),
        (uploads_path("a", mount=DIGEST), {"mount": [str(DIGEST)]}),
        (tags_path("a", n=0), {"n": ["0"]}),
        (tags_path("a", n=5, last="v1&x"), {"n": ["5"], "last": ["v1&x"]}),
        (catalog_path(n=5, last="a/b"), {"n": ["5"], "last": ["a/b"]}),
        (catalog_path(last="é"), {"last": ["é"]}),
        (referrers_path("a", DIGEST, artifact_type="a/b+c"), {"artifactType": ["a/b+c"]}),
    ],
)
def test_queries_that_are_built(path: str, query: dict[str, list[str]]) -> None:
    assert parse_qs(urlsplit(path).query) == query


def test_a_name_that_is_none_stays_within_its_place() -> None:
    assert manifest_path("a?b#c d", "x/../y?z") == "/v2/a%3Fb%23c%20d/manifests/x%2F..%2Fy%3Fz"
    assert upload_path("a", "../x?y") == "/v2/a/blobs/uploads/..%2Fx%3Fy"


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        pytest.param(DIGEST, f"sha256-{HEX}", id="sha256"),
        pytest.param(SHA512, f"sha512-{HEX}", id="R-OCI-25 sha512 is cut"),
        pytest.param(
            "test+algorithm+using+algorithm+separators:"
            "alsoSome=InTheEncodedSectionToShowHyphenReplacementAndLotsAndLotsAndLots",
            "test-algorithm-using-algorithm-s-"
            "alsoSome-InTheEncodedSectionToShowHyphenReplacementAndLotsAndLot",
            id="a long one",
        ),
    ],
)
def test_the_tag_that_lists_referrers(digest: Digest | str, tag: str) -> None:
    assert referrers_tag(digest) == tag


@pytest.mark.parametrize(
    ("name", "expected"), [("a/b", True), ("a" * 255, True), ("a" * 256, False), ("A", False)]
)
def test_is_name(name: str, expected: bool) -> None:
    assert is_name(name) is expected


@pytest.mark.timeout(5)
def test_a_long_path_is_refused_at_once() -> None:
    for path in (
        "/v2/" + "a" * 1_000_000,
        "/v2/" + "/" * 1_000_000,
        "/v2/" + "%61" * 300_000,
        "/" * 1_000_000,
    ):
        assert not isinstance(match("GET", f"{path}/manifests/latest"), Match)
