"""Image references: every vector of the specification, and each rule by name."""

from dataclasses import dataclass

import pytest

from sealift.image.digest import Digest
from sealift.image.reference import (
    ImageReference,
    MalformedReference,
    Repository,
    apply_default_tag,
    default_pull_policy,
    go_quoted,
    keyring_name,
    reads_as_image_id,
)

HEX = "0123456789abcdef" * 4
SHA256 = f"sha256:{HEX}"
SHA384 = f"sha384:{HEX}{HEX[:32]}"
SHA512 = f"sha512:{HEX}{HEX}"
INVALID = "invalid reference format"


@dataclass(frozen=True)
class Reading:
    """A row of the table of vectors, column by column."""

    repository: str
    tag: str | None
    digest: str | None
    policy: str
    runtime: str
    familiar: str


def read(text: str) -> Reading:
    reference = ImageReference.parse(text)
    return Reading(
        repository=str(reference.repository),
        tag=reference.effective_tag,
        digest=str(reference.digest) if reference.digest else None,
        policy=default_pull_policy(text),
        runtime=apply_default_tag(text),
        familiar=reference.familiar(),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            text, Reading(repository, tag, digest, policy, runtime, familiar), id=f"{vector} {text[:40]}"
        )
        for vector, text, repository, tag, digest, policy, runtime, familiar in [
            ("V1", "nginx", "docker.io/library/nginx", "latest", None, "Always", "nginx:latest", "nginx"),
            (
                "V2",
                "nginx:1.25",
                "docker.io/library/nginx",
                "1.25",
                None,
                "IfNotPresent",
                "nginx:1.25",
                "nginx:1.25",
            ),
            (
                "V3",
                "nginx/nginx",
                "docker.io/nginx/nginx",
                "latest",
                None,
                "Always",
                "nginx/nginx:latest",
                "nginx/nginx",
            ),
            (
                "V4",
                "library/nginx",
                "docker.io/library/nginx",
                "latest",
                None,
                "Always",
                "library/nginx:latest",
                "nginx",
            ),
            (
                "V5",
                "docker.io/nginx",
                "docker.io/library/nginx",
                "latest",
                None,
                "Always",
                "docker.io/nginx:latest",
                "nginx",
            ),
            (
                "V6",
                "index.docker.io/nginx",
                "docker.io/library/nginx",
                "latest",
                None,
                "Always",
                "index.docker.io/nginx:latest",
                "nginx",
            ),
            (
                "V7",
                "registry-1.docker.io/library/nginx",
                "registry-1.docker.io/library/nginx",
                "latest",
                None,
                "Always",
                "registry-1.docker.io/library/nginx:latest",
                "registry-1.docker.io/library/nginx",
            ),
            (
                "V8",
                "localhost/nginx",
                "localhost/nginx",
                "latest",
                None,
                "Always",
                "localhost/nginx:latest",
                "localhost/nginx",
            ),
            (
                "V9",
                "localhost",
                "docker.io/library/localhost",
                "latest",
                None,
                "Always",
                "localhost:latest",
                "localhost",
            ),
            (
                "V10",
                "localhost:5000",
                "docker.io/library/localhost",
                "5000",
                None,
                "IfNotPresent",
                "localhost:5000",
                "localhost:5000",
            ),
            (
                "V11",
                "localhost:5000/nginx",
                "localhost:5000/nginx",
                "latest",
                None,
                "Always",
                "localhost:5000/nginx:latest",
                "localhost:5000/nginx",
            ),
            (
                "V12",
                "example.com",
                "docker.io/library/example.com",
                "latest",
                None,
                "Always",
                "example.com:latest",
                "example.com",
            ),
            (
                "V13",
                "a.b:5000",
                "docker.io/library/a.b",
                "5000",
                None,
                "IfNotPresent",
                "a.b:5000",
                "a.b:5000",
            ),
            (
                "V14",
                "a.b:5000/x:5000",
                "a.b:5000/x",
                "5000",
                None,
                "IfNotPresent",
                "a.b:5000/x:5000",
                "a.b:5000/x:5000",
            ),
            (
                "V15",
                "example/x",
                "docker.io/example/x",
                "latest",
                None,
                "Always",
                "example/x:latest",
                "example/x",
            ),
            ("V16", "Example/x", "Example/x", "latest", None, "Always", "Example/x:latest", "Example/x"),
            (
                "V17",
                "EXAMPLE.com/x",
                "EXAMPLE.com/x",
                "latest",
                None,
                "Always",
                "EXAMPLE.com/x:latest",
                "EXAMPLE.com/x",
            ),
            (
                "V21",
                f"x@{SHA256}",
                "docker.io/library/x",
                None,
                SHA256,
                "IfNotPresent",
                f"x@{SHA256}",
                f"x@{SHA256}",
            ),
            (
                "V22",
                f"x:latest@{SHA256}",
                "docker.io/library/x",
                "latest",
                SHA256,
                "Always",
                f"x:latest@{SHA256}",
                f"x:latest@{SHA256}",
            ),
            (
                "V23",
                f"x:v1@{SHA256}",
                "docker.io/library/x",
                "v1",
                SHA256,
                "IfNotPresent",
                f"x:v1@{SHA256}",
                f"x:v1@{SHA256}",
            ),
            (
                "V24 sha512",
                f"x@{SHA512}",
                "docker.io/library/x",
                None,
                SHA512,
                "IfNotPresent",
                f"x@{SHA512}",
                f"x@{SHA512}",
            ),
            (
                "V24 sha384",
                f"x@{SHA384}",
                "docker.io/library/x",
                None,
                SHA384,
                "IfNotPresent",
                f"x@{SHA384}",
                f"x@{SHA384}",
            ),
            (
                "V31",
                f"{HEX}:latest",
                f"docker.io/library/{HEX}",
                "latest",
                None,
                "Always",
                f"{HEX}:latest",
                f"{HEX}:latest",
            ),
            ("V32", SHA256, "docker.io/library/sha256", HEX, None, "IfNotPresent", SHA256, SHA256),
            ("V34", "x:_tag", "docker.io/library/x", "_tag", None, "IfNotPresent", "x:_tag", "x:_tag"),
            (
                "V35",
                "n" * 247,
                "docker.io/library/" + "n" * 247,
                "latest",
                None,
                "Always",
                "n" * 247 + ":latest",
                "n" * 247,
            ),
            (
                "V36",
                "a.b/" + "n" * 255,
                "a.b/" + "n" * 255,
                "latest",
                None,
                "Always",
                "a.b/" + "n" * 255 + ":latest",
                "a.b/" + "n" * 255,
            ),
            (
                "V37",
                "docker.io",
                "docker.io/library/docker.io",
                "latest",
                None,
                "Always",
                "docker.io:latest",
                "docker.io",
            ),
            (
                "V38",
                "Docker.io/nginx",
                "Docker.io/nginx",
                "latest",
                None,
                "Always",
                "Docker.io/nginx:latest",
                "Docker.io/nginx",
            ),
            ("V39", "a_b.c/d", "a_b.c/d", "latest", None, "Always", "a_b.c/d:latest", "a_b.c/d"),
            (
                "V40",
                "quay.io/x:latest-1",
                "quay.io/x",
                "latest-1",
                None,
                "IfNotPresent",
                "quay.io/x:latest-1",
                "quay.io/x:latest-1",
            ),
        ]
    ],
)
def test_vectors_that_are_references(text: str, expected: Reading) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "cause", "position"),
    [
        pytest.param(
            "example.com/X",
            f"{INVALID}: repository name (X) must be lowercase",
            12,
            id="V18 upper case in a path",
        ),
        pytest.param("Nginx", f"{INVALID}: repository name (library/Nginx) must be lowercase", 0, id="V19"),
        pytest.param(
            "NGINX:latest",
            f"{INVALID}: repository name (library/NGINX) must be lowercase",
            0,
            id="V19 with a tag",
        ),
        pytest.param(
            "User_a/x", "repository name must be lowercase", 4, id="V20 upper case makes it a domain"
        ),
        pytest.param(f"x@sha512:{HEX}", "invalid checksum digest length", 73, id="V25 sha512 too short"),
        pytest.param(
            f"x@sha256:{HEX}{HEX[:32]}", "invalid checksum digest length", 73, id="V25 sha256 too long"
        ),
        pytest.param(
            f"x@sha256:{HEX.upper()}", "invalid checksum digest format", 19, id="V26 upper-case digits"
        ),
        pytest.param(
            f"x@SHA256:{HEX}",
            f"{INVALID}: repository name (library/x@SHA256) must be lowercase",
            2,
            id="V27 upper-case algorithm",
        ),
        pytest.param(f"x@md5:{HEX[:32]}", "unsupported digest algorithm", 2, id="V28 md5"),
        pytest.param(f"x@blake3:{HEX}", "unsupported digest algorithm", 2, id="V28 blake3"),
        pytest.param(f"x@sha256+b64:{HEX}", "unsupported digest algorithm", 2, id="V28 sha256+b64"),
        pytest.param("x@sha256:aaaa", INVALID, 13, id="V29 too short for the grammar"),
        pytest.param(
            HEX,
            f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings",
            0,
            id="V30 an image ID",
        ),
        pytest.param("x:", INVALID, 2, id="V33 empty tag"),
        pytest.param("x@", INVALID, 2, id="V33 empty digest"),
        pytest.param("x:t@", INVALID, 4, id="V33 empty digest after a tag"),
        pytest.param("x:.t", INVALID, 2, id="V33 tag begins with a dot"),
        pytest.param("x:-t", INVALID, 2, id="V33 tag begins with a hyphen"),
        pytest.param("/x", INVALID, 0, id="V33 begins with a slash"),
        pytest.param("x/", INVALID, 2, id="V33 ends with a slash"),
        pytest.param("a.b//x", INVALID, 4, id="V33 two slashes"),
        pytest.param("a.b/x/", INVALID, 6, id="V33 ends with a slash after a domain"),
        pytest.param("a:b:c", INVALID, 3, id="V33 two tags"),
        pytest.param(
            "n" * 248, "repository name must not be more than 255 characters", 247, id="V35 library/ counts"
        ),
        pytest.param(
            "a.b/" + "n" * 256,
            "repository name must not be more than 255 characters",
            259,
            id="V36 256 characters",
        ),
    ],
)
def test_vectors_that_are_none(text: str, cause: str, position: int) -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference.parse(text)
    assert (caught.value.cause, caught.value.position, caught.value.text) == (cause, position, text)
    assert default_pull_policy(text) == "IfNotPresent"  # R-POL-3
    with pytest.raises(MalformedReference):
        apply_default_tag(text)


