"""What is fuzzed: each parser that reads what a stranger wrote, with the law it must keep.

A target takes any bytes. It may raise what its parser's docstring says, and
nothing else; what it read has to survive being written and read again.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from sealift.credentials import go_glob, go_json, go_url
from sealift.credentials.credential import SecretText
from sealift.credentials.docker_config import UndecodableConfig, decode_config, encode_docker_config
from sealift.credentials.go_base64 import CorruptBase64
from sealift.credentials.go_base64 import decode as decode_base64
from sealift.credentials.login_document import LoginDocument, MalformedLoginFile
from sealift.image.digest import Digest, MalformedDigest
from sealift.image.manifest import MalformedManifest, Manifest
from sealift.image.platform import MalformedPlatform, Platform
from sealift.image.reference import ImageReference, MalformedReference
from sealift.protocol.byte_range import (
    MalformedRange,
    Unsatisfiable,
    parse_content_range,
    parse_range,
    parse_received,
)
from sealift.protocol.challenge import parse_challenge
from sealift.protocol.endpoints import match
from sealift.protocol.page import MalformedPage, Page, next_url
from sealift.protocol.scope import Scope, parse_scopes, write_scopes
from sealift.protocol.token import MalformedTokenAnswer, TokenAnswer
from sealift.registry.access.permissions import MalformedPattern, Pattern, grant
from sealift.registry.access.token_endpoint import _read_form
from sealift.registry.refusal import RegistryRefusal
from sealift.registry.request_head import read_query

DIGEST = "sha256:" + "a" * 64


@dataclass(frozen=True, slots=True)
class Target:
    """One parser."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    """What is right, or nearly so: where the fuzzer starts from."""


def _text(data: bytes) -> str:
    """Any string there can be, lone surrogates and all."""
    return data.decode("utf-8", "surrogateescape")


def reference(data: bytes) -> None:
    """R-REF-1 to R-REF-24: ``parse`` after ``str`` is the identity."""
    text = _text(data)
    refused: MalformedReference | None = None
    try:
        read = ImageReference.parse(text)
    except MalformedReference as malformed:
        refused = malformed
    if refused is None:
        assert ImageReference.parse(str(read)) == read
    else:
        assert 0 <= refused.position <= len(text)
        assert refused.rule
        assert "\n" not in str(refused)


def digest(data: bytes) -> None:
    """What was read as a digest is a safe path component and writes itself."""
    with suppress(MalformedDigest):
        read = Digest.parse(_text(data))
        assert str(read) == _text(data)
        assert "/" not in str(read)
        assert "\0" not in str(read)


def platform(data: bytes) -> None:
    """A platform reads what it wrote."""
    with suppress(MalformedPlatform):
        read = Platform.parse(_text(data))
        assert Platform.parse(str(read)) == read


def challenge(data: bytes) -> None:
    """A challenge never ends a header line, and reads what it wrote."""
    read = parse_challenge(_text(data))
    if read is not None:
        written = str(read)
        assert "\n" not in written
        assert "\r" not in written
        again = parse_challenge(written)
        assert again is not None
        assert again.scheme == read.scheme


def ranges(data: bytes) -> None:
    """A range is within the content, whatever the header says."""
    text = _text(data)
    for size in (0, 1, 1000, 2**40):
        asked = parse_range(text, size)
        if asked is not None and not isinstance(asked, Unsatisfiable):
            assert 0 <= asked[0] < asked[1] <= size
    with suppress(MalformedRange):
        first, last = parse_content_range(text)
        assert 0 <= first <= last
    received = parse_received(text)
    assert received is None or received > 1


def path(data: bytes) -> None:
    """No path raises, and no part of one leads out of where it belongs."""
    found = match("GET", data.decode("latin-1"))
    for part in getattr(found, "parts", {}).values():
        assert not part.startswith("/")
        assert ".." not in part.split("/")
        assert "\0" not in part


def query(data: bytes) -> None:
    """A query is read or refused; a page of it has a limit."""
    with suppress(RegistryRefusal, MalformedPage):
        page = Page.parse(read_query(data))
        assert 0 <= page.limit(1000) <= 1000
        assert next_url(page.link("/v2/a/tags/list"), "http://r.test/") is not None


def link(data: bytes) -> None:
    """A ``Link`` of any registry gives a URL or nothing."""
    with suppress(ValueError):  # urljoin of a malformed IPv6 host: the client takes it as a bad answer
        next_url(_text(data), "https://registry.test/v2/_catalog")


def manifest(data: bytes) -> None:
    """The body is kept to the byte, and what it refers to is whole."""
    for media_type in (None, "application/vnd.oci.image.index.v1+json"):
        with suppress(MalformedManifest):
            read = Manifest.parse(data, media_type)
            assert read.body == data
            assert read.digest == Digest.of(data)
            for part in read.references:
                assert Digest.parse(str(part.digest)) == part.digest
                assert part.size >= 0


def docker_config(data: bytes) -> None:
    """R-SEC: one reading, or one refusal that holds nothing of the document's secrets."""
    for legacy in (False, True):
        with suppress(UndecodableConfig):
            for entry in decode_config(data, legacy=legacy).entries:
                assert repr(replace(entry, password=SecretText("another"))) == repr(entry)


