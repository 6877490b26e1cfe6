"""Pull credentials as the kubelet decodes them: R-SEC-1 to R-SEC-15, R-PY-3, R-PY-4."""

import json

import pytest

from sealift.credentials.credential import SecretText
from sealift.credentials.docker_config import (
    AuthEntry,
    UndecodableConfig,
    decode_auths,
    decode_config,
    encode_docker_config,
)


def pairs(data: bytes | str, *, legacy: bool = False) -> dict[str, tuple[str, str]]:
    raw = data.encode() if isinstance(data, str) else data
    return {
        entry.key: (entry.username, entry.password.reveal()) for entry in decode_auths(raw, legacy=legacy)
    }


@pytest.mark.parametrize(
    ("entry", "username", "password"),
    [
        pytest.param('{"username":"u","password":"p"}', "u", "p", id="plain"),
        pytest.param('{"username":"u","password":"p","auth":"YXU6YXA="}', "au", "ap", id="auth wins"),
        pytest.param('{"auth":"dTpwOnE="}', "u", "p:q", id="split at the first colon"),
        pytest.param('{"auth":"dXM6cGFzcw"}', "us", "pass", id="no padding"),
        pytest.param(r'{"auth":"dXM6cGFzcw==\n"}', "us", "pass", id="line break at the end"),
        pytest.param(r'{"auth":"dXM6cG\nFzcw=="}', "us", "pass", id="line break inside"),
        pytest.param('{"auth":"OnA="}', "", "p", id="no user name"),
        pytest.param('{"auth":"dTo="}', "u", "", id="no password"),
        pytest.param('{"auth":"Og=="}', "", "", id="neither"),
        pytest.param('{"auth":"dTp="}', "u", "", id="dirty low bits"),
        pytest.param('{"AUTH":"VTpQ"}', "U", "P", id="upper case field"),
        pytest.param('{"Username":"u","PASSWORD":"p"}', "u", "p", id="mixed case fields"),
        pytest.param(
            '{"u\u017fername":"u","pa\u017f\u017fword":"p"}', "u", "p", id="long s in a field's name"
        ),
        pytest.param('{"pa\u00dfword":"p","username":"u"}', "u", "", id="sharp s is not ss"),
        pytest.param('{"identitytoken":"t"}', "", "", id="identity token is dropped"),
        pytest.param("{}", "", "", id="empty entry is an empty credential"),
        pytest.param("null", "", "", id="null entry is an empty credential"),
        pytest.param('{"username":"a","username":null,"password":"p"}', "a", "p", id="null resets nothing"),
        pytest.param('{"username":"a","username":"b"}', "b", "", id="the last of two wins"),
        pytest.param('{"username":"u","password":"p","auth":""}', "u", "p", id="empty auth keeps the fields"),
        pytest.param(
            '{"username":"u","password":"p","auth":null}', "u", "p", id="null auth keeps the fields"
        ),
        pytest.param('{"auth":"dTpwAAA="}', "u", "p\0\0", id="NULs are kept"),
        pytest.param('{"auth":"df86/w=="}', "u\udcff", "\udcff", id="bytes that are no UTF-8 are kept"),
        pytest.param(
            '{"email":"e","serveraddress":"x","extra":{"a":[1]}}', "", "", id="other fields are no matter"
        ),
    ],
)
def test_an_entry_becomes(entry: str, username: str, password: str) -> None:
    assert pairs(f'{{"auths":{{"h":{entry}}}}}') == {"h": (username, password)}
    assert pairs(f'{{"h":{entry}}}', legacy=True) == {"h": (username, password)}


_MARSHAL = "json: cannot unmarshal"
_STRUCT = "into Go struct field DockerConfigJSON.auths"


