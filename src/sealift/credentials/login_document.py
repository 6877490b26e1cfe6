"""The text of a login file: read with its places, and written as docker writes it.

Pure: bytes in, bytes out. Whose file it is and where it lies is
`sealift.credentials.login_file`'s business.

Spec: docker CLI, cli/config/configfile (R-CFG-1 to R-CFG-5); containers-auth.json(5) (R-POD-1, R-POD-6).

Where we differ from docker: keys that we do not know are kept when the file is
written, behind the others. docker drops them.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from sealift.credentials import go_json
from sealift.credentials.credential import SecretText
from sealift.errors import SealiftError

Dialect = Literal["docker", "containers"]
"""Whose rules hold: docker's ``config.json`` or podman's ``auth.json``."""

DOCKER_ORDER = (
    "auths",
    "HttpHeaders",
    "psFormat",
    "imagesFormat",
    "networksFormat",
    "pluginsFormat",
    "volumesFormat",
    "statsFormat",
    "detachKeys",
    "credsStore",
    "credHelpers",
    "serviceInspectFormat",
    "servicesFormat",
    "tasksFormat",
    "secretFormat",
    "configFormat",
    "nodesFormat",
    "pruneFilters",
    "proxies",
    "currentContext",
    "cliPluginsExtraDirs",
    "plugins",
    "aliases",
    "features",
    "experimental",
)
"""The order in which docker writes what it knows."""

_SORTED = frozenset({"HttpHeaders", "credHelpers", "proxies", "plugins", "aliases", "features"})
"""Values that are maps in docker, whose keys Go writes in order."""

_PROXY_ORDER = ("httpProxy", "httpsProxy", "noProxy", "ftpProxy", "allProxy")
_ENTRY_ORDER = ("auth", "email", "identitytoken", "registrytoken")
_BLANKED = frozenset({"username", "password", "serveraddress"})
"""Fields that docker reads and never writes (R-CFG-2)."""


class MalformedLoginFile(SealiftError):
    """A login file that cannot be read for what it says. The error holds no content of it, but keys.

    Attributes:
        line: Where in the file, from 1; None where no line is to blame.
    """

    def __init__(self, where: str, rule: str, line: int | None = None) -> None:
        place = f"{where}:{line}" if line is not None else where
        super().__init__(
            f"the login file {place} cannot be used",
            why=rule,
            hint=f"mend it, or move it away and log in again: mv {where} {where}.broken",
        )
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginEntry:
    """One entry of ``auths``."""

    username: str = ""
    password: SecretText = field(default_factory=lambda: SecretText(""))
    identity_token: SecretText | None = None
    rest: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Fields that are kept as they are: ``email``, ``registrytoken``, and what nobody knows."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no secret in it: the mark that a helper keeps it (R-HLP-7)."""
        return not self.username and not self.password and not self.identity_token


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginDocument:
    """What a login file says."""

    entries: Mapping[str, LoginEntry] = field(default_factory=dict)
    """By key, in the order of the file."""

    store: str = ""
    """``credsStore``: the helper for every registry that has none of its own."""

    helpers: Mapping[str, str] = field(default_factory=dict)
    """``credHelpers``: registry to helper."""

    rest: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Everything else, as it was."""

    @classmethod
    def parse(cls, data: bytes, where: str, dialect: Dialect) -> Self:
        """Read a login file. An empty one says nothing, and is no error.

        Args:
            data: The bytes.
            where: The file's path, for errors.
            dialect: Whose rules an entry is read by.

        Raises:
            MalformedLoginFile: it says where, and never what stands there.
        """
        if not data.strip():
            return cls()
        text = data.decode("utf-8", "replace")
        try:
            document = json.loads(text, parse_int=_Number, parse_float=_Number)
        except json.JSONDecodeError as error:
            raise MalformedLoginFile(where, f"it is not JSON: {error.msg}", error.lineno) from None
        except RecursionError:
            raise MalformedLoginFile(where, "it is nested too deeply") from None
        if not isinstance(document, dict):
            raise MalformedLoginFile(where, "it is not a JSON object", 1)
        reader = _Reader(text, where, dialect)
        return cls(
            entries=reader.entries(document.get("auths")),
            store=reader.text(document.get("credsStore"), "credsStore"),
            helpers=reader.texts(document.get("credHelpers"), "credHelpers"),
            rest={key: value for key, value in document.items() if key not in _OURS},
        )

    def with_entry(self, key: str, entry: LoginEntry) -> Self:
        """The document with an entry put in, or put in the place of one."""
        return replace(self, entries={**self.entries, key: entry})

    def without(self, keys: Iterable[str]) -> Self:
        """The document without these entries."""
        gone = set(keys)
        return replace(self, entries={key: each for key, each in self.entries.items() if key not in gone})

    def write(self) -> bytes:
        """The bytes of the file, as docker writes them: tabs, its own order, no newline at the end."""
        document: dict[str, Any] = dict(self.rest)
        document["auths"] = {key: _written(self.entries[key]) for key in sorted(self.entries, key=_bytes_of)}
        if self.store:
            document["credsStore"] = self.store
        if self.helpers:
            document["credHelpers"] = dict(self.helpers)
        ordered = _in_order(document, DOCKER_ORDER)
        for key in _SORTED & ordered.keys():
            if isinstance(ordered[key], dict):
                ordered[key] = {name: ordered[key][name] for name in sorted(ordered[key], key=_bytes_of)}
        if isinstance(proxies := ordered.get("proxies"), dict):
            ordered["proxies"] = {host: _in_order(each, _PROXY_ORDER) for host, each in proxies.items()}
        return _indented(ordered, 0).encode("utf-8", "replace")


_OURS = frozenset({"auths", "credsStore", "credHelpers"})


class _Number(str):
    """A number as it is spelled, so that it is written back as it was."""

    __slots__ = ()


class _Reader:
    """Reads the parts of one document, and knows where it came from."""

    def __init__(self, text: str, where: str, dialect: Dialect) -> None:
        self._text = text
        self._where = where
        self._dialect = dialect

    def entries(self, value: object) -> dict[str, LoginEntry]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._refusal("auths", "auths is not an object")
        return {key: self._entry(key, entry) for key, entry in value.items()}

    def text(self, value: object, key: str) -> str:
        if value is None:
            return ""
        if not isinstance(value, str) or isinstance(value, _Number):
            raise self._refusal(key, f"{key} is not a string")
        return value

    def texts(self, value: object, key: str) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._refusal(key, f"{key} is not an object")
        return {name: self.text(each, name) for name, each in value.items()}

    def _entry(self, key: str, value: object) -> LoginEntry:
        if value is None:
            return LoginEntry()
        if not isinstance(value, dict):
            raise self._refusal(key, "the entry is not an object")
        username = self.text(value.get("username"), "username")
        password = self.text(value.get("password"), "password")
        auth = self.text(value.get("auth"), "auth")
        if auth:
            username, password = self._decoded(key, auth)
        identity = self.text(value.get("identitytoken"), "identitytoken")
        if self._dialect == "containers" and not auth:
            username = password = ""  # podman reads no other field (R-POD-1)
        return LoginEntry(
            username=username,
            password=SecretText(password),
            identity_token=SecretText(identity) if identity else None,
            rest={name: each for name, each in value.items() if name not in _READ_FIELDS},
        )

    def _decoded(self, key: str, auth: str) -> tuple[str, str]:
        """R-CFG-4, R-CFG-5; R-POD-6."""
        try:
            # Go's decoder passes over line ends, and nothing else.
            raw = base64.b64decode(auth.translate(_LINE_ENDS).encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise self._refusal(key, "the entry's auth is not base64 with padding") from None
        username, colon, password = raw.decode("utf-8", "surrogateescape").partition(":")
        if not colon and self._dialect == "containers":
            return "", ""
        if not colon or (not username and self._dialect == "docker"):
            raise self._refusal(key, "the entry's auth does not hold user:password")
        return username, password.strip("\x00")

    def _refusal(self, key: str, rule: str) -> MalformedLoginFile:
        """The line is that of the key's first appearance. A user and password before a host are not shown."""
        found = self._text.find(json.dumps(key, ensure_ascii=False))
        line = self._text.count("\n", 0, found) + 1 if found >= 0 else None
        shown = key.rpartition("@")[2]
        place = f"auths[{shown[:200]!a}]: " if "entry" in rule else ""
        return MalformedLoginFile(self._where, f"{place}{rule}", line)


