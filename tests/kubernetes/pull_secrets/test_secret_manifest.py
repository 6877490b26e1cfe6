"""The Secret that kubectl would write. tests/peers asks kubectl itself."""

import pytest

from sealift.credentials.credential import SecretText
from sealift.kubernetes.pull_secrets.secret_manifest import (
    DEFAULT_SERVER,
    SecretManifest,
    SecretRefused,
    check_key,
    data_of_login,
    parse_source,
    split_sources,
    warnings,
)


def made(name: str = "foo", *, email: str = "", namespace: str = "") -> SecretManifest:
    data = data_of_login(DEFAULT_SERVER, "test-user", SecretText("test-password"), email)
    return SecretManifest(name=name, namespace=namespace, data=data)


@pytest.mark.parametrize(
    ("email", "name"),
    [
        pytest.param("test-user@example.org", "foo-548cm7fgdh", id="with an e-mail address"),
        pytest.param("", "foo-bff5bt4f92", id="without"),
    ],
)
def test_the_hash_is_kubectls(email: str, name: str) -> None:
    assert made(email=email).with_hash().name == name


_CONTENT = (
    "eyJhdXRocyI6eyJodHRwczovL2luZGV4LmRvY2tlci5pby92MS8iOnsidXNlcm5hbWUiOiJ0ZXN0LXVzZXIiLCJwYXNzd29yZCI6InRlc3QtcGFz"
    "c3dvcmQiLCJhdXRoIjoiZEdWemRDMTFjMlZ5T25SbGMzUXRjR0Z6YzNkdmNtUT0ifX19"
)


_CANNOT = "a Pod that names this Secret cannot pull anything:"


def test_yaml() -> None:
    assert made(namespace="ns").to_yaml().decode() == (
        f"apiVersion: v1\ndata:\n  .dockerconfigjson: {_CONTENT}\nkind: Secret\n"
        "metadata:\n  name: foo\n  namespace: ns\ntype: kubernetes.io/dockerconfigjson\n"
    )


def test_json() -> None:
    assert made("a<b").to_json().decode() == (
        '{\n    "kind": "Secret",\n    "apiVersion": "v1",\n'
        '    "metadata": {\n        "name": "a\\u003cb"\n    },\n'
        f'    "data": {{\n        ".dockerconfigjson": "{_CONTENT}"\n    }},\n'
        '    "type": "kubernetes.io/dockerconfigjson"\n}\n'
    )


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("true", '"true"'),
        ("1e3", '"1e3"'),
        ("null", '"null"'),
        ("~", '"~"'),
        ("n", '"n"'),
        ("1:30", '"1:30"'),
        ("2001-01-01", '"2001-01-01"'),
        ("2001-02-30", "2001-02-30"),
        ("2001-01-01 10:10:10", '"2001-01-01 10:10:10"'),
        ("2001-01-01 10:10", "2001-01-01 10:10"),
        ("0x_1", '"0x_1"'),
        ("a: b", "'a: b'"),
        ("a'b #", "'a''b #'"),
        ("a\tb", '"a\\tb"'),
        ("a\nb", "|-\n    a\n    b"),
        ("a\x85b", "a b"),
        ("a \x85 \x85b", "|-\n    a\n    b"),
        ("a\udcff", "a\ufffd"),
        ("é", "é"),
        ("😀", '"\\U0001F600"'),
    ],
)
def test_a_name_is_printed_so_that_it_reads_back(name: str, printed: str) -> None:
    text = SecretManifest(name=name, data={"k": b"x"}).to_yaml().decode()
    before = "apiVersion: v1\ndata:\n  k: eA==\nkind: Secret\nmetadata:\n  name: "
    assert text == f"{before}{printed}\ntype: kubernetes.io/dockerconfigjson\n"


def test_data_keys_stand_in_the_order_of_the_library() -> None:
    keys = ["a10", "a2", "b", "_x", "a", ".d", "a02", "A", "k" * 129]
    text = SecretManifest(name="s", data=dict.fromkeys(keys, b"x")).to_yaml().decode()
    lines = [line.strip().removeprefix("? ").partition(": ")[0] for line in text.splitlines()[2:]]
    assert [line for line in lines if line in keys] == [
        ".d",
        "_x",
        "A",
        "a",
        "a2",
        "a02",
        "a10",
        "b",
        "k" * 129,
    ]


def test_a_control_character_in_a_name_is_refused() -> None:
    with pytest.raises(SecretRefused, match="control characters are not allowed"):
        made("a\x7f").to_yaml()
    assert made("a\x7f").to_json()


@pytest.mark.parametrize("missing", ["server", "username", "password"])
def test_a_login_is_whole_or_refused(missing: str) -> None:
    given = {"server": "s", "username": "u", "password": "p", missing: ""}
    with pytest.raises(SecretRefused, match="either --from-file or the combination"):
        data_of_login(given["server"], given["username"], SecretText(given["password"]))


