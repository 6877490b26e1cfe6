from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trustme

from sealift.cli.collection_settings import COLLECTION_SETTINGS
from sealift.cli.limit_settings import LIMIT_SETTINGS
from sealift.cli.server_settings import (
    SETTINGS,
    BadSetting,
    Won,
    check,
    is_loopback,
    read_address,
    resolve,
)

HOME_DATA = Path.home() / ".local" / "share" / "sealift"


def _won(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> dict[str, Won]:
    return resolve(dict(flags or {}), environment or {}, file)


def test_defaults() -> None:
    won = _won()
    assert {name: each.value for name, each in won.items()} == {
        "listen": ("127.0.0.1", 5000),
        "data": HOME_DATA,
        "external-url": None,
        "workers": 1,
        "plain-http": False,
        "tls-cert": None,
        "tls-key": None,
        "trusted-proxies": (),
        "tag-restore-days": 30,
        "access-log": None,
        "log-format": "text",
        "metrics-listen": None,
        "metrics-plain-http": False,
        **{setting.name: setting.default for setting in (*LIMIT_SETTINGS, *COLLECTION_SETTINGS)},
    }
    assert {each.source for each in won.values()} == {"default"}


@pytest.mark.parametrize(
    ("setting", "in_file", "text", "value"),
    [
        pytest.param("listen", '"10.0.0.1:80"', "10.0.0.1:80", ("10.0.0.1", 80), id="listen"),
        pytest.param("data", '"/srv/x"', "/srv/x", Path("/srv/x"), id="data"),
        pytest.param(
            "external-url",
            '"https://r.example/"',
            "https://r.example/",
            "https://r.example",
            id="external-url",
        ),
        pytest.param("workers", "3", "3", 3, id="workers"),
        pytest.param("plain-http", "true", "yes", True, id="plain-http"),
        pytest.param("tls-cert", '"/c"', "/c", Path("/c"), id="tls-cert"),
        pytest.param("tls-key", '"/k"', "/k", Path("/k"), id="tls-key"),
        pytest.param(
            "trusted-proxies",
            '["10.0.0.0/8", "::1"]',
            "10.0.0.0/8, ::1",
            (ip_network("10.0.0.0/8"), ip_network("::1")),
            id="trusted-proxies",
        ),
        pytest.param("tag-restore-days", "90", "90", 90, id="tag-restore-days"),
        pytest.param("access-log", "true", "1", "on", id="access-log"),
        pytest.param("access-log", '"json"', "json", "json", id="access-log in a form"),
        pytest.param("log-format", '"json"', "json", "json", id="log-format"),
        pytest.param("metrics-listen", '":9"', ":9", ("::", 9), id="metrics-listen"),
        pytest.param("metrics-plain-http", "true", "on", True, id="metrics-plain-http"),
    ],
)
def test_flag_goes_before_environment_before_file(
    tmp_path: Path, setting: str, in_file: str, text: str, value: Any
) -> None:
    file = tmp_path / "sealift.toml"
    file.write_text(f"# a comment\n\n{setting} = {in_file}\n")
    variable = "SEALIFT_" + setting.upper().replace("-", "_")
    assert _won(file)[setting] == Won(value=value, source=f"{file}:3")
    assert _won(file, {variable: text})[setting] == Won(value=value, source=variable)
    assert _won(file, {variable: "nonsense"}, {setting: text})[setting] == Won(
        value=value, source=f"--{setting}"
    )


def test_every_setting_is_in_the_table_above() -> None:
    assert [setting.name for setting in SETTINGS] == list(_won())


def test_an_empty_variable_is_none() -> None:
    assert _won(environment={"SEALIFT_LISTEN": ""})["listen"].source == "default"


@pytest.mark.parametrize(
    ("environment", "data"),
    [
        pytest.param({"XDG_DATA_HOME": "/srv/share"}, Path("/srv/share/sealift"), id="XDG_DATA_HOME"),
        pytest.param({"XDG_DATA_HOME": "relative"}, HOME_DATA, id="a relative one counts as none"),
        pytest.param(
            {"XDG_DATA_HOME": "/srv/share", "SEALIFT_DATA": "/srv/x"},
            Path("/srv/x"),
            id="SEALIFT_DATA before it",
        ),
    ],
)
def test_the_data_directory(environment: dict[str, str], data: Path) -> None:
    assert _won(environment=environment)["data"].value == data


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param('listen = ":1"\nlisen = ":2"\n', "{file}:2: there is no setting 'lisen'", id="a typo"),
        pytest.param("\n[server]\nlisten = ':1'\n", "{file}:2: there is no setting 'server'", id="a table"),
        pytest.param('"data base" = 1\n', "{file}:1: there is no setting 'data base'", id="a quoted key"),
        pytest.param(
            'database = "x"\n', "{file}:1: there is no setting 'database'", id="not in this version"
        ),
        pytest.param("workers = '2'\n", "{file}:1: workers is not a number", id="text for a number"),
        pytest.param("workers = true\n", "{file}:1: workers is not a number", id="a truth for a number"),
        pytest.param(
            "plain-http = 1\n", "{file}:1: plain-http is not true or false", id="a number for a truth"
        ),
        pytest.param("listen = 5000\n", "{file}:1: listen is not a string", id="a number for text"),
        pytest.param('\nlisten = "x"\n', "{file}:2 cannot be 'x'", id="a value that cannot be read"),
        pytest.param("listen = \n", "{file}:1:10: this is not TOML", id="no TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_place(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "sealift.toml"
    file.write_text(content)
    with pytest.raises(BadSetting) as refused:
        _won(file)
    assert told.format(file=file) in str(refused.value)
    assert refused.value.exit_status == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be read"):
        _won(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("listen", "5000"),
        ("listen", "host:"),
        ("listen", "host:99999"),
        ("listen", "::1:5000"),
        ("listen", "host:-1"),
        ("external-url", "registry.example"),
        ("external-url", "ftp://registry.example"),
        ("external-url", "https://registry.example/v2"),
        ("external-url", "https://user@registry.example"),
        ("workers", "0"),
        ("workers", "many"),
        ("workers", "65"),
        ("trusted-proxies", "10.0.0.0/99"),
        ("tag-restore-days", "-1"),
        ("tag-restore-days", "3651"),
        ("tag-restore-days", "a month"),
        ("trusted-proxies", "proxy.example"),
    ],
)
def test_values_that_cannot_be_read(setting: str, text: str) -> None:
    with pytest.raises(BadSetting) as refused:
        _won(flags={setting: text})
    assert f"--{setting} cannot be {text.replace('user@', '***@')!r}" in str(refused.value)
    assert refused.value.why


@pytest.mark.parametrize("name", ["database", "storage"])
def test_what_is_not_in_this_version_is_said_politely(name: str) -> None:
    for flags, environment in (
        ({name: "x"}, {}),
        ({}, {"SEALIFT_" + name.upper().replace("-", "_"): "x"}),
    ):
        with pytest.raises(BadSetting, match="is not in this version"):
            _won(None, environment, flags)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("[::1]:5000", ("::1", 5000)),
        (":5000", ("::", 5000)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("::", False),
        ("10.0.0.1", False),
        ("registry.example", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    issued = trustme.CA().issue_cert("registry.example")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    issued.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    return str(tmp_path / "tls.crt"), str(tmp_path / "tls.key")


def test_what_goes_together(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    check(_won())
    check(_won(flags={"listen": "[::1]:5000"}))
    check(_won(flags={"listen": "0.0.0.0:5000", "plain-http": "true"}))
    check(_won(flags={"listen": "0.0.0.0:5000", "tls-cert": cert, "tls-key": key}))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param({"listen": "0.0.0.0:5000"}, "and there is no TLS", id="open without TLS"),
        pytest.param({"listen": ":5000"}, "and there is no TLS", id="every address without TLS"),
        pytest.param({"tls-cert": "{cert}"}, "takes a certificate and its key", id="a certificate alone"),
        pytest.param({"tls-key": "{key}"}, "takes a certificate and its key", id="a key alone"),
        pytest.param(
            {"tls-cert": "{cert}", "tls-key": "{key}", "plain-http": "true"},
            "both asked for",
            id="TLS and plain HTTP",
        ),
        pytest.param(
            {"tls-cert": "{cert}", "tls-key": "{cert}"}, "cannot be used", id="no key in the key's file"
        ),
        pytest.param(
            {"tls-cert": "/missing", "tls-key": "{key}"}, "cannot be read", id="a file that is not there"
        ),
    ],
)
def test_what_does_not_go_together(certificate: tuple[str, str], flags: dict[str, str], told: str) -> None:
    cert, key = certificate
    with pytest.raises(BadSetting) as refused:
        check(_won(flags={name: text.format(cert=cert, key=key) for name, text in flags.items()}))
    assert told in str(refused.value)
    assert refused.value.why
    assert "PRIVATE" not in f"{refused.value} {refused.value.why} {refused.value.hint}"
