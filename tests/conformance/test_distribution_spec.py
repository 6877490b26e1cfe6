"""distribution-spec v1.1.1 as requests and answers, against a registry on a socket.

The sections stand in the order of the specification; each test names its
endpoint. Where the specification leaves a choice, the assertion says which we
made; where its own conformance program expects a status, that is the one here.
"""

import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from tests.conformance.registry_socket import (
    CONFIG,
    EMPTY,
    INDEX,
    MANIFEST,
    OCTETS,
    Repository,
    described,
    digest_of,
    manifest_of,
    with_digest,
)
from tests.registry.server.serving import Server, serving

MISSING = digest_of(b"nobody pushed this")

_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("conformance")) as running:
        yield running


@pytest.fixture
def repository(server: Server) -> Repository:
    """A repository that is nobody else's."""
    return Repository(server, f"conformance/number-{next(_numbers)}")


# ------------------------------------------------------------------ end-1


def test_end_1_determines_support(server: Server, repository: Repository) -> None:
    assert server.ask("GET", "/v2/")[0] == 401
    reply = repository.ask("GET", "/v2/")
    assert reply.status == 200
    assert repository.ask("GET", "/v2").status in {200, 301, 404}


# ------------------------------------------------------------------ pulling manifests (end-3)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("by", ["tag", "digest"])
def test_end_3_gives_the_bytes_that_were_pushed(repository: Repository, method: str, by: str) -> None:
    body = repository.push_image("v1")
    reply = repository.ask(
        method, f"manifests/{'v1' if by == 'tag' else digest_of(body)}", headers={"accept": MANIFEST}
    )
    assert (reply.status, reply.headers["content-type"]) == (200, MANIFEST)
    assert reply.headers["docker-content-digest"] == digest_of(body)
    assert reply.headers["content-length"] == str(len(body))
    assert reply.body == (body if method == "GET" else b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["missing", MISSING, ".INVALID", "a" * 129])
def test_end_3_of_what_is_not_there(repository: Repository, method: str, reference: str) -> None:
    repository.push_image("v1")
    reply = repository.ask(method, f"manifests/{reference}")
    assert reply.status == 404
    if method == "GET":
        assert reply.codes == ["MANIFEST_UNKNOWN"]


def test_end_3_of_a_repository_that_is_not_there(repository: Repository) -> None:
    reply = repository.ask("GET", "manifests/v1")
    assert (reply.status, set(reply.codes) <= {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"}) == (404, True)


def test_end_3_answers_a_conditional_get(repository: Repository) -> None:
    body = repository.push_image("v1")
    for tag in (f'"{digest_of(body)}"', digest_of(body), "*"):
        reply = repository.ask("GET", "manifests/v1", headers={"if-none-match": tag})
        assert (reply.status, reply.body) == (304, b"")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", MANIFEST, INDEX, ""])
def test_accept_never_changes_bytes(repository: Repository, accept: str) -> None:
    body = repository.push_image("v1")
    reply = repository.ask("GET", "manifests/v1", headers={"accept": accept})
    assert (reply.status, reply.body) == (200, body)


# ------------------------------------------------------------------ pulling blobs (end-2)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "content", [b"", b"x", os.urandom(1_000_003)], ids=["empty", "one byte", "a megabyte"]
)
def test_end_2_gives_the_bytes_that_were_pushed(repository: Repository, method: str, content: bytes) -> None:
    digest = repository.push_blob(content)
    reply = repository.ask(method, f"blobs/{digest}")
    assert (reply.status, reply.headers["content-length"]) == (200, str(len(content)))
    assert reply.headers["docker-content-digest"] == digest
    assert reply.body == (content if method == "GET" else b"")


def test_end_2_of_sha512(repository: Repository) -> None:
    digest = repository.push_blob(b"longer", "sha512")
    assert repository.ask("GET", f"blobs/{digest}").body == b"longer"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("digest", "status"),
    [(MISSING, 404), ("sha256:totallywrong", 400), ("md5:0123", 400)],
    ids=["missing", "wrong", "md5"],
)
def test_end_2_of_what_is_not_there(repository: Repository, method: str, digest: str, status: int) -> None:
    repository.push_blob(b"x")
    reply = repository.ask(method, f"blobs/{digest}")
    assert reply.status == status
    if method == "GET":
        assert reply.codes == ["BLOB_UNKNOWN" if status == 404 else "DIGEST_INVALID"]


