import json
from typing import Any

import pytest
from tests.registry.scene import REPOSITORY, Scene, body_bytes, call, refused

from sealift.registry.catalog.repositories import VisibleRepositories


async def tags(scene: Scene, query: str = "", name: str = REPOSITORY) -> tuple[Any, str | None]:
    answer = await scene.listings.tags(call("GET", name=name, query=query))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return json.loads(await body_bytes(answer)), answer.headers.get("link")


NAMES = ["1", "B", "a", "a-b", "a.b", "a_b", "ab", "b", "latest"]
"""In the order of the bytes: upper case before lower, '-' before '.', and '_' after digits."""


@pytest.fixture
async def tagged(scene: Scene) -> Scene:
    for name in reversed(NAMES):
        await scene.push_image(name)
    return scene


@pytest.mark.parametrize(
    ("query", "expected", "link"),
    [
        pytest.param("", NAMES, None, id="all"),
        pytest.param("n=3", NAMES[:3], "?last=a&n=3", id="the first three"),
        pytest.param("n=3&last=a", NAMES[3:6], "?last=a_b&n=3", id="the next three"),
        pytest.param("n=3&last=a_b", NAMES[6:], None, id="the last three, and no link"),
        pytest.param("last=a_b", NAMES[6:], None, id="last without n"),
        pytest.param("n=2&last=aa", NAMES[6:8], "?last=b&n=2", id="last need not exist"),
        pytest.param("last=zzz", [], None, id="beyond the end"),
        pytest.param("n=0", [], None, id="none"),
        pytest.param("n=1000000000", NAMES, None, id="a billion"),
        pytest.param("n=9", NAMES, None, id="exactly as many as there are"),
    ],
)
async def test_tags(tagged: Scene, query: str, expected: list[str], link: str | None) -> None:
    link = None if link is None else f'</v2/{REPOSITORY}/tags/list{link}>; rel="next"'
    assert await tags(tagged, query) == ({"name": REPOSITORY, "tags": expected}, link)


async def test_a_page_has_an_end_where_nobody_asked_for_one(tagged: Scene) -> None:
    few = tagged.limited(page_entries=4)
    names: list[str] = []
    query = ""
    for _ in range(3):
        page, link = await tags(few, query)
        names += page["tags"]
        query = "" if link is None else link.partition("?")[2].partition(">")[0]
    assert names == NAMES
    assert query == ""


@pytest.mark.parametrize("n", ["-1", "x", "", "1.5", "%31%32x"])
async def test_a_number_that_is_none(tagged: Scene, n: str) -> None:
    assert await refused(tags(tagged, f"n={n}")) == ("PAGINATION_NUMBER_INVALID", 400)


async def test_tags_of_nothing(scene: Scene) -> None:
    assert await refused(tags(scene)) == ("NAME_UNKNOWN", 404)
    await scene.push_blob(b"no manifest yet")
    assert await tags(scene) == ({"name": REPOSITORY, "tags": []}, None)


REPOSITORIES = ["apps/api", "apps/api-2", "apps/deep/er", "apps/web", "ashok/x", "public/a", "zoo"]


@pytest.fixture
def many(scene: Scene) -> Scene:
    for name in REPOSITORIES:
        scene.make_repository(name, public=name.startswith("public"))
    return scene


async def repositories(
    scene: Scene, visible: VisibleRepositories, query: str = ""
) -> tuple[list[str], str | None]:
    answer = await scene.listings.repositories(call("GET", query=query), visible)
    found: list[str] = json.loads(await body_bytes(answer))["repositories"]
    return found, answer.headers.get("link")


GRANTED = VisibleRepositories(
    prefixes=("apps/", "ashok/", "apps/api"),
    admits=lambda name: name.startswith("ashok/") or (name.startswith("apps/") and name.count("/") == 1),
)


@pytest.mark.parametrize(
    ("visible", "query", "expected", "link"),
    [
        pytest.param(VisibleRepositories(everything=True), "", REPOSITORIES, None, id="an admin"),
        pytest.param(
            VisibleRepositories(everything=True),
            "n=2",
            REPOSITORIES[:2],
            "?last=apps%2Fapi-2&n=2",
            id="a page",
        ),
        pytest.param(VisibleRepositories(), "", ["public/a"], None, id="nobody in particular"),
        pytest.param(
            GRANTED, "", ["apps/api", "apps/api-2", "apps/web", "ashok/x", "public/a"], None, id="by grants"
        ),
        pytest.param(
            GRANTED, "n=1&last=apps/api-2", ["apps/web"], "?last=apps%2Fweb&n=1", id="a page of them"
        ),
        pytest.param(GRANTED, "n=2&last=ashok/x", ["public/a"], None, id="the last page"),
        pytest.param(VisibleRepositories(public=False), "", [], None, id="nothing"),
    ],
)
async def test_repositories(
    many: Scene, visible: VisibleRepositories, query: str, expected: list[str], link: str | None
) -> None:
    link = None if link is None else f'</v2/_catalog{link}>; rel="next"'
    assert await repositories(many, visible, query) == (expected, link)