@pytest.mark.parametrize(
    ("entry", "go_text", "place", "reason"),
    [
        pytest.param(
            r'{"auth":" dXM6cGFzcw=="}',
            "illegal base64 data at input byte 0",
            ".auth",
            "base64",
            id="space in front",
        ),
        pytest.param(
            r'{"auth":"dXM6cGFzcw== "}',
            "illegal base64 data at input byte 12",
            ".auth",
            "base64",
            id="space behind",
        ),
        pytest.param(
            '{"auth":"dXM6cGFz="}', "illegal base64 data at input byte 8", ".auth", "base64", id="surplus pad"
        ),
        pytest.param(
            '{"auth":"QQ==QQ=="}', "illegal base64 data at input byte 4", ".auth", "base64", id="two texts"
        ),
        pytest.param(
            '{"auth":"="}', "illegal base64 data at input byte 0", ".auth", "base64", id="a pad alone"
        ),
        pytest.param(
            '{"auth":"!!!"}', "illegal base64 data at input byte 0", ".auth", "base64", id="foreign"
        ),
        pytest.param(
            '{"auth":"df_-OnD7_w=="}', "illegal base64 data at input byte 2", ".auth", "base64", id="URL-safe"
        ),
        pytest.param(
            '{"auth":"bm9jb2xvbg=="}',
            "unable to parse auth field, must be formatted as base64(username:password)",
            ".auth",
            "colon",
            id="no colon",
        ),
        pytest.param(
            '{"username":5}',
            f"{_MARSHAL} number {_STRUCT}.username of type string",
            ".username",
            "type",
            id="number",
        ),
        pytest.param(
            '{"auth":[]}', f"{_MARSHAL} array {_STRUCT}.auth of type string", ".auth", "type", id="array"
        ),
        pytest.param(
            '{"EMAIL":true}', f"{_MARSHAL} bool {_STRUCT}.email of type string", ".email", "type", id="bool"
        ),
        pytest.param(
            '"x"',
            f"{_MARSHAL} string {_STRUCT} of type credentialprovider.dockerConfigEntryWithAuth",
            "",
            "type",
            id="text",
        ),
        pytest.param(
            "[]",
            f"{_MARSHAL} array {_STRUCT} of type credentialprovider.dockerConfigEntryWithAuth",
            "",
            "type",
            id="list",
        ),
    ],
)
def test_one_bad_entry_makes_the_whole_document_unreadable(
    entry: str, go_text: str, place: str, reason: str
) -> None:
    with pytest.raises(UndecodableConfig) as caught:
        decode_auths(f'{{"auths":{{"good":{{"username":"u"}},"bad":{entry}}}}}'.encode(), legacy=False)
    error = caught.value
    assert (error.go_text, error.place, error.key, error.reason) == (
        go_text,
        f'auths["bad"]{place}',
        "bad",
        reason,
    )
    assert "dXM6" not in str(error)


@pytest.mark.parametrize(
    ("document", "go_text", "reason"),
    [
        pytest.param("nope", "invalid character 'o' in literal null (expecting 'u')", "json", id="no JSON"),
        pytest.param("", "unexpected end of JSON input", "json", id="nothing"),
        pytest.param("{} {}", "invalid character '{' after top-level value", "json", id="trailing data"),
        pytest.param(
            '{"auths":"garbage"}',
            f"{_MARSHAL} string {_STRUCT} of type credentialprovider.DockerConfig",
            "type",
            id="auths is no object",
        ),
        pytest.param(
            "[]",
            f"{_MARSHAL} array into Go value of type credentialprovider.DockerConfigJSON",
            "type",
            id="a list",
        ),
        pytest.param(
            '{"auths":{},"httpheaders":{"a":1}}',
            f"{_MARSHAL} number into Go struct field DockerConfigJSON.HttpHeaders of type string",
            "type",
            id="the type of HttpHeaders counts",
        ),
        pytest.param(
            '{"HttpHeaders":"x"}',
            f"{_MARSHAL} string into Go struct field DockerConfigJSON.HttpHeaders of type map[string]string",
            "type",
            id="HttpHeaders is no object",
        ),
        pytest.param(
            '{"HttpHeaders":"x","auths":{"h":{"auth":"="}}}',
            "illegal base64 data at input byte 0",
            "base64",
            id="an error inside an entry is reported before a wrong type",
        ),
    ],
)
def test_a_bad_document(document: str, go_text: str, reason: str) -> None:
    with pytest.raises(UndecodableConfig) as caught:
        decode_auths(document.encode(), legacy=False)
    assert (caught.value.go_text, caught.value.reason) == (go_text, reason)