@pytest.mark.parametrize(
    ("text", "registry", "path"),
    [
        pytest.param("x/y/z", "docker.io", "x/y/z", id="R-REF-2 several elements"),
        pytest.param("x__y", "docker.io", "library/x__y", id="R-REF-3 two underscores"),
        pytest.param("x--y---z", "docker.io", "library/x--y---z", id="R-REF-3 any number of hyphens"),
        pytest.param("a.b:99999999/x", "a.b:99999999", "x", id="R-REF-4 no range of ports"),
        pytest.param("[::1]/x", "[::1]", "x", id="R-REF-5 an address without port"),
        pytest.param("[::1]:5000/x", "[::1]:5000", "x", id="R-REF-5 an address with port"),
        pytest.param("[::]/x", "[::]", "x", id="R-REF-5 colons alone are address enough"),
        pytest.param("1.2.3.4.5/x", "1.2.3.4.5", "x", id="R-REF-5 labels of digits"),
        pytest.param("xn--n3h.com/x", "xn--n3h.com", "x", id="R-REF-5 punycode"),
        pytest.param("a--b.c/x", "a--b.c", "x", id="R-REF-5 hyphens inside a label"),
        pytest.param(
            "d" * 244 + ".b/" + "n" * 255, "d" * 244 + ".b", "n" * 255, id="R-REF-9 domain not counted"
        ),
        pytest.param(f"library/{HEX}", "docker.io", f"library/{HEX}", id="R-REF-10 with a namespace"),
        pytest.param(f"x.y/{HEX}", "x.y", HEX, id="R-REF-10 with a domain"),
        pytest.param("localhost/x", "localhost", "x", id="R-REF-12.1"),
        pytest.param(
            "index.docker.io/x/y", "docker.io", "x/y", id="R-REF-12.2 no library/ where there is a slash"
        ),
        pytest.param("LOCALHOST/x", "LOCALHOST", "x", id="R-REF-12.4 upper case makes a domain"),
        pytest.param("localhosts/x", "docker.io", "localhosts/x", id="R-REF-12.5"),
        pytest.param("docker.io:443/x", "docker.io:443", "x", id="R-REF-14 a port is not Hub"),
        pytest.param("index.docker.io:443/x", "index.docker.io:443", "x", id="R-REF-14"),
        pytest.param("registry-1.docker.io/x", "registry-1.docker.io", "x", id="R-REF-14 no library/"),
        pytest.param("a_b.c/d", "", "a_b.c/d", id="R-REF-17 an underscore among dots"),
        pytest.param("a_b.c/d/e", "", "a_b.c/d/e", id="R-REF-17 with more elements"),
        pytest.param("a_b.c/" + "n" * 249, "", "a_b.c/" + "n" * 249, id="R-REF-17 all of it counts, 255"),
        pytest.param("nginx/nginx", "docker.io", "nginx/nginx", id="R-REF-24 not library"),
    ],
)
def test_where_the_image_lives(text: str, registry: str, path: str) -> None:
    assert ImageReference.parse(text).repository == Repository(registry, path)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        pytest.param("", INVALID, id="R-REF-15 empty"),
        pytest.param(f"x@{SHA256}:tag", INVALID, id="R-REF-1 the order is fixed"),
        pytest.param("x..y", INVALID, id="R-REF-3 two dots"),
        pytest.param("x___y", INVALID, id="R-REF-3 three underscores"),
        pytest.param("x_-y", INVALID, id="R-REF-3 mixed separators"),
        pytest.param("_x", INVALID, id="R-REF-3 begins with a separator"),
        pytest.param("x_", INVALID, id="R-REF-3 ends with a separator"),
        pytest.param("a.b:/x", INVALID, id="R-REF-4 no port"),
        pytest.param("fe80::1/x", INVALID, id="R-REF-5 an address without brackets"),
        pytest.param("[fe80::1%eth0]/x", INVALID, id="R-REF-5 a zone"),
        pytest.param("bücher.de/x", INVALID, id="R-REF-5 no Unicode"),
        pytest.param("x:" + "t" * 129, INVALID, id="R-REF-6 129 characters of tag"),
        pytest.param("x:é", INVALID, id="R-REF-6 no Unicode"),
        pytest.param("x:٣", INVALID, id="R-PY-1 no digits of other scripts"),
        pytest.param(
            f"x:t@MD5:{HEX}", "invalid checksum digest format", id="R-REF-8 upper-case algorithm past a tag"
        ),
        pytest.param(
            "a_b.c/" + "n" * 250,
            "repository name must not be more than 255 characters",
            id="R-REF-17 counts it all",
        ),
        pytest.param(
            "\u212a", f"{INVALID}: repository name (library/\u212a) must be lowercase", id="Kelvin sign"
        ),
        pytest.param(
            "İ.com/x", "repository name must be lowercase", id="R-REF-15 one character for one, as in Go"
        ),
        pytest.param(" nginx", INVALID, id="R-REF-16 a space before"),
        pytest.param("nginx ", INVALID, id="R-REF-16 a space after"),
        pytest.param("nginx\t", INVALID, id="R-REF-16 a tab"),
        pytest.param("nginx\n", INVALID, id="R-REF-16 a newline"),
        pytest.param("http://a.b/x", INVALID, id="R-REF-16 http"),
        pytest.param("docker://x", INVALID, id="R-REF-16 docker"),
        pytest.param("x\0y", INVALID, id="NUL"),
        pytest.param("\ud800", INVALID, id="half a surrogate pair"),
    ],
)
def test_what_is_no_reference(text: str, cause: str) -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference.parse(text)
    assert caught.value.cause == cause
    assert 0 <= caught.value.position <= len(text)
    assert caught.value.rule