@pytest.mark.parametrize(
    ("asked", "status", "said", "part"),
    [
        pytest.param("bytes=0-3", 206, "bytes 0-3/10", slice(0, 4), id="a beginning"),
        pytest.param("bytes=4-", 206, "bytes 4-9/10", slice(4, 10), id="the rest"),
        pytest.param("bytes=-3", 206, "bytes 7-9/10", slice(7, 10), id="an end"),
        pytest.param("bytes=8-99", 206, "bytes 8-9/10", slice(8, 10), id="beyond the end"),
        pytest.param("bytes=10-", 416, "bytes */10", None, id="behind the end"),
        pytest.param("items=0-3", 200, None, slice(0, 10), id="another unit is ignored"),
        pytest.param("bytes=5-2", 416, "bytes */10", None, id="backwards (RFC 9110 leaves it open)"),
    ],
)
def test_end_2_in_parts(
    repository: Repository, asked: str, status: int, said: str | None, part: slice | None
) -> None:
    content = b"0123456789"
    digest = repository.push_blob(content)
    reply = repository.ask("GET", f"blobs/{digest}", headers={"range": asked})
    assert (reply.status, reply.headers.get("content-range")) == (status, said)
    if part is not None:
        assert reply.body == content[part]


def test_a_blob_of_another_repository_is_not_here(server: Server, repository: Repository) -> None:
    digest = Repository(server, "conformance/other").push_blob(b"theirs")
    repository.push_blob(b"ours")
    for method in ("GET", "HEAD", "DELETE"):
        assert repository.ask(method, f"blobs/{digest}").status == 404


# ------------------------------------------------ pushing blobs (end-4 to end-6, end-11, end-13, end-14)


def test_end_4b_in_one_request(repository: Repository) -> None:
    content = b"all at once"
    digest = digest_of(content)
    reply = repository.ask("POST", f"blobs/uploads/?digest={digest}", headers=OCTETS, body=content)
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
    assert repository.ask("GET", reply.headers["location"]).body == content


def test_end_4a_and_end_6(repository: Repository) -> None:
    content = b"first a post, then a put"
    digest = digest_of(content)
    reply = repository.ask("PUT", with_digest(repository.start(), digest), headers=OCTETS, body=content)
    assert reply.status == 201
    assert repository.ask("GET", reply.headers["location"]).body == content


def test_end_5_streamed(repository: Repository) -> None:
    """What docker does: one PATCH without Content-Range, then an empty PUT (R-OCI-10)."""
    content = os.urandom(300_000)
    patched = repository.ask("PATCH", repository.start(), headers=OCTETS, body=content)
    assert (patched.status, patched.headers["range"]) == (202, f"0-{len(content) - 1}")
    closed = repository.ask("PUT", with_digest(patched.headers["location"], digest_of(content)), body=b"")
    assert closed.status == 201
    assert repository.ask("GET", f"blobs/{digest_of(content)}").body == content


def _chunk(start: int, content: bytes) -> dict[str, str]:
    return {"content-range": f"{start}-{start + len(content) - 1}", **OCTETS}


def test_end_5_in_chunks_and_end_13_between(repository: Repository) -> None:
    chunks = [b"first ", b"second ", b"third"]
    location, start = repository.start(), 0
    fresh = repository.ask("GET", location)
    assert fresh.status == 204
    for chunk in chunks[:-1]:
        reply = repository.ask("PATCH", location, headers=_chunk(start, chunk), body=chunk)
        assert (reply.status, reply.headers["range"]) == (202, f"0-{start + len(chunk) - 1}")
        location, start = reply.headers["location"], start + len(chunk)
        status = repository.ask("GET", location)
        assert (status.status, status.headers["range"]) == (204, f"0-{start - 1}")
        assert status.headers["location"]
    whole = b"".join(chunks)
    reply = repository.ask(
        "PUT", with_digest(location, digest_of(whole)), headers=_chunk(start, chunks[-1]), body=chunks[-1]
    )
    assert reply.status == 201
    assert repository.ask("GET", f"blobs/{digest_of(whole)}").body == whole


