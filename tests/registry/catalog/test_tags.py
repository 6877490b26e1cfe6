"""What became of tags, and setting them back."""

from typing import Any

import pytest
from tests.registry.scene import ASHOK, MALLORY, NOON, REPOSITORY, Scene, call

from sealift.errors import SealiftError
from sealift.registry.catalog.repositories import repository_id
from sealift.registry.catalog.tag_history import tag_moves
from sealift.registry.catalog.tag_rules import TagImmutable, TagRules, set_tag_rules
from sealift.registry.catalog.tags import NotInHistory, NotRestorable, RestoredTag, restore_tag, tag_digest

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND


def id_of(scene: Scene) -> int:
    found = repository_id(scene.catalog, REPOSITORY)
    assert found is not None
    return found


async def three_moves(scene: Scene) -> list[str]:
    """The tag v1 on three manifests, an hour apart; the first at noon."""
    digests = []
    for salt in "abc":
        digests.append(str(await scene.push_image("v1", salt=salt)))
        scene.clock.pass_seconds(3600)
    return digests


async def restore(scene: Scene, name: str = "v1", *, days: int = 30, **where: Any) -> RestoredTag:
    repository = id_of(scene)
    return await scene.catalog.write(
        lambda transaction: restore_tag(
            transaction,
            repository,
            name,
            days=days,
            by=MALLORY,
            now=scene.catalog.now(),
            address="192.0.2.7",
            **where,
        )
    )


async def test_a_tag_goes_back_to_a_digest_and_that_is_a_move(scene: Scene) -> None:
    first, _, last = await three_moves(scene)
    assert await restore(scene, to=first) == RestoredTag(digest=first, was=last)
    assert tag_digest(scene.catalog, id_of(scene), "v1") == first
    (move,) = tag_moves(scene.catalog, id_of(scene), "v1", most=1)
    assert (move.old_digest, move.new_digest, move.principal, move.address) == (
        last,
        first,
        "mallory",
        "192.0.2.7",
    )


@pytest.mark.parametrize(
    ("moment", "which"),
    [
        pytest.param(NOON + 1, 0, id="after the first push"),
        pytest.param(NOON + 3600 * SECOND, 0, id="just before the second"),
        pytest.param(NOON + 3600 * SECOND + 1, 1, id="just after it"),
        pytest.param(NOON + 7200 * SECOND, 1, id="just before the third"),
        pytest.param(NOON + 9999 * SECOND, 2, id="now: nothing has to move"),
    ],
)
async def test_a_tag_goes_back_to_what_it_was_before_a_moment(scene: Scene, moment: int, which: int) -> None:
    digests = await three_moves(scene)
    assert await restore(scene, before=moment) == RestoredTag(digest=digests[which], was=digests[2])
    assert len(tag_moves(scene.catalog, id_of(scene), "v1", most=9)) == (3 if which == 2 else 4)


async def test_without_a_word_the_last_move_is_undone(scene: Scene) -> None:
    digests = await three_moves(scene)
    assert await restore(scene) == RestoredTag(digest=digests[1], was=digests[2])


async def test_a_tag_that_was_deleted_comes_back(scene: Scene) -> None:
    digests = await three_moves(scene)
    await scene.manifests.delete(call("DELETE", name=REPOSITORY, reference="v1"))
    assert await restore(scene) == RestoredTag(digest=digests[2], was=None)
    assert str(tag_digest(scene.catalog, id_of(scene), "v1")) == digests[2]


@pytest.mark.parametrize(
    ("where", "kind", "told"),
    [
        pytest.param({"to": "sha256:" + "0" * 64}, NotInHistory, "never stood for", id="a stranger"),
        pytest.param({"to": "nonsense"}, NotInHistory, "never stood for", id="no digest"),
        pytest.param({"before": NOON}, NotInHistory, "stood for nothing then", id="before it was made"),
        pytest.param({"before": -(2**62)}, NotInHistory, "stood for nothing then", id="long before"),
        pytest.param({"name": "v2"}, NotInHistory, "stood for nothing then", id="no such tag"),
    ],
)
async def test_where_a_tag_never_was_it_does_not_go(
    scene: Scene, where: dict[str, Any], kind: type[SealiftError], told: str
) -> None:
    await three_moves(scene)
    with pytest.raises(kind, match=told) as refused:
        await restore(scene, **where)
    assert refused.value.why
    assert refused.value.hint


async def test_the_window_ends_so_many_days_after_the_tag_moved_away(scene: Scene) -> None:
    first, second, last = await three_moves(scene)  # left at 13:00 and 14:00; it is 15:00
    scene.clock.now = NOON + 3600 * SECOND + 30 * DAY
    assert (await restore(scene, to=first)).was == last
    scene.clock.now += 3600 * SECOND + 1
    with pytest.raises(NotRestorable) as refused:
        await restore(scene, to=second)
    assert "30 days" in str(refused.value.why)
    assert (await restore(scene, to=second, days=31)).was == first


async def test_what_still_stands_has_no_window(scene: Scene) -> None:
    *_, last = await three_moves(scene)
    scene.clock.now += 400 * DAY
    assert await restore(scene, to=last) == RestoredTag(digest=last, was=last)
    assert await restore(scene, before=scene.clock.now) == RestoredTag(digest=last, was=last)


async def test_with_no_days_nothing_goes_back(scene: Scene) -> None:
    first, *_ = await three_moves(scene)
    with pytest.raises(NotRestorable):
        await restore(scene, to=first, days=0)


async def test_a_manifest_that_has_gone_is_named(scene: Scene) -> None:
    first, *_ = await three_moves(scene)
    await scene.manifests.delete(call("DELETE", name=REPOSITORY, reference=first))
    with pytest.raises(NotRestorable) as refused:
        await restore(scene, to=first)
    assert first in str(refused.value)
    assert "deleted" in str(refused.value.why)


async def test_an_immutable_tag_does_not_go_back_and_comes_back_only_as_it_may_be_made(scene: Scene) -> None:
    first, _, last = await three_moves(scene)
    repository = id_of(scene)

    async def rule(*patterns: str) -> None:
        rules = TagRules(immutable=patterns)
        await scene.catalog.write(lambda transaction: set_tag_rules(transaction, repository, rules))

    await rule("v*")
    with pytest.raises(TagImmutable):
        await restore(scene, to=first)
    assert tag_digest(scene.catalog, repository, "v1") == last
    await rule()
    await scene.manifests.delete(call("DELETE", name=REPOSITORY, reference="v1"))
    await rule("v*")
    assert (await restore(scene, to=first)).digest == first


async def test_a_history_comes_in_pages_newest_first(scene: Scene) -> None:
    await three_moves(scene)
    await scene.push_image("v2", salt="c")
    repository = id_of(scene)
    everything = tag_moves(scene.catalog, repository, most=99)
    assert [move.tag for move in everything] == ["v2", "v1", "v1", "v1"]
    pages = tag_moves(scene.catalog, repository, most=3)
    pages += tag_moves(scene.catalog, repository, last=pages[-1].id, most=3)
    assert pages == everything
    assert tag_moves(scene.catalog, repository, "v1", last=everything[1].id, most=3) == everything[2:]


async def test_a_history_is_its_repositorys(scene: Scene) -> None:
    await scene.push_image("v1")
    await scene.push_image("v1", "other/place")
    moves = tag_moves(scene.catalog, id_of(scene), most=9)
    assert [move.principal_id for move in moves] == [ASHOK.id]