def test_a_bad_legacy_entry_has_no_struct_around_it() -> None:
    with pytest.raises(UndecodableConfig) as caught:
        decode_auths(b'{"h":{"auth":5}}', legacy=True)
    assert caught.value.go_text == (
        "json: cannot unmarshal number into Go struct field dockerConfigEntryWithAuth.auth of type string"
    )


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param("{}", {}, id="empty"),
        pytest.param("null", {}, id="null"),
        pytest.param('{"auths":null}', {}, id="null auths"),
        pytest.param(
            '{"auths":{"h":{"username":"a"},"h":{"password":"b"}}}',
            {"h": ("", "b")},
            id="a repeated host replaces",
        ),
        pytest.param(
            '{"auths":{"h":{"username":"a"}},"AUTHS":{"i":{"username":"b"}}}',
            {"h": ("a", ""), "i": ("b", "")},
            id="repeated auths are merged",
        ),
        pytest.param('{"auths":{"h":{}},"auths":{}}', {"h": ("", "")}, id="an empty one keeps the rest"),
        pytest.param('{"auths":{"h":{}},"auths":null}', {}, id="null clears"),
        pytest.param(
            '{"auths":{"h":{}},"auths":null,"auths":{"i":{}}}', {"i": ("", "")}, id="and one may follow"
        ),
        pytest.param('{"auth\u017f":{"h":{}}}', {"h": ("", "")}, id="auths with a long s"),
        pytest.param('{"auths":{"H":{},"h":{}}}', {"H": ("", ""), "h": ("", "")}, id="hosts keep their case"),
        pytest.param(
            '{"auths":{"b":{},"a":{},"a/b":{}}}',
            {"a": ("", ""), "a/b": ("", ""), "b": ("", "")},
            id="in order of bytes",
        ),
        pytest.param('{"HttpHeaders":{"a":"b","c":null}}', {}, id="HttpHeaders of strings"),
    ],
)
def test_a_document_becomes(document: str, expected: dict[str, tuple[str, str]]) -> None:
    found = pairs(document)
    assert found == expected
    assert list(found) == list(expected)


def test_what_is_passed_over_is_told() -> None:
    document = {
        "auths": {
            "foo.io": {"identitytoken": "t", "auth": "dTpw", "username": "other"},
            "bar.io": {"username": "u", "password": "p", "auth": "dTpw"},
        },
        "credsStore": "desktop",
        "credHelpers": {"x": "y"},
    }
    assert decode_config(json.dumps(document).encode(), legacy=False).unused == ("credsStore", "credHelpers")
    assert decode_auths(json.dumps(document).encode(), legacy=False) == (
        AuthEntry(key="bar.io", username="u", password=SecretText("p")),
        AuthEntry(
            key="foo.io", username="u", password=SecretText("p"), unused=("identitytoken",), overridden=True
        ),
    )


def test_a_hostile_document_is_read_in_time() -> None:
    deep = b'{"x":' + b"[" * 9_000 + b"]" * 9_000 + b',"auths":{"h":{"auth":"dTpw"}}}'
    assert pairs(deep) == {"h": ("u", "p")}


@pytest.mark.parametrize(
    ("server", "username", "password", "email", "written"),
    [
        pytest.param(
            "https://index.docker.io/v1/",
            "test-user",
            "test-password",
            "",
            '{"auths":{"https://index.docker.io/v1/":{"username":"test-user","password":"test-password",'
            '"auth":"dGVzdC11c2VyOnRlc3QtcGFzc3dvcmQ="}}}',
            id="R-KCTL-8",
        ),
        pytest.param(
            "r.io",
            "a",
            'p<>&"\u2028',
            "a@b",
            '{"auths":{"r.io":{"username":"a","password":"p\\u003c\\u003e\\u0026\\"\\u2028",'
            '"email":"a@b","auth":"YTpwPD4mIuKAqA=="}}}',
            id="escapes",
        ),
        pytest.param(
            "r.io",
            "a",
            "\udcff",
            "",
            '{"auths":{"r.io":{"username":"a","password":"\\ufffd","auth":"YTr/"}}}',
            id="auth is made of the very bytes",
        ),
    ],
)
def test_writes_what_kubectl_writes(
    server: str, username: str, password: str, email: str, written: str
) -> None:
    assert encode_docker_config(server, username, SecretText(password), email) == written.encode()


def test_a_colon_in_the_user_name_reads_back_elsewhere() -> None:
    written = encode_docker_config("r.io", "a:b", SecretText("p"))
    assert pairs(written) == {"r.io": ("a", "b:p")}
