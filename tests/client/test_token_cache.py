"""Which token serves which wish, and for how long. How one is got is `test_token_auth`'s."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.client.world import single
from tests.fakes.scripted_transport import Outcome, ScriptedTransport, Told

from sealift.client.errors import Unauthenticated
from sealift.client.origin import Origin
from sealift.client.patience import Patience
from sealift.client.retry import NO_RETRY
from sealift.client.token_cache import MAX_TOKENS, TokenCache, Wish
from sealift.protocol.challenge import Challenge
from sealift.protocol.scope import repository_scope

R = Origin.of("https://r.test")
TOKEN = "https://r.test/token"
ASHOK = single("r.test").credential


def wish(path: str = "a", *, realm: str = TOKEN, scheme: str = "bearer", as_ashok: bool = False) -> Wish:
    scopes = (repository_scope(path, "pull"),)
    return Wish(R, Challenge(scheme, {"realm": realm}), scopes, ASHOK if as_ashok else None)


class World:
    """A cache whose issuer numbers its tokens, and a clock that stands still."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        self.time = 0.0
        self.count = 0

        def issue(_: object) -> Told:
            self.count += 1
            return Told(body=f'{{"token":"{self.count}","expires_in":300}}'.encode())

        answers: dict[str, Outcome] = {
            f"GET {realm}?scope=repository%3A{path}%3Apull{who}": outcome or issue
            for realm in (TOKEN, f"{TOKEN}2")
            for path in ("a", "b")
            for who in ("", "&account=ashok&client_id=sealift")
        }
        self.transport = ScriptedTransport(answers)

        async def no_sleep(_: float) -> None:
            raise AssertionError("nothing is waited for here")

        patience = Patience(
            self.transport, NO_RETRY, now=lambda: datetime(2026, 1, 1, tzinfo=UTC), sleep=no_sleep
        )
        self.cache = TokenCache(patience, frozenset(), clock=lambda: self.time)

    async def token(self, wanted: Wish) -> str:
        grant = await self.cache.grant(wanted)
        assert grant is not None
        return grant.secret.reveal()


async def test_the_same_wish_is_fulfilled_by_the_same_token() -> None:
    world = World()
    assert [await world.token(wish()) for _ in range(3)] == ["1", "1", "1"]


@pytest.mark.parametrize(
    "other", [wish("b"), wish(as_ashok=True), wish(realm=f"{TOKEN}2")], ids=["scope", "credential", "realm"]
)
async def test_another_wish_gets_a_token_of_its_own(other: Wish) -> None:
    world = World()
    assert [await world.token(wish()), await world.token(other), await world.token(wish())] == ["1", "2", "1"]


async def test_tasks_with_the_same_wish_wait_for_one_request() -> None:
    world = World()
    assert set(await asyncio.gather(*(world.token(wish()) for _ in range(9)))) == {"1"}


async def test_a_token_is_renewed_before_it_ends() -> None:
    world = World()
    seen = []
    for world.time in (0.0, 289.0, 291.0, 292.0):
        seen.append(await world.token(wish()))
    assert seen == ["1", "1", "2", "2"]


async def test_a_token_can_be_forgotten() -> None:
    world = World()
    await world.token(wish())
    assert world.cache.holds(wish())
    world.cache.forget(wish())
    world.cache.forget(wish("b"))
    assert not world.cache.holds(wish())
    assert await world.token(wish()) == "2"


async def test_a_refusal_is_remembered() -> None:
    world = World(Told(401))
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await world.token(wish(as_ashok=True))
    assert len(world.transport.sent) == 1


async def test_only_so_many_tokens_are_kept() -> None:
    world = World()
    for number in range(MAX_TOKENS + 10):
        path = f"r{number}"
        world.transport._table[f"GET {TOKEN}?scope=repository%3A{path}%3Apull"] = [
            Told(body=b'{"token":"t"}')
        ]
        await world.token(wish(path))
    assert len(world.cache._tokens) == MAX_TOKENS
    assert not world.cache.holds(wish("r0"))
    assert world.cache.holds(wish(f"r{MAX_TOKENS + 9}"))


async def test_basic_needs_no_issuer() -> None:
    world = World()
    grant = await world.cache.grant(wish(scheme="basic", as_ashok=True))
    assert grant is not None
    assert grant.scheme == "Basic"
    assert await world.cache.grant(wish(scheme="basic")) is None
    assert world.transport.sent == []
