import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

import pytest
from argon2 import extract_parameters

from sealift.credentials.credential import SecretText
from sealift.registry.access.passwords import (
    _NOBODY,
    MAX_PASSWORD_BYTES,
    REMEMBERED_SECONDS,
    WAITING_PER_THREAD,
    PasswordCheck,
    TooManyChecks,
    WeakPassword,
    hash_password,
    refuse_weak,
)

P = ParamSpec("P")
T = TypeVar("T")

SECRET = SecretText("correct horse")
HASH = hash_password(SECRET)


class CountingExecutor(Executor):
    """Runs at once, and counts; or holds what it was given until `release`."""

    def __init__(self, *, hold: bool = False) -> None:
        self.runs = 0
        self.held: list[Callable[[], None]] = []
        self._hold = hold

    def submit(self, fn: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            self.runs += 1
            future.set_result(fn(*arguments, **named))

        if self._hold:
            self.held.append(run)
        else:
            run()
        return future


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_right_password_is_proven_once_a_minute() -> None:
    executor, clock = CountingExecutor(), Clock()
    check = PasswordCheck(executor, threads=1, now=clock)

    async def verify(password: SecretText = SECRET, generation: int = 1, account_id: int = 7) -> bool:
        return await check.verify(password, account_id=account_id, generation=generation, password_hash=HASH)

    assert await verify()
    assert await verify()
    assert executor.runs == 1
    clock.seconds += REMEMBERED_SECONDS
    assert await verify()
    assert executor.runs == 2


@pytest.mark.parametrize(
    ("account_id", "generation"),
    [
        pytest.param(7, 2, id="any change of the account forgets it"),
        pytest.param(8, 1, id="another account of the same password is another proof"),
    ],
)
async def test_what_is_remembered_belongs_to_one_account_and_generation(
    account_id: int, generation: int
) -> None:
    executor = CountingExecutor()
    check = PasswordCheck(executor, threads=1, now=Clock())
    await check.verify(SECRET, account_id=7, generation=1, password_hash=HASH)
    await check.verify(SECRET, account_id=account_id, generation=generation, password_hash=HASH)
    assert executor.runs == 2


async def test_a_wrong_password_is_wrong_each_time_and_never_remembered() -> None:
    executor = CountingExecutor()
    check = PasswordCheck(executor, threads=1, now=Clock())
    for _ in range(2):
        assert not await check.verify(SecretText("wrong"), account_id=7, generation=1, password_hash=HASH)
    assert executor.runs == 2


async def test_every_byte_counts() -> None:
    long = "x" * 100
    hashed = hash_password(SecretText(long))
    check = PasswordCheck(CountingExecutor(), threads=1, now=Clock())
    for place in (0, 71, 72, 80, 99):
        other = SecretText(long[:place] + "y" + long[place + 1 :])
        assert not await check.verify(other, account_id=1, generation=1, password_hash=hashed)
    assert await check.verify(SecretText(long), account_id=1, generation=1, password_hash=hashed)


async def test_a_password_longer_than_any_is_wrong_even_where_it_begins_right() -> None:
    longest = "x" * MAX_PASSWORD_BYTES
    hashed = hash_password(SecretText(longest))
    check = PasswordCheck(CountingExecutor(), threads=1, now=Clock())
    assert not await check.verify(
        SecretText(longest + "\0"), account_id=1, generation=1, password_hash=hashed
    )


async def test_a_broken_hash_proves_nothing() -> None:
    check = PasswordCheck(CountingExecutor(), threads=1, now=Clock())
    assert not await check.verify(SECRET, account_id=1, generation=1, password_hash="not a hash")


async def test_who_finds_the_queue_full_is_told_to_come_back() -> None:
    executor = CountingExecutor(hold=True)
    check = PasswordCheck(executor, threads=1, now=Clock())
    waiting = [
        asyncio.create_task(check.refuse_unknown(SecretText("x"))) for _ in range(1 + WAITING_PER_THREAD)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyChecks) as refused:
        await check.refuse_unknown(SecretText("x"))
    assert refused.value.retry_after_seconds == 1
    for run in executor.held:
        run()
    await asyncio.gather(*waiting)
    executor.held.clear()
    again = asyncio.create_task(check.refuse_unknown(SecretText("x")))
    await asyncio.sleep(0)
    assert len(executor.held) == 1
    executor.held[0]()
    await again


async def test_a_client_that_goes_away_does_not_make_room_before_its_check_is_done() -> None:
    executor = CountingExecutor(hold=True)
    check = PasswordCheck(executor, threads=1, now=Clock())
    waiting = [
        asyncio.create_task(check.refuse_unknown(SecretText("x"))) for _ in range(1 + WAITING_PER_THREAD)
    ]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(TooManyChecks):
        await check.refuse_unknown(SecretText("x"))
    for run in executor.held:
        run()


async def test_an_unknown_user_costs_what_a_known_one_does() -> None:
    """Both run argon2 once with the same parameters: that is what makes the times the same."""
    executor = CountingExecutor()
    check = PasswordCheck(executor, threads=1, now=Clock())
    await check.refuse_unknown(SecretText("x"))
    assert executor.runs == 1
    assert extract_parameters(_NOBODY) == extract_parameters(HASH)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("seven77", id="too short"),
        pytest.param("password", id="the best known"),
        pytest.param("Password123!", id="the best known, dressed up"),
        pytest.param("changeme1", id="what a chart ships"),
        pytest.param("aaaaaaaaaa", id="one letter"),
        pytest.param("12345678", id="a row of digits"),
        pytest.param("ashok-the-name", id="the account's own name"),
        pytest.param("x" * (MAX_PASSWORD_BYTES + 1), id="too long"),
    ],
)
def test_hopeless_passwords_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        refuse_weak("ashok-the-name", SecretText(text))
    assert text in {"", "password"} or text not in str(refused.value)


def test_a_decent_password_is_taken() -> None:
    refuse_weak("ashok", SecretText("correct horse"))
