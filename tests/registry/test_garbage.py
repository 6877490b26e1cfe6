import pytest
from tests.registry.scene import REPOSITORY, Scene, call, upload_id_of

from sealift.registry.catalog.uploads import all_uploads
from sealift.registry.garbage import Swept, sweep_uploads

DAY = 24 * 3600


async def started(scene: Scene) -> str:
    return upload_id_of(await scene.uploads.start(call("POST", name=REPOSITORY)))


async def sweep(scene: Scene) -> Swept:
    return await sweep_uploads(scene.catalog, scene.store, scene.limits, orphans_older_than_seconds=-1)


async def test_idle_uploads_end_and_the_others_stay(scene: Scene) -> None:
    idle, added_to = await started(scene), await started(scene)
    scene.clock.pass_seconds(DAY - 10)
    await scene.uploads.send_chunk(call("PATCH", name=REPOSITORY, upload_id=added_to, body=b"x"))
    young = await started(scene)
    scene.clock.pass_seconds(11)
    assert await sweep(scene) == Swept(ended=(idle,), removed=())
    assert all_uploads(scene.catalog) == {added_to, young}
    assert [await scene.store.upload_size(each) for each in (idle, added_to, young)] == [None, 1, 0]
    assert await sweep(scene) == Swept(ended=(), removed=())


async def test_bytes_that_no_upload_owns_go(scene: Scene) -> None:
    mine = await started(scene)
    await scene.store.begin_upload("0-0")
    assert await sweep(scene) == Swept(ended=(), removed=("0-0",))
    assert await scene.store.upload_size(mine) == 0


async def test_an_upload_without_bytes_ends(scene: Scene) -> None:
    lost = await started(scene)
    async with scene.store.hold_upload(lost) as staged:
        await staged.discard()
    scene.clock.pass_seconds(DAY + 1)
    assert await sweep(scene) == Swept(ended=(lost,), removed=())
    assert all_uploads(scene.catalog) == frozenset()


@pytest.mark.parametrize("idle", [False, True], ids=["a new one", "an idle one"])
async def test_an_upload_that_a_request_has_stays(scene: Scene, idle: bool) -> None:
    upload_id = await started(scene)
    scene.clock.pass_seconds(DAY + 1 if idle else 0)
    async with scene.store.hold_upload(upload_id):
        assert await sweep(scene) == Swept(ended=(), removed=())
    assert all_uploads(scene.catalog) == {upload_id}