@pytest.mark.parametrize("start", [3, 100], ids=["again", "beyond"])
def test_end_5_out_of_order_is_416_and_says_where_to_go_on(repository: Repository, start: int) -> None:
    first = b"0123456789"
    patched = repository.ask("PATCH", repository.start(), headers=_chunk(0, first), body=first)
    refused = repository.ask("PATCH", patched.headers["location"], headers=_chunk(start, b"abc"), body=b"abc")
    assert (refused.status, refused.headers["range"]) == (416, "0-9")
    again = repository.ask("PATCH", refused.headers["location"], headers=_chunk(10, b"abc"), body=b"abc")
    assert (again.status, again.headers["range"]) == (202, "0-12")


@pytest.mark.parametrize(
    ("digest", "code"),
    [
        pytest.param(MISSING, "DIGEST_INVALID", id="another's"),
        pytest.param("sha256:baddigeststring", "DIGEST_INVALID", id="none"),
        pytest.param("", "DIGEST_INVALID", id="empty"),
    ],
)
def test_end_6_with_a_digest_that_is_wrong(repository: Repository, digest: str, code: str) -> None:
    reply = repository.ask("PUT", with_digest(repository.start(), digest), headers=OCTETS, body=b"content")
    assert (reply.status, reply.codes) == (400, [code])
    assert repository.ask("HEAD", f"blobs/{digest_of(b'content')}").status == 404


def test_end_14_cancels(repository: Repository) -> None:
    location = repository.start()
    assert repository.ask("DELETE", location).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        reply = repository.ask(method, location, body=b"")
        assert reply.status == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_that_never_was(repository: Repository, method: str) -> None:
    repository.push_blob(b"x")
    target = f"blobs/uploads/00000000-0000-0000-0000-000000000000?digest={MISSING}"
    reply = repository.ask(method, target, body=b"")
    assert (reply.status, reply.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_end_11_mounts_what_may_be_read(server: Server, repository: Repository) -> None:
    source = Repository(server, repository.name + "-source")
    digest = source.push_blob(b"to be mounted")
    both = Repository(server, repository.name, also=(source.name,))
    mounted = both.ask("POST", f"blobs/uploads/?mount={digest}&from={source.name}", body=b"")
    assert (mounted.status, mounted.headers["docker-content-digest"]) == (201, digest)
    assert both.ask("GET", mounted.headers["location"]).body == b"to be mounted"


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("mount={known}&from={source}", id="the token does not cover the source"),
        pytest.param("mount={missing}&from={source}", id="nobody has it"),
        pytest.param("mount={known}&from=conformance/nowhere", id="no such source"),
        pytest.param("mount=nonsense&from={source}", id="no digest"),
        pytest.param("mount={missing}", id="no source"),
    ],
)
def test_end_11_goes_on_as_an_upload_where_it_cannot_mount(
    server: Server, repository: Repository, query: str
) -> None:
    source = Repository(server, repository.name + "-source")
    known = source.push_blob(b"known there")
    asked = query.format(known=known, source=source.name, missing=MISSING)
    reply = repository.ask("POST", f"blobs/uploads/?{asked}", body=b"")
    assert reply.status == 202
    content = b"pushed instead"
    closed = repository.ask(
        "PUT", with_digest(reply.headers["location"], digest_of(content)), headers=OCTETS, body=content
    )
    assert closed.status == 201


# ------------------------------------------------------------------ pushing manifests (end-7)


def test_end_7_by_tag_and_by_digest(repository: Repository) -> None:
    body = repository.push_image("v1")
    for reference in ("v2", digest_of(body)):
        reply = repository.push_manifest(body, reference)
        assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest_of(body))
        assert repository.ask("GET", reply.headers["location"]).body == body
    tags = repository.ask("GET", "tags/list").json["tags"]
    assert tags == ["v1", "v2"]


