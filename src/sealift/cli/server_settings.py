"""The settings of `sealift serve`: one table of them, and which source of each won.

A setting comes from its flag, else from ``SEALIFT_…`` in the environment, else
from the configuration file, else it is the default.

Spec: TOML 1.0 for the file; its keys are the flags without the dashes before.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from sealift.cli.collection_settings import COLLECTION_SETTINGS
from sealift.cli.limit_settings import LIMIT_SETTINGS
from sealift.cli.setting import Setting
from sealift.errors import SealiftError

Network = IPv4Network | IPv6Network


class BadSetting(SealiftError):
    """A setting cannot be read, or does not go with another. The message says where it stands."""

    exit_status: ClassVar[int] = 2


class NoRightToSetting(BadSetting):
    """A file that a setting names is there, and this user may not read it."""

    exit_status: ClassVar[int] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Won:
    """The value of a setting, and what it comes from."""

    value: Any
    source: str
    """``default``, ``--listen``, ``SEALIFT_LISTEN``, or ``FILE:LINE``."""


def read_address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``[IPV6]:PORT`` or ``:PORT``, which is every address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise ValueError("it is not HOST:PORT with a port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:5000")
    return host or "::", int(port)


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("it is not a URL such as https://registry.example")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("it has more than scheme, host and port; a registry stands at the root of its host")
    return f"{parts.scheme}://{parts.netloc}"


def _read_workers(text: str) -> int:
    count = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= count <= MAX_WORKERS:
        raise ValueError(f"it is not a number from 1 to {MAX_WORKERS}")
    return count


def _read_days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_DAYS)) else -1
    if not 0 <= days <= MAX_DAYS:
        raise ValueError(f"it is not a number of days from 0 to {MAX_DAYS}")
    return days


def _read_bool(text: str) -> bool:
    known = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in known:
        raise ValueError("it is neither true nor false")
    return known[text.lower()]


def _read_form(text: str) -> str:
    if text not in FORMS:
        raise ValueError("it is neither text nor json")
    return text


def _read_access_log(text: str) -> str | None:
    """A form; ``on``: as all else that is logged; None: no line for a request."""
    if text in FORMS:
        return text
    try:
        return "on" if _read_bool(text) else None
    except ValueError:
        raise ValueError("it is none of text, json, true and false") from None


def _read_networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(each.strip(), strict=False) for each in text.split(",") if each.strip())


def _read_path(text: str) -> Path:
    return Path(text).expanduser()


MAX_WORKERS: Final = 64
MAX_DAYS: Final = 3650

FORMS: Final = ("text", "json")
"""How what is logged is written."""

SETTINGS: Final = (
    Setting(
        name="listen",
        read=read_address,
        default=("127.0.0.1", 5000),
        about="Where to listen. Addresses beyond loopback take TLS, or `plain-http` said aloud.",
    ),
    Setting(
        name="data",
        read=_read_path,
        default=None,
        about="The data directory. Without one: `$XDG_DATA_HOME/sealift`.",
    ),
    Setting(
        name="external-url",
        read=_read_url,
        default=None,
        about="Scheme and host that clients use. It decides realms and locations.",
    ),
    Setting(
        name="workers",
        read=_read_workers,
        default=1,
        kind=int,
        about="Processes that answer.",
        unit="processes",
        bounds=f"1 to {MAX_WORKERS}",
    ),
    Setting(
        name="plain-http",
        read=_read_bool,
        default=False,
        kind=bool,
        about="Serve without TLS beyond loopback, said aloud.",
    ),
    Setting(
        name="tls-cert",
        read=_read_path,
        default=None,
        about="Certificate chain, PEM. It is taken up when it is renewed.",
    ),
    Setting(name="tls-key", read=_read_path, default=None, about="Its key, PEM."),
    Setting(
        name="trusted-proxies",
        read=_read_networks,
        default=(),
        kind=list,
        about="Networks from which `X-Forwarded-For`, `-Host`, `-Proto` and `X-Request-Id` count.",
    ),
    Setting(
        name="tag-restore-days",
        read=_read_days,
        default=30,
        kind=int,
        about="How far back a tag that was moved or deleted can be set back.",
        unit="days",
        bounds=f"0 to {MAX_DAYS}",
    ),
    Setting(
        name="access-log",
        read=_read_access_log,
        default=None,
        kind=(bool, str),
        about="Print a line for each request, without secrets: `true`, or the form, `text` or `json`.",
    ),
    Setting(
        name="log-format",
        read=_read_form,
        default="text",
        about="The form of all that is logged: `text` or `json`.",
    ),
    Setting(
        name="metrics-listen",
        read=read_address,
        default=None,
        about="Where Prometheus finds `/metrics`. Without it there are none.",
    ),
    Setting(
        name="metrics-plain-http",
        read=_read_bool,
        default=False,
        kind=bool,
        about="Metrics beyond loopback, in plain HTTP and without a login, said aloud.",
    ),
    *LIMIT_SETTINGS,
    *COLLECTION_SETTINGS,
)

NOT_YET: Final = {
    "database": "another database than the SQLite file in the data directory",
    "storage": "another storage than the files in the data directory",
}
"""What the contract names and this version does not have, with what it is for."""


def resolve(
    flags: Mapping[str, str | None], environment: Mapping[str, str], file: Path | None
) -> dict[str, Won]:
    """Every setting, with what it comes from.

    Args:
        flags: The text of each flag that was given, by the setting's name.
        environment: As in `os.environ`.
        file: The configuration file, if one was named.

    Raises:
        BadSetting: One cannot be read, or the file has a key that is none.
    """
    for name, purpose in NOT_YET.items():
        variable = "SEALIFT_" + name.upper().replace("-", "_")
        if flags.get(name) is not None or variable in environment:
            given = f"--{name}" if flags.get(name) is not None else variable
            raise BadSetting(
                f"{given} is not in this version", why=f"it cannot use {purpose} yet", hint="leave it away"
            )
    written = {} if file is None else _read_file(file)
    won: dict[str, Won] = {}
    for setting in SETTINGS:
        text = flags.get(setting.name)
        if text is not None:
            won[setting.name] = _read(setting, text, f"--{setting.name}")
        elif environment.get(setting.variable):
            won[setting.name] = _read(setting, environment[setting.variable], setting.variable)
        elif setting.name in written:
            won[setting.name] = _read(setting, *written[setting.name])
        else:
            won[setting.name] = Won(value=setting.default, source="default")
    if won["data"].value is None:
        won["data"] = Won(value=_default_data(environment), source="default")
    return won


def check(won: Mapping[str, Won]) -> None:
    """See that the settings go together.

    Raises:
        BadSetting: They do not.
    """
    host, _ = won["listen"].value
    certificate, key = won["tls-cert"], won["tls-key"]
    if (certificate.value is None) is not (key.value is None):
        given = certificate if certificate.value is not None else key
        raise BadSetting(
            "TLS takes a certificate and its key",
            why=f"only one is given ({given.source})",
            hint="give both: --tls-cert FILE --tls-key FILE",
        )
    if certificate.value is not None and won["plain-http"].value:
        raise BadSetting(
            "TLS and plain HTTP are both asked for",
            why=f"{certificate.source} and {won['plain-http'].source}",
            hint="leave one of them away",
        )
    if not is_loopback(host) and certificate.value is None and not won["plain-http"].value:
        raise BadSetting(
            f"{host} can be reached from other machines, and there is no TLS",
            why="passwords and tokens would travel in the clear",
            hint="give --tls-cert and --tls-key; or say --plain-http if a proxy in front speaks TLS",
        )
    metrics = won["metrics-listen"]
    said = won["metrics-plain-http"].value
    if metrics.value is not None and not is_loopback(metrics.value[0]) and not said:
        raise BadSetting(
            f"metrics at {metrics.value[0]} can be read from other machines ({metrics.source})",
            why="they are plain HTTP without a login, and tell how much goes on here",
            hint="listen on 127.0.0.1; or say --metrics-plain-http where only Prometheus gets there",
        )
    grace, age = won["collect-grace"], won["upload-age"]
    if grace.value < age.value:
        raise BadSetting(
            "collect-grace is shorter than upload-age",
            why="blobs of an upload that may still go on would be collected",
            hint="give collect-grace a longer time than upload-age",
        )
    if certificate.value is not None:
        check_certificate(certificate.value, key.value)


def check_certificate(certificate: Path, key: Path) -> None:
    """See that a certificate and its key can be served with.

    Raises:
        BadSetting: They cannot be read, or do not belong together.
    """
    import ssl

    for path in (certificate, key):
        try:
            path.open("rb").close()
        except OSError as refused:
            raise _unreadable(f"the certificate or its key cannot be read: {path}", path, refused) from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as bad:
        raise BadSetting(
            f"the certificate {certificate} and the key {key} cannot be used",
            why=bad.reason or str(bad),
            hint="give a PEM certificate chain and its unencrypted key",
        ) from None


def _unreadable(message: str, path: Path, refused: OSError) -> BadSetting:
    kind = NoRightToSetting if isinstance(refused, PermissionError) else BadSetting
    return kind(message, why=refused.strerror, hint=f"ls -l {path}")


def _no_password() -> str:
    """Asked for where the key is encrypted: openssl would ask at the terminal, and a server has none."""
    return ""


def _default_data(environment: Mapping[str, str]) -> Path:
    """``$XDG_DATA_HOME/sealift``. Spec: XDG Base Directory Specification 0.8."""
    home = environment.get("XDG_DATA_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share") / "sealift"


def _read(setting: Setting, text: str, source: str) -> Won:
    try:
        return Won(value=setting.read(text), source=source)
    except ValueError as bad:
        raise BadSetting(f"{source} cannot be {_shown(text)!r}", why=str(bad), hint=_HELP) from None


def _read_file(file: Path) -> dict[str, tuple[str, str]]:
    """The text and the place of every key of the file.

    Raises:
        BadSetting: It cannot be read, or has a key or a value that it cannot have.
    """
    try:
        data = file.read_bytes()
    except OSError as refused:
        raise _unreadable(f"the configuration file {file} cannot be read", file, refused) from None
    try:
        content = data.decode()
        document = tomllib.loads(content)
    except UnicodeDecodeError as bad:
        line = data.count(b"\n", 0, bad.start) + 1
        raise BadSetting(
            f"{file}:{line}: this is not TOML", why="TOML is UTF-8, and this is not", hint=_RECODE
        ) from None
    except tomllib.TOMLDecodeError as bad:
        rule, line, column = _fault_in(str(bad), content)
        raise BadSetting(
            f"{file}:{line}:{column}: this is not TOML", why=rule, hint='write: listen = "127.0.0.1:5000"'
        ) from None
    known = {setting.name: setting for setting in SETTINGS}
    read: dict[str, tuple[str, str]] = {}
    for key, value in document.items():
        place = f"{file}:{_line_of(content, key)}"
        if key not in known:
            near = NOT_YET.get(key)
            raise BadSetting(
                f"{place}: there is no setting {key!r}",
                why=f"this version cannot use {near} yet" if near else "there are " + ", ".join(known),
                hint="take it out; sealift config show lists the settings with their values",
            )
        kinds = known[key].kind
        kind = kinds[0] if isinstance(kinds, tuple) else kinds
        if not isinstance(value, kinds) or (kind is int and isinstance(value, bool)):
            raise BadSetting(
                f"{place}: {key} is not {_KINDS[kind]}",
                why=f"it is {_KINDS.get(type(value), 'something else')}",
                hint=f"write: {key} = {_EXAMPLES[kind]}",
            )
        read[key] = (",".join(str(each) for each in value) if isinstance(value, list) else str(value), place)
    return read


_HELP: Final = "sealift serve --help"
_RECODE: Final = "save it as UTF-8, or: iconv -f latin1 -t utf-8 FILE"
_KINDS: Final[dict[type, str]] = {
    str: "a string",
    int: "a number",
    bool: "true or false",
    list: "a list of strings",
    dict: "a table",
}
_EXAMPLES: Final = {str: '"TEXT"', int: "2", bool: "true", list: '["10.0.0.0/8"]'}
_FAULT: Final = re.compile(
    r"(?P<rule>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)


def _fault_in(message: str, content: str) -> tuple[str, int, int]:
    """What tomllib says, and where: line and column from 1."""
    lines = content.splitlines() or [""]
    found = _FAULT.fullmatch(message)
    if found is None:
        return message, 1, 1
    if found["line"] is None:
        return found["rule"], len(lines), len(lines[-1]) + 1
    return found["rule"], int(found["line"]), int(found["column"])


def _shown(text: str) -> str:
    """A value to be repeated: short, and without the login that a URL may hold."""
    scheme, separator, rest = text[:200].partition("://")
    return f"{scheme}{separator}***@{rest.rpartition('@')[2]}" if separator and "@" in rest else text[:200]


def _line_of(content: str, key: str) -> int:
    """The line on which a key of the top level, or a table of that name, begins."""
    begins = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[.=\]]""")
    for number, line in enumerate(content.splitlines(), 1):
        if begins.match(line):
            return number
    return 1