def docker_config_written(data: bytes) -> None:
    """What we write, the kubelet reads: the same user, and the same password."""
    half = len(data) // 2
    try:
        username, password = data[:half].decode(), data[half:].decode()
    except UnicodeDecodeError:
        return
    if ":" in username or not username or not password:
        return  # a colon ends a user name in ``auth``
    written = encode_docker_config("registry.test", username, SecretText(password), "a@b.test")
    (entry,) = decode_config(written, legacy=False).entries
    assert (entry.username, entry.password.reveal()) == (username, password)


def login_file(data: bytes) -> None:
    """A login file is read, or refused with its place."""
    with suppress(MalformedLoginFile):
        LoginDocument.parse(data, "config.json", "docker")


def go_values(data: bytes) -> None:
    """The readers that do as Go does: JSON, base64, URLs, globs."""
    with suppress(go_json.GoJsonError):
        go_json.read(data)
    with suppress(CorruptBase64):
        decode_base64(data)
    text = _text(data)
    with suppress(go_url.UnparsableUrl):
        go_url.parse(text)
    pattern, _, name = text.partition("\0")
    with suppress(go_glob.BadPattern):
        go_glob.matches(pattern, name)


def token_request(data: bytes) -> None:
    """A form asks for scopes; what is granted is never more than is held."""
    with suppress(RegistryRefusal):
        form = _read_form(data)
        wanted = parse_scopes(form.get("scope", ("",))[0])
        held = (Scope("apps/web", frozenset({"pull"})),)
        for given in grant(wanted, held):
            assert given.repository_path == "apps/web"
            assert given.actions <= {"pull"}
        assert set(parse_scopes(write_scopes(wanted))) == set(wanted)


def token_answer(data: bytes) -> None:
    """What another registry's token service says."""
    with suppress(MalformedTokenAnswer):
        read = TokenAnswer.read(data)
        assert TokenAnswer.read(read.write()).token == read.token
        assert repr(replace(read, token="another")) == repr(read)


def pattern(data: bytes) -> None:
    """A pattern writes itself, and its prefix begins every name that it matches."""
    with suppress(MalformedPattern):
        text = _text(data)
        read = Pattern.parse(text)
        assert str(read) == text
        for name in ("apps/web", "apps", text):
            assert not read.matches(name) or name.startswith(read.prefix)


TARGETS: Mapping[str, Target] = {
    "reference": Target(
        reference, (b"nginx", b"r.io:5000/a/b:v1@" + DIGEST.encode(), b"[::1]:5000/a__b", b"a/b@sha256:00")
    ),
    "digest": Target(digest, (DIGEST.encode(), b"sha512:" + b"0" * 128, b"md5:00")),
    "platform": Target(platform, (b"linux/amd64", b"linux/arm64/v8", b"windows/amd64")),
    "challenge": Target(
        challenge, (b'Bearer realm="https://a.test/token",service="s",scope="repository:a/b:pull,push"',)
    ),
    "ranges": Target(ranges, (b"bytes=0-499", b"bytes=-500", b"bytes=5-", b"0-1023", b"0-0")),
    "path": Target(
        path,
        (
            b"/v2/a/b/blobs/" + DIGEST.encode(),
            b"/v2/a/manifests/v1",
            b"/v2/a/blobs/uploads/x",
            b"/v2/%2e%2e/",
        ),
    ),
    "query": Target(query, (b"n=10&last=a", b"last=%C3%A4&n=0", b"n=-1")),
    "link": Target(link, (b'</v2/a/tags/list?last=b&n=1>; rel="next"', b"<http://b/>; rel=next")),
    "manifest": Target(
        manifest,
        (
            b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":'
            b'"application/vnd.oci.image.config.v1+json","digest":"'
            + DIGEST.encode()
            + b'","size":2},"layers":[]}',
            b'{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"'
            + DIGEST.encode()
            + b'","size":7,"platform":{"os":"linux","architecture":"arm64"}}]}',
        ),
    ),
    "docker_config": Target(
        docker_config, (b'{"auths":{"r.io":{"auth":"YTpi"}}}', b'{"r.io":{"username":"a","password":"b"}}')
    ),
    "docker_config_written": Target(docker_config_written, (b"ashokpass<>&", "ünicode\n".encode())),
    "login_file": Target(login_file, (b'{"auths":{"r.io":{"auth":"YTpi"}},"credHelpers":{"a.io":"x"}}',)),
    "go_values": Target(go_values, (b'{"a":[1,null,"\\u00e4"]}', b"YTpi", b"https://a.b:1/c", b"*.io\0a.io")),
    "token_request": Target(
        token_request,
        (b"grant_type=password&username=a&password=b&scope=repository%3Aapps%2Fweb%3Apull%2Cpush",),
    ),
    "token_answer": Target(
        token_answer, (b'{"token":"abc","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}',)
    ),
    "pattern": Target(pattern, (b"apps/*", b"apps/**", b"apps/internal-app")),
}
"""Every parser by name."""
