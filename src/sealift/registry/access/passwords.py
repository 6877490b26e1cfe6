"""Passwords of accounts: hashing them, and proving them without letting anyone exhaust the machine.

Argon2id is slow on purpose. It runs in threads of its own, at most one per
core at a time; those that must wait stand in a queue of bounded length, and who
finds it full is told to come back (429). A password that was proven is
remembered for a minute as an HMAC under a key that this process made up at its
start, so that a client which sends Basic with each request pays once a minute.
What is remembered is bound to the account's generation: any change to the
account forgets it, in every process.

Spec: RFC 9106 (Argon2), section 4; OWASP Password Storage, "Argon2id".
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ClassVar, Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from sealift.credentials.credential import SecretText
from sealift.errors import SealiftError
from sealift.registry.counters import Counters
from sealift.registry.metrics import PASSWORDS_REFUSED, PASSWORDS_WAITING

R = TypeVar("R")

REMEMBERED_SECONDS: Final = 60.0
"""How long a proven password is good without proving it again."""

REMEMBERED_ACCOUNTS: Final = 10_000
"""Proofs kept per process; beyond it the oldest goes."""

WAITING_PER_THREAD: Final = 32
"""Checks that may wait for each thread: about a second's worth. The next one gets a 429."""

RETRY_AFTER_SECONDS: Final = 1

MAX_PASSWORD_BYTES: Final = 4096
"""Bytes of UTF-8. Longer is refused before it is hashed; argon2 uses every byte of what is not."""

MIN_PASSWORD_CHARACTERS: Final = 8

_HASHER: Final = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
"""Memory in KiB. 19 MiB and two passes take some 20 ms of one core."""

_NOBODY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$c2VhbGlmdC1ub2JvZHkhIQ$GEKsiMCsFcFr2UbLCNF8tCKwyyqA31saR3NL422BRq0"
)
"""A hash that no password is known for, checked for users that do not exist: both take as long."""


class TooManyChecks(SealiftError):
    """Every core is checking passwords and the queue behind them is full."""

    exit_status: ClassVar[int] = 6
    retry_after_seconds = RETRY_AFTER_SECONDS


class WeakPassword(SealiftError):
    """The password is too short, too long or too well known to be anybody's."""


def hash_password(password: SecretText) -> str:
    """The argon2id hash to store. Slow on purpose: see `PasswordCheck.hash` for use on an event loop."""
    return _HASHER.hash(_as_bytes(password))


def refuse_weak(name: str, password: SecretText) -> None:
    """See that a password is not hopeless.

    Raises:
        WeakPassword: It is shorter than 8 characters, longer than 4096 bytes,
            the account's own name, or one of the first that anyone would try.
    """
    text = password.reveal()
    if len(text) < MIN_PASSWORD_CHARACTERS:
        raise WeakPassword(
            f"the password is shorter than {MIN_PASSWORD_CHARACTERS} characters",
            hint="choose a longer one: several words, or what a password manager makes",
        )
    if len(_as_bytes(password)) > MAX_PASSWORD_BYTES:
        raise WeakPassword(f"the password is longer than {MAX_PASSWORD_BYTES} bytes")
    plain = text.lower()
    if plain == name or plain.strip("0123456789!.-_ ") in _WELL_KNOWN or len(set(plain)) == 1:
        raise WeakPassword(
            "the password is one of the first that anyone would try",
            hint="choose another: several words, or what a password manager makes",
        )


_WELL_KNOWN: Final = frozenset(
    {
        "",
        "admin",
        "administrator",
        "changeme",
        "docker",
        "harbor",
        "iloveyou",
        "letmein",
        "passwd",
        "password",
    }
    | {"passwort", "qwerty", "qwertyui", "qwertz", "registry", "root", "sealift", "secret", "welcome", "test"}
)
"""Compared without digits and punctuation at either end, so that ``Password123!`` is among them."""


class PasswordCheck:
    """Proves passwords for one process. Belongs to one event loop."""

    def __init__(
        self,
        executor: Executor,
        *,
        threads: int,
        now: Callable[[], float],
        counters: Counters | None = None,
    ) -> None:
        """Make a check that keeps nothing yet.

        Args:
            executor: Where argon2 runs; it has `threads` threads.
            threads: How many checks run at a time.
            now: A monotonic clock, in seconds.
            counters: Told of checks that wait, and of those that are turned away.
        """
        self._counters = counters or Counters()
        self._counters.start(PASSWORDS_WAITING)
        self._counters.start(PASSWORDS_REFUSED)
        self._executor = executor
        self._room = threads * (1 + WAITING_PER_THREAD)
        self._now = now
        self._key = secrets.token_bytes(32)
        self._proven: OrderedDict[bytes, float] = OrderedDict()

    async def hash(self, password: SecretText) -> str:
        """The hash to store for a new password. Raises: TooManyChecks."""
        return await self._run(hash_password, password)

    async def verify(
        self, password: SecretText, *, account_id: int, generation: int, password_hash: str
    ) -> bool:
        """Whether this is the account's password.

        Raises:
            TooManyChecks: Nothing was checked; ask again in `RETRY_AFTER_SECONDS`.
        """
        proof = self._proof(password, account_id, generation)
        until = self._proven.get(proof)
        if until is not None and self._now() < until:
            return True
        right = await self._run(_matches, password, password_hash)
        if right:
            self._proven[proof] = self._now() + REMEMBERED_SECONDS
            self._proven.move_to_end(proof)
            while len(self._proven) > REMEMBERED_ACCOUNTS:
                self._proven.popitem(last=False)
        return right

    async def refuse_unknown(self, password: SecretText) -> None:
        """Do the work of a check that fails, for a user that is not there. Raises: TooManyChecks."""
        await self._run(_matches, password, _NOBODY)

    def _proof(self, password: SecretText, account_id: int, generation: int) -> bytes:
        message = b"%d:%d:" % (account_id, generation) + _as_bytes(password)
        return hmac.digest(self._key, message, hashlib.sha256)

    async def _run(self, work: Callable[..., R], *arguments: object) -> R:
        if self._room <= 0:
            self._counters.add(PASSWORDS_REFUSED)
            raise TooManyChecks(
                "too many passwords are being checked",
                why="every core is busy with them and the queue is full",
                hint=f"try again in {RETRY_AFTER_SECONDS} s; a token needs no password check",
            )
        self._room -= 1
        self._counters.add(PASSWORDS_WAITING)
        future = asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        future.add_done_callback(self._leave)  # when the thread is done, not when the client goes away
        return await asyncio.shield(future)

    def _leave(self, _: object) -> None:
        self._room += 1
        self._counters.add(PASSWORDS_WAITING, amount=-1.0)


def _matches(password: SecretText, password_hash: str) -> bool:
    given = _as_bytes(password)
    if len(given) > MAX_PASSWORD_BYTES:
        given = given[:MAX_PASSWORD_BYTES] + b"\0"  # never right, and no more work than any other
    try:
        return _HASHER.verify(password_hash, given)
    except (VerificationError, InvalidHashError):
        return False


def _as_bytes(password: SecretText) -> bytes:
    return password.reveal().encode("utf-8", "surrogatepass")