def test_a_refusal_says_what_why_and_what_to_type() -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference.parse("Apps/Internal-App:v1")
    assert (str(caught.value), caught.value.why, caught.value.hint) == (
        "'Apps/Internal-App:v1' is not an image name",
        "at character 6: a repository is lower case",
        "write Apps/internal-app:v1",
    )


def test_a_refusal_at_the_end_says_so() -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference.parse("nginx:")
    assert str(caught.value.why).startswith("at its end: a tag")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param("x.y/A..B", None, id="lower case alone would not help"),
        pytest.param("A" * 64, None, id="lower case would make an image ID"),
        pytest.param("N" * 300, None, id="long"),
        pytest.param("X/Ü", None, id="lower case that is not ASCII"),
        pytest.param(HEX, f"if it is the name of a repository, write library/{HEX}", id="image ID"),
    ],
)
def test_a_hint_is_given_where_it_would_help(text: str, hint: str | None) -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference.parse(text)
    assert caught.value.hint == hint


def test_a_refusal_is_one_printable_line_of_bounded_length() -> None:
    for text in ("a b\n" * 100_000, "\ud800" * 100_000, "\x1b[31m", "\u202e", "A" * 100_000):
        with pytest.raises(MalformedReference) as caught:
            ImageReference.parse(text)
        said = f"{caught.value} {caught.value.why} {caught.value.hint}"
        assert said.isprintable()
        assert len(said) < 2_000
        said.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("https://ashok:pw@r.io/a", "https://ashok:***@r.io/a", id="a URL"),
        pytest.param("https://token@r.io/a", "https://***@r.io/a", id="a user that is a token"),
        pytest.param("ashok:pw@r.io/a", "ashok:***@r.io/a", id="without a scheme"),
        pytest.param("ashok:p/w@x@r.io/a", "ashok:***@r.io/a", id="slash and at sign in the password"),
        pytest.param("token@r.io/a", "***@r.io/a", id="a token alone: no digest has a slash"),
        pytest.param("r.io/a:v1@sha256:12", "r.io/a:v1@sha256:12", id="a digest that is too short"),
        pytest.param("nginx@latest", "nginx@latest", id="a tag after the wrong sign"),
        pytest.param("r.io/A:v1", "r.io/A:v1", id="no at sign"),
    ],
)
def test_what_may_be_a_login_is_not_shown(text: str, shown: str) -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference.parse(text)
    assert str(caught.value) == f"'{shown}' is not an image name"


