"""A pull Secret as ``kubectl create secret docker-registry`` writes it, byte for byte.

kubectl checks little: a name that no API server takes is printed all the same.
What it refuses is refused here in its words; what it lets pass and what will
not work is in `warnings`.

Spec: R-KCTL-1 to R-KCTL-9; kubectl 1.37, held by tests/peers/test_kubectl_secret.py.
"""

import base64
import csv
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, Final

import yaml

from sealift.credentials import go_json
from sealift.credentials.credential import SecretText
from sealift.credentials.docker_config import (
    AuthEntry,
    UndecodableConfig,
    decode_config,
    encode_docker_config,
)
from sealift.credentials.keyring import location_of, shown_key
from sealift.errors import SealiftError
from sealift.image import docker_hub
from sealift.kubernetes.manifests import resolve
from sealift.kubernetes.objects import DATA_KEYS, DOCKER_CONFIG_JSON

DATA_KEY: Final = DATA_KEYS[DOCKER_CONFIG_JSON]
DEFAULT_SERVER: Final = docker_hub.CREDENTIAL_KEY
MAX_KEY_LENGTH: Final = 253
"""Characters of a data key (R-SEC-18)."""

_HASH_LENGTH: Final = 10
_HASH_LETTERS: Final = str.maketrans("013ae", "ghkmt")
"""So that no hash spells a word."""

_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_MAX_LABEL: Final = 63
_MAX_SUBDOMAIN: Final = 253


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")


class SecretRefused(SealiftError):
    """kubectl would refuse this, and in these words."""

    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretManifest:
    """A Secret of the type ``kubernetes.io/dockerconfigjson``, not yet anywhere."""

    name: str
    namespace: str = ""
    """Written only where it is not empty (R-KCTL-9)."""

    data: Mapping[str, bytes] = field(repr=False)

    def with_hash(self) -> "SecretManifest":
        """The same Secret, its name followed by a hash of its content (R-KCTL-7)."""
        members = ",".join(
            f"{go_json.quote(key)}:{go_json.quote(_base64(self.data[key]))}" for key in sorted(self.data)
        )
        text = (
            f'{{"data":{{{members}}},"kind":"Secret",'
            f'"name":{go_json.quote(self.name)},"type":{go_json.quote(DOCKER_CONFIG_JSON)}}}'
        )
        digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
        return replace(self, name=f"{self.name}-{digest.translate(_HASH_LETTERS)}")

    def to_json(self) -> bytes:
        """Indented JSON, as ``-o json`` prints it, with the line break at its end."""
        metadata = [("name", self.name)]
        if self.namespace:
            metadata.append(("namespace", self.namespace))
        data = [(key, _base64(self.data[key])) for key in sorted(self.data)]
        return (
            '{\n    "kind": "Secret",\n    "apiVersion": "v1",\n'
            f'    "metadata": {_json_object(metadata)},\n'
            f'    "data": {_json_object(data)},\n'
            f'    "type": {go_json.quote(DOCKER_CONFIG_JSON)}\n}}\n'
        ).encode()

    def to_yaml(self) -> bytes:
        """YAML, as ``-o yaml`` prints it.

        Raises:
            SecretRefused: A name holds a character that kubectl cannot print.
        """
        metadata = {"name": _through_json(self.name)}
        if self.namespace:
            metadata["namespace"] = _through_json(self.namespace)
        data = {key: _base64(self.data[key]) for key in sorted(self.data, key=functools.cmp_to_key(_natural))}
        events: list[yaml.Event] = [yaml.StreamStartEvent(), yaml.DocumentStartEvent(explicit=False)]
        events += _mapping(
            ("apiVersion", "v1"),
            ("data", data),
            ("kind", "Secret"),
            ("metadata", metadata),
            ("type", DOCKER_CONFIG_JSON),
        )
        events += [yaml.DocumentEndEvent(explicit=False), yaml.StreamEndEvent()]
        # libyaml's emitter and that of kubectl are one program in two languages.
        printed: str = yaml.emit(events, Dumper=yaml.CDumper, allow_unicode=True, width=80)
        return printed.encode()


def data_of_login(server: str, username: str, password: SecretText, email: str = "") -> dict[str, bytes]:
    """The data of a Secret made of a user name and a password.

    Raises:
        SecretRefused: One of the three is missing (R-KCTL-2).
    """
    if not (server and username and password):
        raise nothing_given()
    return {DATA_KEY: encode_docker_config(server, username, password, email)}


def nothing_given() -> SecretRefused:
    """The refusal where neither a file nor a whole login is given (R-KCTL-2)."""
    return SecretRefused(
        "either --from-file or the combination of --docker-username, --docker-password and"
        " --docker-server is required",
        why="a pull Secret is made of a user name and a password, or of a config.json that is there already",
        hint="add --docker-server=REGISTRY --docker-username=USER --password-stdin < FILE",
    )


