"""``config.json`` and ``.dockerconfigjson``: read as the kubelet reads them, written as kubectl does.

One bad entry makes the whole document unreadable, and with it every credential
of the Pod (R-SEC-12): so the error says which entry, which field and which rule.

Spec: R-SEC-1 to R-SEC-15, R-PY-3 to R-PY-7, R-KCTL-4.
"""

import base64
from dataclasses import dataclass
from typing import Final, Literal

from sealift.credentials import go_base64, go_json
from sealift.credentials.credential import SecretText
from sealift.credentials.keyring import shown_key
from sealift.errors import SealiftError

MAX_CONFIG_SIZE: Final = 1024 * 1024
"""Bytes of a Secret's data that an API server takes (R-SEC-18)."""

Reason = Literal["json", "type", "base64", "colon"]

_ENTRY_FIELDS: Final = ("username", "password", "email", "auth")
_ENTRY_TYPE: Final = "credentialprovider.dockerConfigEntryWithAuth"
_CONFIG_TYPE: Final = "credentialprovider.DockerConfig"
_NO_COLON: Final = "unable to parse auth field, must be formatted as base64(username:password)"


class UndecodableConfig(SealiftError):
    """The kubelet cannot read this document, so no credential of it is used, and none beside it.

    Attributes:
        go_text: What the kubelet prints, as the waiting reason of the container
            (R-SEC-13). The wording depends on its Go version.
        place: Where in the document: ``auths["foo.io"].auth``, or the byte.
        key: The key of the bad entry, or None where the document as a whole is bad.
        reason: Which rule it broke.
    """

    def __init__(self, go_text: str, *, place: str, key: str | None, reason: Reason) -> None:
        super().__init__(f"{place}: {go_text}")
        self.go_text = go_text
        self.place = place
        self.key = key
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthEntry:
    """One entry of ``auths``, as it counts for the kubelet."""

    key: str
    """The registry, as it is written."""

    username: str
    """Bytes that are not UTF-8 are kept as ``surrogateescape`` does (R-SEC-10)."""

    password: SecretText
    email: str = ""
    unused: tuple[str, ...] = ()
    """Fields that are there and that the kubelet does not read, such as ``identitytoken``."""

    overridden: bool = False
    """Whether ``auth`` replaced a user name or password that said something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerConfig:
    """A document of pull credentials, decoded."""

    entries: tuple[AuthEntry, ...]
    """In the byte order of their keys. A kubelet visits them in random order (R-KEY-6)."""

    unused: tuple[str, ...] = ()
    """Top-level keys that the kubelet does not read, such as ``credsStore`` (R-SEC-3)."""


def decode_auths(data: bytes, *, legacy: bool) -> tuple[AuthEntry, ...]:
    """The entries of a document, in the byte order of their keys.

    Args:
        data: The content of ``.dockerconfigjson`` or, if `legacy`, of ``.dockercfg``.
        legacy: Whether the map of entries stands at the top.

    Raises:
        UndecodableConfig: The kubelet could not read it.
    """
    return decode_config(data, legacy=legacy).entries


def decode_config(data: bytes, *, legacy: bool) -> DockerConfig:
    """Like `decode_auths`, and what the kubelet passes over without a word.

    Raises:
        UndecodableConfig: The kubelet could not read it.
    """
    try:
        document = go_json.read(data)
    except go_json.GoJsonError as error:
        place = "the document" if error.offset is None else f"byte {error.offset}"
        raise UndecodableConfig(str(error), place=place, key=None, reason="json") from None
    decoder = _Decoder()
    if legacy:
        decoder.auths(document, context="")
    else:
        decoder.top(document)
    if decoder.type_error is not None:
        raise decoder.type_error
    entries = decoder.entries or {}
    return DockerConfig(
        entries=tuple(entries[key] for key in sorted(entries, key=_bytes_of)),
        unused=tuple(dict.fromkeys(decoder.unused)),
    )


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class _Decoder:
    """``json.Unmarshal`` into the kubelet's two types.

    A wrong type is remembered and decoding goes on; an error inside an entry
    ends it at once and is the one that is reported, as in Go.
    """

    def __init__(self) -> None:
        self.entries: dict[str, AuthEntry] | None = None
        self.unused: list[str] = []
        self.type_error: UndecodableConfig | None = None

    def top(self, document: go_json.Value) -> None:
        """The outer object of ``.dockerconfigjson``."""
        if document is go_json.Literal.NULL:
            return
        if not isinstance(document, go_json.Object):
            self._wrong_type(document, "", "credentialprovider.DockerConfigJSON", place="the document")
            return
        for name, value in document.members:
            folded = go_json.fold(name)
            if folded == "auths":
                self.auths(value, context="DockerConfigJSON.auths")
            elif folded == "httpheaders":
                self._headers(value)
            else:
                self.unused.append(name)

    def auths(self, value: go_json.Value, *, context: str) -> None:
        """The map of entries. A second one is merged into the first, null clears it (R-PY-4)."""
        if value is go_json.Literal.NULL:
            self.entries = None
            return
        if not isinstance(value, go_json.Object):
            place = "auths" if context else "the document"
            self._wrong_type(value, context, _CONFIG_TYPE, place=place)
            return
        if self.entries is None:
            self.entries = {}
        for key, entry in value.members:
            self.entries[key] = _entry(key, entry, context)

    def _headers(self, value: go_json.Value) -> None:
        """``HttpHeaders`` is not used, but its type counts (R-SEC-3)."""
        context = "DockerConfigJSON.HttpHeaders"
        if value is go_json.Literal.NULL:
            return
        if not isinstance(value, go_json.Object):
            self._wrong_type(value, context, "map[string]string", place="HttpHeaders")
            return
        for name, header in value.members:
            if not isinstance(header, str) and header is not go_json.Literal.NULL:
                self._wrong_type(header, context, "string", place=f'HttpHeaders["{name}"]')

    def _wrong_type(self, value: go_json.Value, context: str, wanted: str, *, place: str) -> None:
        if self.type_error is None:
            text = _type_error(value, context, wanted)
            self.type_error = UndecodableConfig(text, place=place, key=None, reason="type")


def _type_error(value: go_json.Value, field: str, wanted: str) -> str:
    into = f"Go struct field {field}" if field else "Go value"
    return f"json: cannot unmarshal {go_json.kind_of(value)} into {into} of type {wanted}"


def _entry(key: str, value: go_json.Value, context: str) -> AuthEntry:
    """One entry. Null and ``{}`` are an empty credential, not an absent one (R-SEC-11)."""
    shown = shown_key(key)
    place = f'auths["{shown}"]' if context else f'["{shown}"]'
    if value is go_json.Literal.NULL:
        return AuthEntry(key=key, username="", password=SecretText(""))
    if not isinstance(value, go_json.Object):
        text = _type_error(value, context, _ENTRY_TYPE)
        raise UndecodableConfig(text, place=place, key=key, reason="type")
    fields = dict.fromkeys(_ENTRY_FIELDS, "")
    unused: list[str] = []
    wrong: UndecodableConfig | None = None
    for name, member in value.members:
        folded = go_json.fold(name)
        if folded not in fields:
            unused.append(name)
        elif isinstance(member, str):
            fields[folded] = member
        elif member is not go_json.Literal.NULL and wrong is None:  # null never resets a string (R-PY-4)
            inside = f"{context}.{folded}" if context else f"dockerConfigEntryWithAuth.{folded}"
            wrong = UndecodableConfig(
                _type_error(member, inside, "string"), place=f"{place}.{folded}", key=key, reason="type"
            )
    if wrong is not None:
        raise wrong
    return _with_auth(key, place, fields, tuple(dict.fromkeys(unused)))


def _with_auth(key: str, place: str, fields: dict[str, str], unused: tuple[str, ...]) -> AuthEntry:
    """Let a non-empty ``auth`` overwrite both user name and password (R-SEC-6)."""
    username, password = fields["username"], fields["password"]
    overridden = False
    if fields["auth"]:
        try:
            username, password = decode_auth_field(fields["auth"])
        except go_base64.CorruptBase64 as error:
            raise UndecodableConfig(str(error), place=f"{place}.auth", key=key, reason="base64") from None
        except ValueError:
            raise UndecodableConfig(_NO_COLON, place=f"{place}.auth", key=key, reason="colon") from None
        plain = (fields["username"], fields["password"])
        overridden = plain not in {("", ""), (username, password)}
    return AuthEntry(
        key=key,
        username=username,
        password=SecretText(password),
        email=fields["email"],
        unused=unused,
        overridden=overridden,
    )


def decode_auth_field(text: str) -> tuple[str, str]:
    """User name and password of an ``auth`` value, split at the first colon.

    Either may be empty, and trailing NULs stay (R-SEC-8, R-SEC-9).

    Raises:
        CorruptBase64: It is not base64.
        ValueError: There is no colon in it.
    """
    # Go's TrimSpace takes Unicode white space, as str.strip does; what it trims is refused afterwards anyway.
    decoded = go_base64.decode(text, padded=text.strip().endswith("="))
    username, colon, password = decoded.decode("utf-8", "surrogateescape").partition(":")
    if not colon:
        raise ValueError("no colon")
    return username, password


def encode_docker_config(server: str, username: str, password: SecretText, email: str = "") -> bytes:
    """The ``.dockerconfigjson`` that ``kubectl create secret docker-registry`` writes, byte for byte.

    Text that is not UTF-8 may be passed as ``surrogateescape`` keeps it; `auth`
    is made of the very bytes.

    Spec: R-KCTL-4, R-KCTL-5, R-PY-7.
    """
    pair = f"{username}:{password.reveal()}".encode("utf-8", "surrogateescape")
    members = [("username", username), ("password", password.reveal())]
    if email:
        members.append(("email", email))
    members.append(("auth", base64.b64encode(pair).decode("ascii")))
    # Go leaves out what is empty; the callers never pass an empty user name or password.
    entry = ",".join(f'"{name}":{go_json.quote(value)}' for name, value in members if value)
    return f'{{"auths":{{{go_json.quote(server)}:{{{entry}}}}}}}'.encode()