def test_what_the_kubelet_says() -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference.parse('Quoted "Name"')
    assert caught.value.kubelet_message == (
        'couldn\'t parse image name "Quoted \\"Name\\"": '
        'invalid reference format: repository name (library/Quoted "Name") must be lowercase'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("nginx", '"nginx"', id="plain"),
        pytest.param('a"b\\c', r'"a\"b\\c"', id="quote and backslash"),
        pytest.param("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"', id="short escapes"),
        pytest.param("\x00\x1b\x7f", r'"\x00\x1b\x7f"', id="ASCII control characters"),
        pytest.param("é日😀\ufffd", '"é日😀\ufffd"', id="printable stays"),
        pytest.param("\u00a0\u200b\u0085", r'"\u00a0\u200b\u0085"', id="not printable below U+10000"),
        pytest.param("\U000e0001", r'"\U000e0001"', id="not printable above"),
        pytest.param("\udcff", r'"\xff"', id="a byte that is not UTF-8"),
        pytest.param("\ud800", '"\ufffd"', id="half a surrogate pair, as decoders in Go leave it"),
    ],
)
def test_go_quoted(text: str, expected: str) -> None:
    assert go_quoted(text) == expected


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        pytest.param("x", "latest", id="neither"),
        pytest.param("x:v1", "v1", id="tag"),
        pytest.param(f"x:v1@{SHA256}", SHA256, id="the digest decides"),
    ],
)
def test_what_is_asked_of_the_registry(text: str, selector: str) -> None:
    assert ImageReference.parse(text).selector == selector


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("nginx", "docker.io/library/nginx:latest", id="neither"),
        pytest.param("nginx:v1", "docker.io/library/nginx:v1", id="tag"),
        pytest.param(f"nginx:v1@{SHA256}", f"docker.io/library/nginx@{SHA256}", id="the tag is dropped"),
    ],
)
def test_what_containerd_makes_of_it(text: str, expected: str) -> None:
    assert str(ImageReference.parse(text).for_containerd()) == expected