def split_sources(values: Iterable[str]) -> Iterator[str]:
    """The sources in the values of ``--from-file``: each may hold several, as a line of CSV.

    Raises:
        SecretRefused: The quotes in it are not CSV.
    """
    for value in values:
        if not value:
            continue
        first = value.split("\n", maxsplit=1)[0]
        if _stray_quote(first):
            raise SecretRefused(
                f"--from-file: the quotes in {value!r} are not CSV",
                why="kubectl reads the value as a line of comma-separated values",
                hint="put the whole field in quotes, and double those inside it",
            )
        yield from next(csv.reader([first]), [])


def _stray_quote(line: str) -> bool:
    """Whether a quote stands where Go's CSV reader does not take one."""
    return re.fullmatch(r'(?:[^",]*|"(?:[^"]|"")*")(?:,(?:[^",]*|"(?:[^"]|"")*"))*', line) is None


def parse_source(text: str) -> tuple[str, str]:
    """Data key and path of one source; the key of the type is implied (R-KCTL-6).

    Raises:
        SecretRefused: It is no ``[KEY=]PATH``.
    """
    count = text.count("=")
    key, _, path = text.partition("=") if count else (DATA_KEY, "=", text)
    if count > 1:
        message = "key names or file paths cannot contain '='"
    elif not key:
        message = f"key name for file path {path} missing"
    elif not path:
        message = f"file path for key name {key} missing"
    else:
        return key, path
    raise SecretRefused(
        message,
        why="a source is FILE, or KEY=FILE with one equals sign",
        hint=f"write --from-file={DATA_KEY}=FILE",
    )


def check_key(key: str, taken: Iterable[str]) -> None:
    """Refuse a data key that no Secret can have, or that is there already (R-SEC-18).

    Raises:
        SecretRefused: It is one of those.
    """
    broken: list[str] = []
    if len(key.encode("utf-8", "surrogateescape")) > MAX_KEY_LENGTH:
        broken.append(f"must be no more than {MAX_KEY_LENGTH} characters")
    if _KEY.fullmatch(key) is None:
        broken.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
            "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    if key in {".", ".."}:
        broken.append(f"must not be '{key}'")
    elif key.startswith(".."):
        broken.append("must not start with '..'")
    if broken:
        raise SecretRefused(
            f'"{key}" is not valid key name for a Secret {";".join(broken)}',
            why="each data key is a file name for whoever mounts the Secret",
            hint=f"leave the key out, and it is {DATA_KEY}",
        )
    if key in taken:
        raise SecretRefused(
            f"cannot add key {key}, another key by that name already exists",
            why="two sources go under one key",
            hint="give --from-file once",
        )


def warnings(secret: SecretManifest) -> tuple[str, ...]:
    """What kubectl lets pass and an API server or a kubelet will not, one line each. No content is shown."""
    found: list[str] = []
    if len(secret.name) > _MAX_SUBDOMAIN or _SUBDOMAIN.fullmatch(secret.name) is None:
        found.append(
            f"the API server will refuse the name {secret.name!r}: lower case letters, digits, - and ."
        )
    if secret.namespace and (
        len(secret.namespace) > _MAX_LABEL or _LABEL.fullmatch(secret.namespace) is None
    ):
        found.append(f"{secret.namespace!r} is no name of a namespace: lower case letters, digits and -")
    content = secret.data.get(DATA_KEY)
    if content is None:
        found.append(f"the API server will refuse it: this type of Secret has the key {DATA_KEY}")
        return tuple(found)
    try:
        config = decode_config(content, legacy=False)
    except UndecodableConfig as error:
        found.append(f"a Pod that names this Secret cannot pull anything: {error}")
        return tuple(found)
    if not config.entries:
        found.append("there is no login in it, so no image gets a credential from it")
    found += [
        f"the kubelet does not read {name}: the logins that a helper keeps are not in this Secret"
        for name in config.unused
        if go_json.fold(name) in {"credsstore", "credhelpers"}
    ]
    for entry in config.entries:
        found += _warnings_of_entry(entry)
    return tuple(found)


def _warnings_of_entry(entry: AuthEntry) -> Iterator[str]:
    shown = shown_key(entry.key)
    strange = "://" in entry.key and not entry.key.startswith(("https://", "http://"))
    if location_of(entry.key) is None or strange:
        yield f"the kubelet cannot read {shown!r} as a registry, and will never use it"
    password = entry.password.reveal()
    if not entry.username and not password:
        yield f"the entry for {shown} is empty: the kubelet pulls anonymously with it"
    elif _NOT_UTF8.search(entry.username + password):
        yield f"the login for {shown} is not UTF-8, and a kubelet cannot hand it to a runtime"
    elif entry.overridden:
        yield f"auth says another login for {shown} than username and password, and the kubelet reads auth"
    elif password != password.strip():
        yield f"the password for {shown} begins or ends with white space, which is sent as it is"
    elif _CONTROL.search(password):
        yield f"the password for {shown} has a line break or control character in it"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _json_object(members: list[tuple[str, str]]) -> str:
    lines = ",\n".join(f"        {go_json.quote(key)}: {go_json.quote(value)}" for key, value in members)
    return f"{{\n{lines}\n    }}"