def _index(*manifests: bytes) -> bytes:
    entries = [
        described(body, MANIFEST, platform={"os": "linux", "architecture": "amd64"}) for body in manifests
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def test_end_7_of_an_index(repository: Repository) -> None:
    body = _index(repository.push_image("one", b"one"), repository.push_image("two", b"two"))
    assert repository.push_manifest(body, "both", INDEX).status == 201
    reply = repository.ask("GET", "manifests/both")
    assert (reply.body, reply.headers["content-type"]) == (body, INDEX)


@pytest.mark.parametrize(
    ("make", "codes"),
    [
        pytest.param(lambda: (b"", MANIFEST), {"MANIFEST_INVALID"}, id="nothing"),
        pytest.param(lambda: (b"{", MANIFEST), {"MANIFEST_INVALID"}, id="no JSON"),
        pytest.param(lambda: (b"[" * 5000, MANIFEST), {"MANIFEST_INVALID"}, id="deep"),
        pytest.param(lambda: (b"[]", MANIFEST), {"MANIFEST_INVALID"}, id="a list"),
        pytest.param(lambda: (b'{"schemaVersion":1}', MANIFEST), {"MANIFEST_INVALID"}, id="schema 1"),
        pytest.param(lambda: (_index(), MANIFEST), {"MANIFEST_INVALID"}, id="another type than it says"),
        pytest.param(
            lambda: (manifest_of(b"missing config"), MANIFEST),
            {"MANIFEST_BLOB_UNKNOWN"},
            id="a blob is missing",
        ),
        pytest.param(lambda: (_index(b"{}"), INDEX), {"MANIFEST_BLOB_UNKNOWN"}, id="a child is missing"),
        pytest.param(
            lambda: (
                json.dumps(
                    {
                        "schemaVersion": 2,
                        "mediaType": MANIFEST,
                        "config": {},
                        "layers": [],
                        "manifests": [],
                    }
                ).encode(),
                MANIFEST,
            ),
            {"MANIFEST_INVALID"},
            id="layers and manifests in one (CVE-2021-41190)",
        ),
    ],
)
def test_end_7_of_what_is_no_manifest(
    repository: Repository, make: Callable[[], tuple[bytes, str]], codes: set[str]
) -> None:
    repository.push_blob(b"{}")
    body, media_type = make()
    reply = repository.push_manifest(body, "v1", media_type)
    assert (reply.status, set(reply.codes)) == (400, codes)
    assert repository.ask("GET", "manifests/v1").status == 404


def test_end_7_by_a_digest_that_is_another_bodys(repository: Repository) -> None:
    body = repository.push_image("v1")
    reply = repository.push_manifest(body, MISSING)
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize(
    "size", [4 * 1024 * 1024, 4 * 1024 * 1024 + 1], ids=["as long as any", "one byte too long"]
)
def test_end_7_of_a_long_manifest(repository: Repository, size: int) -> None:
    config = b"{}"
    repository.push_blob(config)
    short = manifest_of(config, annotations={"x": ""})
    body = manifest_of(config, annotations={"x": "y" * (size - len(short))})
    assert len(body) == size
    reply = repository.push_manifest(body, "v1")
    assert reply.status == (201 if size <= 4 * 1024 * 1024 else 413)


def test_end_7_with_a_subject_that_is_not_there_yet(repository: Repository) -> None:
    body = repository.push_image("signed", subject={"mediaType": MANIFEST, "digest": MISSING, "size": 3})
    reply = repository.push_manifest(body)
    assert (reply.status, reply.headers["oci-subject"]) == (201, MISSING)


# ------------------------------------------------------------------ listing tags (end-8)


def test_end_8_in_pages(repository: Repository) -> None:
    body = repository.push_image("v0")
    names = sorted(["v0", *(f"tag{number}" for number in range(5)), "Upper", "_under", "1.0"])
    for name in names:
        repository.push_manifest(body, name)
    assert repository.ask("GET", "tags/list").json == {"name": repository.name, "tags": names}
    seen: list[str] = []
    target = "tags/list?n=2"
    while target:
        reply = repository.ask("GET", target)
        assert len(reply.json["tags"]) <= 2
        seen += reply.json["tags"]
        link = reply.headers.get("link", "")
        assert not link or 'rel="next"' in link
        target = link.partition("<")[2].partition(">")[0]
    assert seen == names
    assert repository.ask("GET", "tags/list?n=0").json["tags"] == []
    assert repository.ask("GET", "tags/list?last=tag3").json["tags"] == [
        name for name in names if name > "tag3"
    ]


@pytest.mark.parametrize("n", ["-1", "x", "1.5"])
def test_end_8_of_a_number_that_is_none(repository: Repository, n: str) -> None:
    repository.push_image("v1")
    assert repository.ask("GET", f"tags/list?n={n}").status == 400


def test_end_8_of_a_very_large_number(repository: Repository) -> None:
    repository.push_image("v1")
    assert repository.ask("GET", "tags/list?n=1000000000").json["tags"] == ["v1"]


def test_end_8_of_a_repository_that_is_not_there(repository: Repository) -> None:
    reply = repository.ask("GET", "tags/list")
    assert (reply.status, reply.codes) == (404, ["NAME_UNKNOWN"])


# ------------------------------------------------------------------ listing referrers (end-12)


def _referrer(repository: Repository, subject: bytes, **more: Any) -> bytes:
    empty = b"{}"
    repository.push_blob(empty)
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(empty, more.pop("config_type", EMPTY)),
            "layers": [described(empty, EMPTY)],
            "subject": described(subject, MANIFEST),
            **more,
        }
    ).encode()
    reply = repository.push_manifest(body)
    assert (reply.status, reply.headers["oci-subject"]) == (201, digest_of(subject))
    return body