def test_pinning_keeps_the_tag() -> None:
    pinned = ImageReference.parse("a.b/x:v1").pinned_to(Digest.parse(SHA256))
    assert str(pinned) == f"a.b/x:v1@{SHA256}"


@pytest.mark.parametrize(
    ("text", "host", "path", "key"),
    [
        pytest.param(
            "nginx",
            "registry-1.docker.io",
            "library/nginx",
            "https://index.docker.io/v1/",
            id="R-REF-25 Docker Hub",
        ),
        pytest.param("a.b:80/x", "a.b:80", "x", "a.b:80", id="anywhere else"),
        pytest.param("a_b.c/d/e", "a_b.c", "d/e", "a_b.c", id="R-REF-17 a host only when dialling"),
    ],
)
def test_who_is_contacted(text: str, host: str, path: str, key: str) -> None:
    repository = ImageReference.parse(text).repository
    assert (repository.dial_host, repository.dial_path, repository.credential_key) == (host, path, key)


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        pytest.param("docker.io/library/x/y", "library/x/y", id="library/ stays before a path"),
        pytest.param("docker.io/x/y", "x/y", id="user"),
        pytest.param("a.b/library/x", "a.b/library/x", id="only on Docker Hub"),
    ],
)
def test_familiar_form(text: str, familiar: str) -> None:
    assert ImageReference.parse(text).familiar() == familiar


