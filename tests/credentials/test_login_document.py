"""Login files as text: read by docker's and podman's rules, written as docker writes. R-CFG, R-POD."""

import base64
import json

import pytest

from sealift.credentials.credential import SecretText
from sealift.credentials.login_document import Dialect, LoginDocument, LoginEntry, MalformedLoginFile


def auth(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def entry(fields: object, dialect: Dialect = "docker") -> LoginEntry:
    data = json.dumps({"auths": {"r.io": fields}}).encode()
    return LoginDocument.parse(data, "config.json", dialect).entries["r.io"]


@pytest.mark.parametrize(
    ("fields", "username", "password"),
    [
        pytest.param({"auth": auth("u:p")}, "u", "p", id="auth"),
        pytest.param({"auth": auth("u:p:q")}, "u", "p:q", id="the first colon splits"),
        pytest.param(
            {"auth": auth("u:p"), "username": "x", "password": "y"}, "u", "p", id="auth overrides (R-CFG-3)"
        ),
        pytest.param({"username": "x", "password": "y"}, "x", "y", id="plain fields where there is no auth"),
        pytest.param({"auth": auth("u:\0p\0")}, "u", "p", id="NULs are trimmed (R-CFG-5)"),
        pytest.param({"auth": auth("ü:✓")}, "ü", "✓", id="unicode"),
        pytest.param({"auth": auth(b"u:\xff")}, "u", "\udcff", id="bytes that are no UTF-8 are kept"),
        pytest.param(
            {"auth": auth("u:p")[:4] + "\n" + auth("u:p")[4:]},
            "u",
            "p",
            id="line ends, as Go's decoder has them",
        ),
        pytest.param({"auth": ""}, "", "", id="nothing"),
        pytest.param({}, "", "", id="the mark of a helper"),
        pytest.param(None, "", "", id="null"),
    ],
)
def test_an_entry_is_read_as_docker_reads_it(fields: object, username: str, password: str) -> None:
    read = entry(fields)
    assert (read.username, read.password) == (username, SecretText(password))
    assert read.is_empty is not bool(username or password)


@pytest.mark.parametrize(
    ("fields", "username", "password"),
    [
        pytest.param({"auth": auth(":p")}, "", "p", id="an empty user name is accepted"),
        pytest.param({"auth": auth("nocolon")}, "", "", id="without a colon it is empty (R-POD-6)"),
        pytest.param({"username": "x", "password": "y"}, "", "", id="other fields are not read (R-POD-1)"),
    ],
)
def test_an_entry_of_podmans_is_read_as_podman_reads_it(fields: object, username: str, password: str) -> None:
    read = entry(fields, "containers")
    assert (read.username, read.password) == (username, SecretText(password))


def test_an_identity_token_is_read() -> None:
    read = entry({"auth": auth("u:"), "identitytoken": "t"})
    assert (read.username, read.identity_token) == ("u", SecretText("t"))


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        pytest.param('{\n  "auths": {\n    canary', 3, "it is not JSON", id="no JSON"),
        pytest.param("[]", 1, "it is not a JSON object", id="a list"),
        pytest.param('"canary"', 1, "it is not a JSON object", id="a string"),
        pytest.param("[" * 100_000, None, "it is nested too deeply", id="a bomb"),
        pytest.param('{\n"auths": ["canary"]}', 2, "auths is not an object", id="auths that are a list"),
        pytest.param(
            '{"auths": {\n"r.io": "canary"}}', 2, "the entry is not an object", id="an entry that is text"
        ),
        pytest.param('{"auths": {\n"r.io": {"auth": 5}}}', 2, "auth is not a string", id="a number"),
        pytest.param('{"auths": {\n"r.io": {"auth": "%%canary%%"}}}', 2, "is not base64", id="no base64"),
        pytest.param(
            '{"auths": {\n"r.io": {"auth": "' + auth("u:canary")[:-1] + '"}}}',
            2,
            "is not base64",
            id="no padding (R-CFG-4)",
        ),
        pytest.param(
            '{"auths": {\n"r.io": {"auth": "' + auth("canary") + '"}}}',
            2,
            "does not hold user:password",
            id="no colon",
        ),
        pytest.param(
            '{"auths": {\n"r.io": {"auth": "' + auth(":canary") + '"}}}',
            2,
            "does not hold user:password",
            id="no user",
        ),
        pytest.param(
            '{"auths":{\n"canary:canary@r.io":{"auth":"x"}}}',
            2,
            "auths['r.io']: ",
            id="a password in the key",
        ),
        pytest.param(
            '{"credsStore": {"canary": 1}}', 1, "credsStore is not a string", id="a store that is none"
        ),
        pytest.param(
            '{"credHelpers": "canary"}', 1, "credHelpers is not an object", id="helpers that are none"
        ),
        pytest.param('{"credHelpers": {"r.io": 1}}', 1, "r.io is not a string", id="a helper that is none"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line_and_without_its_content(
    data: str, line: int | None, why: str
) -> None:
    """Security table row 22 (CVE-2020-8564)."""
    with pytest.raises(MalformedLoginFile) as raised:
        LoginDocument.parse(data.encode(), "/home/u/config.json", "docker")
    error = raised.value
    assert (error.line, error.exit_status) == (line, 2)
    assert why in (error.why or "")
    assert "/home/u/config.json" in str(error)
    assert "canary" not in f"{error} {error.why} {error.hint}"


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_an_empty_file_says_nothing(data: bytes) -> None:
    assert LoginDocument.parse(data, "x", "docker") == LoginDocument()


def test_an_entry_does_not_show_its_secrets() -> None:
    shown = repr(entry({"auth": auth("u:canary"), "identitytoken": "canary", "registrytoken": "canary"}))
    assert "canary" not in shown


# --------------------------------------------------------------------- writing

BY_DOCKER = b"""{
	"auths": {
		"127.0.0.1:18950": {
			"auth": "YXNob2s6cDxhPiZzInM="
		},
		"a.io": {
			"auth": "dTpw",
			"identitytoken": "idt"
		},
		"b.io": {
			"auth": "dTpw",
			"email": "e@x"
		}
	},
	"HttpHeaders": {
		"X": "\\u003cy\\u003e"
	},
	"detachKeys": "ctrl-e",
	"credHelpers": {
		"aa": "c",
		"zz": "b"
	},
	"proxies": {
		"default": {
			"httpProxy": "y",
			"noProxy": "x"
		}
	},
	"currentContext": "default"
}"""
"""What docker 28.2.2 left of `BEFORE` after a login to 127.0.0.1:18950 as ashok."""

BEFORE = b"""{"credHelpers": {"zz":"b","aa":"c"}, "auths": {
"b.io": {"username":"u","password":"p","email":"e@x"},
"a.io": {"auth":"dTpw","identitytoken":"idt"}}, "HttpHeaders": {"X":"<y>"},
"proxies": {"default":{"noProxy":"x","httpProxy":"y"}}, "detachKeys":"ctrl-e", "currentContext":"default"}"""

ASHOK = LoginEntry(username="ashok", password=SecretText('p<a>&s"s'))


def test_a_login_is_written_byte_for_byte_as_docker_writes_it() -> None:
    document = LoginDocument.parse(BEFORE, "x", "docker").with_entry("127.0.0.1:18950", ASHOK)
    assert document.write() == BY_DOCKER


def test_what_docker_wrote_is_written_back_as_it_was() -> None:
    assert LoginDocument.parse(BY_DOCKER, "x", "docker").write() == BY_DOCKER


def test_auths_are_there_even_when_empty() -> None:
    assert LoginDocument().write() == b'{\n\t"auths": {}\n}'
    assert (
        LoginDocument.parse(BY_DOCKER, "x", "docker")
        .without(["a.io", "b.io", "127.0.0.1:18950", "z"])
        .entries
        == {}
    )


def test_what_nobody_knows_is_kept_behind_the_rest() -> None:
    future = b'{"z":1.0,"a":[1,-2e3,true,null,"\xc3\xbc"],"e":{},"f":[]}'
    data = b'{"future":' + future + b',"auths":{"r.io":{"new":"x","auth":"dTpw"}}}'
    written = LoginDocument.parse(data, "x", "docker").write()
    assert json.loads(written) == json.loads(data)
    assert b'"z": 1.0' in written
    assert written.index(b'"auths"') < written.index(b'"future"')
    assert LoginDocument.parse(written, "x", "docker").write() == written


def test_the_mark_of_a_helper_is_an_empty_object() -> None:
    document = LoginDocument(store="desktop").with_entry("r.io", LoginEntry())
    assert document.write() == b'{\n\t"auths": {\n\t\t"r.io": {}\n\t},\n\t"credsStore": "desktop"\n}'


def test_bytes_that_are_no_utf8_are_kept_in_a_password() -> None:
    written = (
        LoginDocument().with_entry("r.io", LoginEntry(username="u", password=SecretText("\udcff"))).write()
    )
    assert json.loads(written)["auths"]["r.io"]["auth"] == auth(b"u:\xff")