# ---------------------------------------------------------------- YAML
def _mapping(*members: tuple[str, str | Mapping[str, str]]) -> Iterator[yaml.Event]:
    yield yaml.MappingStartEvent(None, None, implicit=True, flow_style=False)
    for key, value in members:
        yield _scalar(key)
        if isinstance(value, str):
            yield _scalar(value)
        else:
            yield from _mapping(*value.items())
    yield yaml.MappingEndEvent()


def _scalar(text: str) -> yaml.Event:
    r"""A string as go-yaml prints it: ``|`` if it has lines, quoted if it would read as something else."""
    # A byte order mark at the beginning would be dropped by who reads it.
    style = "|" if "\n" in text else '"' if _misread(text) or "\ufeff" in text else ""
    return yaml.ScalarEvent(None, None, (True, True), text, style=style)


def _misread(text: str) -> bool:
    return not isinstance(resolve(text), str) or _is_sexagesimal(text) or _is_timestamp(text)


_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", re.ASCII)
_DATE = re.compile(
    r"(?P<date>[0-9]{4}-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2}))"
    r"(?:(?:[Tt](?P<zoned>[^Zz+-]+)(?P<zone>Z|[+-][0-9]{2}:[0-9]{2}))|(?: (?P<local>.+)))?",
    re.ASCII,
)
_CLOCK = re.compile(r"(?P<h>[0-9]{1,2}):(?P<m>[0-9]{1,2}):(?P<s>[0-9]{1,2})(?:[.,][0-9]+)?", re.ASCII)


def _is_sexagesimal(text: str) -> bool:
    """Whether YAML 1.1 has it for a number in base 60, such as ``1:30``."""
    return _SEXAGESIMAL.fullmatch(text) is not None


def _is_timestamp(text: str) -> bool:
    """Whether go-yaml has it for a date: one that is in the calendar."""
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    year, month, day = (int(part) for part in found["date"].split("-"))
    clock = found["zoned"] or found["local"]
    hour = minute = second = 0
    if clock is not None:
        time = _CLOCK.fullmatch(clock)
        if time is None:
            return False
        hour, minute, second = int(time["h"]), int(time["m"]), int(time["s"])
    try:
        # Year 0 is one for Go and none for Python; 4 has the same calendar.
        datetime(year or 4, month, day, hour, minute, second)  # noqa: DTZ001 - only its being a date counts
    except ValueError:
        return False
    return True


_UNPRINTABLE = re.compile("[\x7f-\x84\x86-\x9f\ufffe\uffff]")
_NEXT_LINES = re.compile(" *\x85 *((?:\x85 *)*)")


def _through_json(text: str) -> str:
    """`text` as it comes out when kubectl reads its own JSON as YAML.

    A byte that is no UTF-8 is U+FFFD, the line break U+0085 folds, and some
    control characters are an error.
    """
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    if _UNPRINTABLE.search(text):
        raise SecretRefused(
            "yaml: control characters are not allowed",
            why="the name holds a control character",
            hint="write the name by hand: lower case letters, digits, - and .",
        )
    return _NEXT_LINES.sub(lambda found: "\n" * found[1].count("\x85") or " ", text)


def _natural(one: str, other: str) -> int:
    """The order in which go-yaml prints keys: letters last, and numbers by what they count."""
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left == right:
            continue
        if left.isalpha() or right.isalpha():
            if left.isalpha() and right.isalpha():
                return _compare(left, right)
            return -1 if right.isalpha() else 1
        # A number with a zero in it counts from where it begins.
        begun = "0" in {left, right} and any(digit != "0" for digit in _digits_before(one, at))
        first, second = _digits_from(one, at), _digits_from(other, at)
        numbers = [int(f"{'1' if begun else ''}{digits}" or "0") for digits in (first, second)]
        return _compare(numbers[0], numbers[1]) or _compare(len(first), len(second)) or _compare(left, right)
    return _compare(len(one), len(other))


def _digits_before(text: str, at: int) -> str:
    start = at
    while start and text[start - 1].isdigit():
        start -= 1
    return text[start:at]


def _digits_from(text: str, at: int) -> str:
    end = at
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[at:end]


def _compare(left: str | int, right: str | int) -> int:
    return (left > right) - (left < right)  # type: ignore[operator]  # both are of one type