def test_end_12_lists_what_refers(repository: Repository) -> None:
    subject = repository.push_image("v1")
    typed = _referrer(
        repository, subject, artifactType="text/signature", annotations={"org.example.key": "value"}
    )
    untyped = _referrer(repository, subject, config_type="application/x-by-config")
    reply = repository.ask("GET", f"referrers/{digest_of(subject)}")
    assert (reply.status, reply.headers["content-type"]) == (200, INDEX)
    document = reply.json
    assert (document["schemaVersion"], document["mediaType"]) == (2, INDEX)
    found = {entry["digest"]: entry for entry in document["manifests"]}
    assert found == {
        digest_of(typed): described(
            typed, MANIFEST, artifactType="text/signature", annotations={"org.example.key": "value"}
        ),
        digest_of(untyped): described(untyped, MANIFEST, artifactType="application/x-by-config"),
    }


def test_end_12_filters_and_says_so(repository: Repository) -> None:
    subject = repository.push_image("v1")
    wanted = _referrer(repository, subject, artifactType="text/one")
    _referrer(repository, subject, artifactType="text/two")
    reply = repository.ask("GET", f"referrers/{digest_of(subject)}?artifactType=text/one")
    assert [entry["digest"] for entry in reply.json["manifests"]] == [digest_of(wanted)]
    assert reply.headers["oci-filters-applied"] == "artifactType"


def test_end_12_is_empty_and_never_404(repository: Repository) -> None:
    repository.push_image("v1")
    reply = repository.ask("GET", f"referrers/{MISSING}")
    assert (reply.status, reply.json["manifests"]) == (200, [])


def test_end_12_of_no_digest(repository: Repository) -> None:
    assert repository.ask("GET", "referrers/v1").status == 400


def test_end_12_forgets_what_was_deleted(repository: Repository) -> None:
    subject = repository.push_image("v1")
    gone = _referrer(repository, subject, artifactType="text/one")
    assert repository.ask("DELETE", f"manifests/{digest_of(gone)}").status == 202
    assert repository.ask("GET", f"referrers/{digest_of(subject)}").json["manifests"] == []


# ------------------------------------------------------------------ content management (end-9, end-10)