@pytest.mark.parametrize(
    ("values", "sources"),
    [
        pytest.param(["a"], ["a"], id="one"),
        pytest.param(["a,b", "c"], ["a", "b", "c"], id="commas separate"),
        pytest.param(['"a,b",c""'[:-2]], ["a,b", "c"], id="quotes hold a comma"),
        pytest.param([""], [], id="an empty value is none"),
        pytest.param(["a,"], ["a", ""], id="an empty field is one"),
        pytest.param(["a\nb"], ["a"], id="only the first line"),
    ],
)
def test_a_flag_holds_several_sources(values: list[str], sources: list[str]) -> None:
    assert list(split_sources(values)) == sources


def test_a_stray_quote_is_refused() -> None:
    with pytest.raises(SecretRefused):
        list(split_sources(['a"b']))


@pytest.mark.parametrize(
    ("text", "parsed"), [("f", (".dockerconfigjson", "f")), ("k=f", ("k", "f")), ("k=a b", ("k", "a b"))]
)
def test_a_source(text: str, parsed: tuple[str, str]) -> None:
    assert parse_source(text) == parsed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=f", "key name for file path f missing"),
        ("k=", "file path for key name k missing"),
        ("a=b=c", "key names or file paths cannot contain '='"),
    ],
)
def test_a_source_that_is_none(text: str, message: str) -> None:
    with pytest.raises(SecretRefused) as caught:
        parse_source(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("key", "ending"),
    [
        ("..", "must not be '..'"),
        (".", "must not be '.'"),
        ("..x", "must not start with '..'"),
        ("a b", "regex used for validation is '[-._a-zA-Z0-9]+')"),
        ("k" * 254, "must be no more than 253 characters"),
        ("taken", "cannot add key taken, another key by that name already exists"),
    ],
)
def test_a_key_that_no_secret_can_have(key: str, ending: str) -> None:
    with pytest.raises(SecretRefused) as caught:
        check_key(key, ["taken"])
    assert str(caught.value).endswith(ending)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(made(), (), id="nothing to say"),
        pytest.param(
            made("Foo", namespace="-a"),
            (
                "the API server will refuse the name 'Foo': lower case letters, digits, - and .",
                "'-a' is no name of a namespace: lower case letters, digits and -",
            ),
            id="names",
        ),
        pytest.param(
            SecretManifest(name="s", data={"other": b"{}"}),
            ("the API server will refuse it: this type of Secret has the key .dockerconfigjson",),
            id="another key",
        ),
        pytest.param(
            SecretManifest(name="s", data={".dockerconfigjson": b'{"auths":{"r.io":{"auth":"hunter2!"}}}'}),
            (f'{_CANNOT} auths["r.io"].auth: illegal base64 data at input byte 7',),
            id="poison",
        ),
        pytest.param(
            SecretManifest(
                name="s", data={".dockerconfigjson": b'{"auths":{"r.io":{}},"credsStore":"desktop"}'}
            ),
            (
                "the kubelet does not read credsStore: the logins that a helper keeps are not in this Secret",
                "the entry for r.io is empty: the kubelet pulls anonymously with it",
            ),
            id="a login file of Docker Desktop",
        ),
        pytest.param(
            SecretManifest(name="s", data={".dockerconfigjson": b"{}"}),
            ("there is no login in it, so no image gets a credential from it",),
            id="empty",
        ),
        pytest.param(
            SecretManifest(name="s", data=data_of_login("HTTPS://r.io", "u", SecretText("hunter2\n"))),
            (
                "the kubelet cannot read 'HTTPS://r.io' as a registry, and will never use it",
                "the password for HTTPS://r.io begins or ends with white space, which is sent as it is",
            ),
            id="scheme and white space",
        ),
        pytest.param(
            SecretManifest(name="s", data=data_of_login("r.io", "u", SecretText("hunter2\0\nhunter3"))),
            ("the password for r.io has a line break or control character in it",),
            id="several lines",
        ),
        pytest.param(
            SecretManifest(name="s", data=data_of_login("r.io", "u", SecretText("hunter2\udcff"))),
            ("the login for r.io is not UTF-8, and a kubelet cannot hand it to a runtime",),
            id="not UTF-8",
        ),
        pytest.param(
            SecretManifest(name="s", data=data_of_login("r.io", "a:b", SecretText("hunter2"))),
            ("auth says another login for r.io than username and password, and the kubelet reads auth",),
            id="a colon in the user name",
        ),
    ],
)
def test_warnings(manifest: SecretManifest, expected: tuple[str, ...]) -> None:
    assert warnings(manifest) == expected
