import pytest
from tests.registry.scene import OTHER, REPOSITORY, Scene

from sealift.image.digest import Digest
from sealift.registry.catalog.blob_links import MOST_LINKS_LOOKED_AT, linked_size, mount_source

DIGEST = Digest.of(b"blob")


@pytest.fixture
async def linked(scene: Scene) -> Scene:
    scene.make_repository("public/one", public=True)
    for name in (OTHER, REPOSITORY, "public/one"):
        await scene.push_blob(b"blob", name)
    return scene


@pytest.mark.parametrize(
    ("named", "readable", "expected"),
    [
        pytest.param(OTHER, (OTHER,), (OTHER, 4), id="named and readable"),
        pytest.param(OTHER, (), None, id="named and private"),
        pytest.param(OTHER, (REPOSITORY,), None, id="named and private, another readable"),
        pytest.param("public/one", (), ("public/one", 4), id="named and public"),
        pytest.param(None, (), ("public/one", 4), id="any: the public one"),
        pytest.param("no/such", (), None, id="unknown"),
    ],
)
async def test_where_a_blob_may_come_from(
    linked: Scene, named: str | None, readable: tuple[str, ...], expected: object
) -> None:
    assert mount_source(linked.catalog, DIGEST, named=named, readable=readable) == expected


async def test_any_readable_one(scene: Scene) -> None:
    await scene.push_blob(b"blob", OTHER)
    assert mount_source(scene.catalog, DIGEST, named=None, readable=()) is None
    assert mount_source(scene.catalog, DIGEST, named=None, readable=(REPOSITORY, OTHER)) == (OTHER, 4)


async def test_how_many_are_looked_through_does_not_grow(scene: Scene) -> None:
    for n in range(MOST_LINKS_LOOKED_AT):
        await scene.push_blob(b"blob", f"private/r{n}")
    scene.make_repository("public/last", public=True)
    await scene.push_blob(b"blob", "public/last")
    assert mount_source(scene.catalog, DIGEST, named=None, readable=()) is None
    assert mount_source(scene.catalog, DIGEST, named="public/last", readable=()) == ("public/last", 4)


async def test_a_digest_alone_says_nothing(linked: Scene) -> None:
    assert linked_size(linked.catalog, REPOSITORY, DIGEST) == 4
    assert linked_size(linked.catalog, "no/such", DIGEST) is None
    assert linked_size(linked.catalog, REPOSITORY, Digest.of(b"other")) is None
