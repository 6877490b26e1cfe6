"""A credential for a registry, and the text type that keeps its secret."""

import hmac
from dataclasses import dataclass
from typing import Literal, Never


class SecretText:
    """A string that does not show itself.

    ``repr``, ``str`` and f-strings give ``***``, and it can be neither pickled
    nor copied into JSON by accident. The one way to the text is `reveal`, so
    that a search for that word finds every place that uses it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it where the bytes leave the process, nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same text, in constant time for texts of one length."""
        if not isinstance(other, SecretText):
            return NotImplemented
        mine = self._text.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(mine, other._text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Never:
        raise TypeError("a SecretText is not pickled: reveal() it where it has to leave")


SourceKind = Literal["Secret", "NodeConfig", "CredentialProvider", "LoginFile", "CredentialHelper", "Flag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a credential came from, in the words of whoever has to find it."""

    kind: SourceKind
    name: str
    """Name of the Secret or provider, path of the file, or name of the flag."""

    namespace: str | None = None
    """For a Secret only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user name and a password (or token) for one registry."""

    username: str
    password: SecretText
    source: Source
    key: str
    """The key that matched, as it is written there."""

    email: str = ""
    """Sent to nobody; a kubelet hashes it with the rest (R-ENS-12)."""

    identity_token: SecretText | None = None
    """A refresh token for the realm. Only login files and helpers have one; a
    kubelet drops it (R-SEC-4)."""
