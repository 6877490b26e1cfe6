import hashlib

import pytest

from sealift.image.digest import Digest, DigestCheck, DigestMismatch, MalformedDigest, UnsupportedDigest

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_digest_is_what_its_algorithm_makes(algorithm: str) -> None:
    digest = Digest.of(b"content", algorithm)
    assert digest == Digest(algorithm, hashlib.new(algorithm, b"content").hexdigest())
    assert Digest.parse(str(digest)) == digest


def test_sha256_is_what_one_gets() -> None:
    assert str(Digest.of(b"")) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("text", "error", "position", "cause"),
    [
        pytest.param("", MalformedDigest, 0, "invalid checksum digest format", id="empty"),
        pytest.param("sha256", MalformedDigest, 6, "invalid checksum digest format", id="no colon"),
        pytest.param("sha256:", MalformedDigest, 7, "invalid checksum digest format", id="no digits"),
        pytest.param(f":{HEX}", MalformedDigest, 0, "invalid checksum digest format", id="no algorithm"),
        pytest.param(f"md5:{HEX}", UnsupportedDigest, 0, "unsupported digest algorithm", id="md5"),
        pytest.param(
            "sha256+b64u:a_b=", UnsupportedDigest, 0, "unsupported digest algorithm", id="a composed one"
        ),
        pytest.param(f"SHA256:{HEX}", MalformedDigest, 0, "invalid checksum digest format", id="upper case"),
        pytest.param(
            f"a..b:{HEX}", MalformedDigest, 0, "invalid checksum digest format", id="two separators"
        ),
        pytest.param("md5:é", MalformedDigest, 0, "invalid checksum digest format", id="not ASCII"),
        pytest.param("sha256:abc", MalformedDigest, 10, "invalid checksum digest length", id="too short"),
        pytest.param(f"sha256:{HEX}a", MalformedDigest, 71, "invalid checksum digest length", id="too long"),
        pytest.param(
            f"sha256:{HEX}\n", MalformedDigest, 71, "invalid checksum digest length", id="a newline"
        ),
        pytest.param(
            f"sha512:{HEX}", MalformedDigest, 71, "invalid checksum digest length", id="another's length"
        ),
        pytest.param(
            f"sha256:{HEX[:-1]}F", MalformedDigest, 70, "invalid checksum digest format", id="upper digit"
        ),
        pytest.param(
            f"sha256:{HEX[:-1]}g", MalformedDigest, 70, "invalid checksum digest format", id="no digit"
        ),
        pytest.param(
            f"sha256:{HEX[:-2]}é",
            MalformedDigest,
            69,
            "invalid checksum digest format",
            id="length is in bytes",
        ),
        pytest.param(
            "sha256:" + "\ud800" * 64, MalformedDigest, 71, "invalid checksum digest length", id="surrogates"
        ),
        pytest.param(
            "sha256:../../../etc", MalformedDigest, 19, "invalid checksum digest length", id="a way up"
        ),
    ],
)
def test_what_is_no_digest(text: str, error: type[MalformedDigest], position: int, cause: str) -> None:
    with pytest.raises(MalformedDigest) as caught:
        Digest.parse(text)
    assert (type(caught.value), caught.value.position, caught.value.cause) == (error, position, cause)
    assert f"{caught.value} {caught.value.why}".isprintable()


def test_a_refusal_says_where() -> None:
    with pytest.raises(MalformedDigest) as caught:
        Digest.parse("sha256:xyz" * 1000)
    assert str(caught.value).endswith("… is not a digest")
    assert caught.value.why == "at character 72: a sha256 digest has exactly 64 hexadecimal digits"
    with pytest.raises(MalformedDigest) as caught:
        Digest.parse("sha256")
    assert caught.value.why == "at its end: a digest is an algorithm, a colon and hexadecimal digits"


@pytest.mark.parametrize("make", [lambda: Digest.of(b"", "md5"), lambda: DigestCheck(algorithm="md5")])
def test_algorithms_that_nobody_should_trust_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(UnsupportedDigest):
        make()


def test_digests_sort_by_algorithm_and_digits() -> None:
    first, second, third = Digest("sha256", "a"), Digest("sha256", "b"), Digest("sha512", "a")
    assert sorted([third, second, first]) == [first, second, third]


def test_a_stream_with_the_right_digest_passes() -> None:
    expected = Digest.of(b"some content", "sha512")
    check = DigestCheck(expected)
    for part in (b"some ", bytearray(b"con"), memoryview(b"tent")):
        check.update(part)
    check.verify()
    assert (check.size, check.digest()) == (12, expected)


def test_a_stream_with_another_digest_does_not() -> None:
    check = DigestCheck(Digest.of(b"some content"))
    check.update(b"other content")
    with pytest.raises(DigestMismatch) as caught:
        check.verify()
    assert (caught.value.expected, caught.value.actual) == (
        Digest.of(b"some content"),
        Digest.of(b"other content"),
    )
    assert caught.value.exit_status == 7


def test_where_nothing_is_expected_nothing_is_refused() -> None:
    check = DigestCheck()
    check.update(b"content")
    check.verify()
    assert check.digest() == Digest.of(b"content")