_READ_FIELDS = _BLANKED | {"auth", "identitytoken"}
_LINE_ENDS = {ord("\r"): None, ord("\n"): None}


def _written(entry: LoginEntry) -> dict[str, Any]:
    document = dict(entry.rest)
    if entry.username or entry.password:
        pair = f"{entry.username}:{entry.password.reveal()}".encode("utf-8", "surrogateescape")
        document["auth"] = base64.b64encode(pair).decode("ascii")
    if entry.identity_token:
        document["identitytoken"] = entry.identity_token.reveal()
    ordered: dict[str, Any] = _in_order(document, _ENTRY_ORDER)
    return ordered


def _in_order(document: Any, order: Sequence[str]) -> Any:
    """An object with its known keys first, in their order. What is no object stays as it is."""
    if not isinstance(document, dict):
        return document
    return {key: document[key] for key in order if key in document} | document


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _indented(value: object, depth: int) -> str:
    """A value as Go's ``json.MarshalIndent`` writes it with a tab."""
    inner, outer = "\n" + "\t" * (depth + 1), "\n" + "\t" * depth
    match value:
        case dict() if value:
            members = (f"{go_json.quote(key)}: {_indented(each, depth + 1)}" for key, each in value.items())
            return "{" + inner + f",{inner}".join(members) + outer + "}"
        case dict():
            return "{}"
        case list() if value:
            return "[" + inner + f",{inner}".join(_indented(each, depth + 1) for each in value) + outer + "]"
        case list():
            return "[]"
        case _Number():
            return str(value)
        case str():
            return go_json.quote(value)
        case _:
            return json.dumps(value)