def test_end_9_of_a_tag_leaves_the_manifest(repository: Repository) -> None:
    body = repository.push_image("v1")
    assert repository.push_manifest(body, "v2").status == 201
    assert repository.ask("DELETE", "manifests/v1").status == 202
    assert repository.ask("GET", "manifests/v1").status == 404
    assert repository.ask("GET", "manifests/v2").status == 200
    assert repository.ask("GET", f"manifests/{digest_of(body)}").status == 200
    assert repository.ask("GET", "tags/list").json["tags"] == ["v2"]


def test_end_9_of_a_digest_takes_its_tags(repository: Repository) -> None:
    body = repository.push_image("v1")
    assert repository.ask("DELETE", f"manifests/{digest_of(body)}").status == 202
    for reference in ("v1", digest_of(body)):
        assert repository.ask("GET", f"manifests/{reference}").status == 404
        assert repository.ask("DELETE", f"manifests/{reference}").status == 404
    assert repository.ask("GET", "tags/list").json["tags"] == []


def test_end_10(repository: Repository) -> None:
    digest = repository.push_blob(b"to be deleted")
    assert repository.ask("DELETE", f"blobs/{digest}").status == 202
    for method in ("GET", "HEAD", "DELETE"):
        assert repository.ask(method, f"blobs/{digest}").status == 404
    assert repository.push_blob(b"to be deleted") == digest
    assert repository.ask("GET", f"blobs/{digest}").status == 200


def test_a_blob_that_was_deleted_here_is_not_read_by_way_of_another_repository(
    server: Server, repository: Repository
) -> None:
    """Security table, row 8: no cache knows a digest without its repository."""
    other = Repository(server, repository.name + "-other")
    digest = repository.push_blob(b"in both")
    other.push_blob(b"in both")
    assert repository.ask("GET", f"blobs/{digest}").status == 200
    repository.ask("DELETE", f"blobs/{digest}")
    assert other.ask("GET", f"blobs/{digest}").status == 200
    assert repository.ask("GET", f"blobs/{digest}").status == 404


# ------------------------------------------------------------------ names and errors


@pytest.mark.parametrize(
    "name",
    ["UPPER", "a//b", "-a", "a-", "a..b", "a___b", "a/_b", "a b", "ä", "x" * 256],
    ids=lambda name: name[:12],
)
def test_a_name_that_is_none(repository: Repository, name: str) -> None:
    from urllib.parse import quote  # noqa: PLC0415  used here only

    reply = repository.ask("GET", f"/v2/{quote(name)}/tags/list")
    assert (reply.status, reply.codes) == (400, ["NAME_INVALID"])


@pytest.mark.parametrize(
    "name", ["a", "a/b/c/d/e", "a.b_c__d-e---f", "0", "manifests", "a/blobs/uploads", "tags/list"]
)
def test_a_name_that_is_one(server: Server, name: str) -> None:
    named = Repository(server, name)
    body = named.push_image("v1")
    assert named.ask("GET", "manifests/v1").body == body


def test_errors_have_code_message_and_detail(repository: Repository) -> None:
    repository.push_image("v1")
    for method, target in (
        ("GET", "manifests/missing"),
        ("GET", f"blobs/{MISSING}"),
        ("POST", "tags/list"),
        ("GET", "/v2/UPPER/tags/list"),
    ):
        reply = repository.ask(method, target)
        assert reply.headers["content-type"] == "application/json"
        (error,) = reply.json["errors"]
        assert error["code"].isupper()
        assert error["message"]
        assert "detail" in error


def test_a_media_type_that_nobody_knows_is_kept(repository: Repository) -> None:
    """An artifact's config may have any type. Spec: image-spec v1.1, "Guidelines for Artifact Usage"."""
    config = b"{}"
    repository.push_blob(config)
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/x-chart",
            "config": described(config, "application/x-anything"),
            "layers": [described(config, CONFIG)],
        }
    ).encode()
    assert repository.push_manifest(body, "chart").status == 201
    assert repository.ask("GET", "manifests/chart").body == body
