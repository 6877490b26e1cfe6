"""Credential helpers: the programs ``docker-credential-*``, which keep secrets for docker's login file.

Where a login file names one, it is used and never passed over: a helper that is
missing, breaks or talks nonsense is an error, and not a reason to look at the
next place (CVE-2021-41092 in the docker CLI).

Spec: R-HLP-1 to R-HLP-8; docker-credential-helpers, "Development".
"""

import asyncio
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sealift.credentials.credential import SecretText
from sealift.errors import SealiftError

PREFIX = "docker-credential-"

TOKEN_USERNAME = "<token>"  # noqa: S105  a user name, and the same for everyone
"""Says that the secret is an identity token (R-HLP-6)."""

NOT_FOUND = "credentials not found in native keychain"
"""What a helper prints where it has nothing: an answer, and no failure (R-HLP-4)."""

MAX_OUTPUT = 1024 * 1024
"""Bytes of a helper's answer. Secrets are short."""

TIMEOUT_SECONDS = 300.0
"""A person may have to unlock something first; nobody waits longer than this."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class HelperFailed(SealiftError):
    """A credential helper that is named cannot be used, or did not do as asked."""

    exit_status: ClassVar[int] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperEntry:
    """What a helper has for one server."""

    username: str
    secret: SecretText

    @property
    def is_identity_token(self) -> bool:
        """Whether `secret` is a refresh token rather than a password."""
        return self.username == TOKEN_USERNAME


@dataclass(frozen=True, slots=True)
class CredentialHelper:
    """One helper program, by the name in the login file: ``desktop``, ``pass``, ``ecr-login``."""

    name: str
    environment: Mapping[str, str]
    """What the program runs with; its PATH is where it is looked for."""

    async def get(self, server: str) -> HelperEntry | None:
        """What the helper has for this server, or None.

        Raises:
            HelperFailed: it is missing, or failed, or its answer is none.
        """
        status, output = await self._run("get", server.encode())
        if status != 0:
            if _words(output) == NOT_FOUND:
                return None
            raise self._failed("get", status, output)
        try:
            document = json.loads(output)
            username, secret = document["Username"], document["Secret"]
        except (ValueError, KeyError, TypeError, RecursionError):
            username = secret = None
        if not isinstance(username, str) or not isinstance(secret, str):
            raise HelperFailed(
                f"the credential helper {self.name} gave no usable answer for {server}",
                why="its output is not a JSON object with Username and Secret",
                hint=f"echo {server} | {PREFIX}{self.name} get",
            )
        if not username and not secret:
            return None
        return HelperEntry(username=username, secret=SecretText(secret))

    async def store(self, server: str, entry: HelperEntry) -> None:
        """Have the helper keep a credential.

        Raises:
            HelperFailed: it did not.
        """
        document = {"ServerURL": server, "Username": entry.username, "Secret": entry.secret.reveal()}
        status, output = await self._run("store", json.dumps(document).encode())
        if status != 0:
            # A helper in trouble may show what it was given, as it is or as the JSON had it.
            held = entry.secret.reveal()
            shows = held in output.decode("utf-8", "replace") or json.dumps(held)[1:-1].encode() in output
            raise self._failed("store", status, b"" if shows else output)

    async def erase(self, server: str) -> None:
        """Have the helper forget a server. That it knew none is no failure.

        Raises:
            HelperFailed: it did not.
        """
        status, output = await self._run("erase", server.encode())
        if status != 0 and _words(output) != NOT_FOUND:
            raise self._failed("erase", status, output)

    async def _run(self, action: str, given: bytes) -> tuple[int, bytes]:
        program = self._program()
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                action,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=dict(self.environment),
            )
        except OSError as error:
            raise HelperFailed(
                f"the credential helper {PREFIX}{self.name} cannot be started",
                why=error.strerror or type(error).__name__,
                hint=f"ls -l {program}",
            ) from error
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                output, _ = await process.communicate(given)
        except TimeoutError:
            raise HelperFailed(
                f"the credential helper {PREFIX}{self.name} does not answer",
                why=f"it ran for {TIMEOUT_SECONDS:.0f} seconds",
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, output[:MAX_OUTPUT]

    def _program(self) -> str:
        if _NAME.fullmatch(self.name) is None:
            raise HelperFailed(
                "the login file names a credential helper that cannot be one",
                why="the name of a helper is letters, digits, dots and dashes",
                hint="mend credsStore or credHelpers there, or take it out and log in again",
            )
        program = shutil.which(f"{PREFIX}{self.name}", path=self.environment.get("PATH"))
        if program is None:
            raise HelperFailed(
                f"the credential helper {PREFIX}{self.name} is not installed",
                why="the login file names it, and it is not on PATH",
                hint=f"install {PREFIX}{self.name}, or take it out of the login file and log in again",
            )
        return program

    def _failed(self, action: str, status: int, output: bytes) -> HelperFailed:
        """R-HLP-5. What ``get`` prints may hold a secret even then: only known words are repeated."""
        words = _words(output) if action != "get" or _words(output) in _KNOWN_MESSAGES else ""
        why = f"{PREFIX}{self.name} {action} ended with status {status}"
        return HelperFailed(
            f"the credential helper {self.name} failed",
            why=f"{why}: {words}" if words else why,
            hint=f"run it by hand to see more: echo SERVER | {PREFIX}{self.name} {action}",
        )


_KNOWN_MESSAGES = frozenset({NOT_FOUND, "no credentials server URL", "no credentials username"})


def _words(output: bytes) -> str:
    """What a helper printed, on one line that is safe to show."""
    text = output.decode("utf-8", "replace").strip()
    return "".join(each if each.isprintable() else " " for each in text[:200])