@pytest.mark.parametrize(
    ("registry", "path"),
    [
        pytest.param("docker.io", "nginx", id="Docker Hub would put it under library"),
        pytest.param("index.docker.io", "x/y", id="an alias"),
        pytest.param("registry", "x", id="a host without dot or port"),
        pytest.param("", "x/y", id="no registry, and not the odd case"),
        pytest.param("a.b", "x:v1", id="a tag in the path"),
        pytest.param("a.b", f"x@{SHA256}", id="a digest in the path"),
        pytest.param("a.b/c", "d", id="a path in the registry"),
        pytest.param("https://a.b", "x", id="a URL"),
        pytest.param("a.b", "../x", id="a way up"),
    ],
)
def test_a_repository_that_no_text_could_name_does_not_exist(registry: str, path: str) -> None:
    with pytest.raises(MalformedReference):
        Repository(registry, path)


@pytest.mark.parametrize("tag", ["", ".x", "a/b", "x@y", "t" * 129, "x:y", f"x@{SHA256}"])
def test_a_reference_with_a_tag_that_is_none_does_not_exist(tag: str) -> None:
    with pytest.raises(MalformedReference) as caught:
        ImageReference(repository=Repository("a.b", "x"), tag=tag)
    assert len("a.b/x:") <= caught.value.position <= len(caught.value.text)


def test_keyring_name_has_neither_tag_nor_digest() -> None:
    assert keyring_name(ImageReference.parse(f"nginx:v1@{SHA256}")) == "docker.io/library/nginx"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SHA256, True),
        ("nginx", False),
        (HEX, False),
        (f"sha256:{HEX.upper()}", False),
        (f"{SHA256}\n", False),
    ],
)
def test_what_containerd_takes_for_an_image_id(text: str, expected: bool) -> None:
    assert reads_as_image_id(text) is expected


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        pytest.param("x:Latest", "IfNotPresent", id="R-POL-2 case matters"),
        pytest.param("x:latest@" + SHA512, "Always", id="R-POL-2 the tag decides beside a digest"),
        pytest.param("", "IfNotPresent", id="R-POL-7 an empty reference"),
        pytest.param(" ", "IfNotPresent", id="R-POL-6 a blank one"),
    ],
)
def test_default_pull_policy(text: str, policy: str) -> None:
    assert default_pull_policy(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "a-" * 500_000,
        "a_b." * 250_000 + "c/d",
        "A-" * 500_000 + "/x",
        "[" + ":" * 1_000_000,
        "a.b:" + "1" * 1_000_000 + "/!",
        "x@" + "a-" * 500_000,
        "x@a:" + "f" * 1_000_000 + "g",
        "a/" * 500_000 + "!",
        "x:" + "t" * 1_000_000,
        "\u0130" * 1_000_000,
    ],
    ids=lambda text: text[:6],
)
@pytest.mark.timeout(5)
def test_a_megabyte_is_refused_at_once(text: str) -> None:
    with pytest.raises(MalformedReference):
        ImageReference.parse(text)
