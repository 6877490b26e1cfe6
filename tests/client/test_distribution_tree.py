"""The file tree of a registry: what is read out of it, and what is refused."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.client.images import sample_image, sample_index
from tests.client.trees import Tree
from tests.client.world import blob_of, gathered

from sealift.client.distribution_tree import DistributionTree, find_tree
from sealift.client.errors import ContentMismatch, LocalMalformed, LocalNotFound, UnusableManifest
from sealift.client.holdings import Gap
from sealift.image.digest import Digest

_Found = TypeVar("_Found")

SAMPLE = sample_image()
DIGEST = SAMPLE.root.digest
LAYER = SAMPLE.root.layers[0]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One image as ``apps/web:v1``."""
    made = Tree(tmp_path / "root")
    made.keep("apps/web", SAMPLE, "v1")
    return made


async def everything(found: AsyncIterator[_Found | Gap]) -> tuple[list[_Found], list[Gap]]:
    """What was found, and what could not be read."""
    all_of_it = [each async for each in found]
    return (
        [each for each in all_of_it if not isinstance(each, Gap)],
        [each for each in all_of_it if isinstance(each, Gap)],
    )


def every(_: str) -> bool:
    return True


@pytest.mark.parametrize(
    "level", ["", "docker", "docker/registry", "docker/registry/v2", "docker/registry/v2/repositories"]
)
def test_a_tree_is_found_from_each_of_its_levels(tree: Tree, level: str) -> None:
    assert find_tree(tree.root / level) == tree.inner.resolve()


def test_another_directory_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(LocalMalformed, match="not the file tree of a registry"):
        find_tree(tmp_path / "other")
    with pytest.raises(LocalNotFound):
        find_tree(tmp_path / "absent")


async def test_repositories_are_found_at_every_depth_and_only_those_that_are_wanted(tree: Tree) -> None:
    for name in ("apps", "apps/web/deep/er", "tools/a"):
        tree.keep(name, SAMPLE, "v1")
    (tree.inner / "repositories" / "empty" / "nothing").mkdir(parents=True)
    found, gaps = await everything(DistributionTree(tree.root).repositories(every))
    assert (sorted(found), gaps) == (["apps", "apps/web", "apps/web/deep/er", "tools/a"], [])
    found, _ = await everything(DistributionTree(tree.root).repositories(lambda name: name == "tools/a"))
    assert found == ["tools/a"]


async def test_an_image_comes_out_as_it_went_in(tree: Tree) -> None:
    source = DistributionTree(tree.root)
    assert await everything(source.tags("apps/web")) == (["v1"], [])
    assert await source.digest_of("apps/web", "v1") == DIGEST
    assert await everything(source.revisions("apps/web")) == ([DIGEST], [])
    assert (await source.manifest("apps/web", DIGEST)) == SAMPLE.root
    assert await source.has_blob("apps/web", LAYER)
    assert await gathered(source.blob("apps/web", LAYER)) == SAMPLE.blobs[LAYER.digest]


async def test_digests_of_sha512_are_read(tree: Tree) -> None:
    digest = tree.keep("apps/strong", sample_index(), "v1", algorithm="sha512")
    source = DistributionTree(tree.root)
    revisions, gaps = await everything(source.revisions("apps/strong"))
    assert (digest in revisions, len(revisions), gaps) == (True, 3, [])
    assert await source.digest_of("apps/strong", "v1") == digest
    assert (await source.manifest("apps/strong", digest)).is_index


BAD_LINKS: dict[str, tuple[bytes, str]] = {
    "empty (distribution#4489)": (b"", "empty"),
    "white space": (b" \n", "empty"),
    "too long": (b"sha256:" + b"a" * 1000, "more than 256 bytes"),
    "cut off": (b"sha256:abcd", "no digest"),
    "a path": (b"../../../../etc/passwd", "no digest"),
    "a digest with a path": (f"sha256:{'a' * 58}/../..".encode(), "no digest"),
    "no ASCII": (b"sha256:\xff\xfe", "no digest"),
}


@pytest.mark.parametrize("case", BAD_LINKS)
async def test_row_24_a_link_file_holds_a_digest_or_is_refused(tree: Tree, case: str) -> None:
    data, why = BAD_LINKS[case]
    tree.tag("apps/web", "v1").write_bytes(data)
    tree.revision("apps/web", DIGEST).write_bytes(data)
    source = DistributionTree(tree.root)
    with pytest.raises(LocalMalformed) as raised:
        await source.digest_of("apps/web", "v1")
    assert why in (raised.value.why or "")
    revisions, gaps = await everything(source.revisions("apps/web"))
    assert (revisions, [gap.place for gap in gaps]) == ([], [str(DIGEST)])
    with pytest.raises(LocalMalformed):
        await source.manifest("apps/web", DIGEST)


async def test_a_link_stands_at_the_place_of_what_it_names(tree: Tree) -> None:
    other = tree.manifest("apps/other", sample_image(content=b"other").root)
    tree.revision("apps/web", DIGEST).write_text(str(other))
    with pytest.raises(LocalMalformed) as raised:
        await DistributionTree(tree.root).manifest("apps/web", DIGEST)
    assert str(other) in (raised.value.why or "")


async def test_what_was_deleted_stays_deleted(tree: Tree) -> None:
    tree.revision("apps/web", DIGEST).unlink()
    source = DistributionTree(tree.root)
    assert await everything(source.revisions("apps/web")) == ([], [])
    with pytest.raises(LocalNotFound) as raised:
        await source.manifest("apps/web", DIGEST)
    assert "deleted" in (raised.value.why or "")


async def test_a_repository_has_only_the_blobs_that_it_links_to(tree: Tree) -> None:
    secret = b"another team's"
    tree.blob("team/private", Digest.of(secret), secret)
    source = DistributionTree(tree.root)
    assert await source.has_blob("team/private", blob_of(secret))
    assert not await source.has_blob("apps/web", blob_of(secret))
    with pytest.raises(LocalNotFound):
        await gathered(source.blob("apps/web", blob_of(secret)))


async def test_damage_is_found(tree: Tree) -> None:
    source = DistributionTree(tree.root)
    tree.data(LAYER.digest).write_bytes(b"x" * LAYER.size)
    with pytest.raises(ContentMismatch):
        await gathered(source.blob("apps/web", LAYER))
    tree.data(LAYER.digest).write_bytes(SAMPLE.blobs[LAYER.digest][:-1])
    assert not await source.has_blob("apps/web", LAYER)
    with pytest.raises(ContentMismatch):
        await gathered(source.blob("apps/web", LAYER))
    tree.data(DIGEST).write_bytes(SAMPLE.root.body + b" ")
    with pytest.raises(ContentMismatch):
        await source.manifest("apps/web", DIGEST)
    tree.data(DIGEST).unlink()
    with pytest.raises(LocalNotFound):
        await source.manifest("apps/web", DIGEST)


async def test_a_manifest_of_schema_1_is_named_as_such(tree: Tree) -> None:
    body = b'{"schemaVersion": 1, "name": "apps/old", "tag": "v1", "fsLayers": []}'
    digest = Digest.of(body)
    tree.write(tree.data(digest), body)
    tree.write(tree.revision("apps/old", digest), str(digest).encode())
    with pytest.raises(UnusableManifest) as raised:
        await DistributionTree(tree.root).manifest("apps/old", digest)
    assert "schema 1" in (raised.value.why or "")


def _link_out(path: Path, target: Path) -> None:
    path.unlink()
    path.symlink_to(target)


async def test_row_24_a_symbolic_link_out_of_the_tree_is_not_followed(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SAMPLE.blobs[LAYER.digest])
    _link_out(tree.data(LAYER.digest), outside)
    source = DistributionTree(tree.root)
    assert not await source.has_blob("apps/web", LAYER)
    with pytest.raises(LocalMalformed) as raised:
        await gathered(source.blob("apps/web", LAYER))
    assert "out of the tree" in (raised.value.why or "")
    outside.write_text(str(DIGEST))
    _link_out(tree.tag("apps/web", "v1"), outside)
    with pytest.raises(LocalMalformed):
        await source.digest_of("apps/web", "v1")


async def test_row_24_directories_that_are_symbolic_links_are_reported(tree: Tree, tmp_path: Path) -> None:
    tree.keep("apps/real", SAMPLE, "v1")
    (tree.inner / "repositories" / "loop").symlink_to(tree.inner / "repositories")
    (tree.repository("apps/real") / "_manifests" / "tags" / "v2").symlink_to(tmp_path)
    source = DistributionTree(tree.root)
    found, gaps = await everything(source.repositories(every))
    assert (sorted(found), [gap.place for gap in gaps]) == (["apps/real", "apps/web"], ["loop"])
    tags, gaps = await everything(source.tags("apps/real"))
    assert (tags, [gap.place for gap in gaps]) == (["v1"], ["v2"])


async def test_a_tree_whose_blobs_were_moved_within_it_is_read(tree: Tree) -> None:
    (tree.inner / "blobs").rename(tree.inner / "moved")
    (tree.inner / "blobs").symlink_to("moved")
    source = DistributionTree(tree.root)
    assert await gathered(source.blob("apps/web", LAYER)) == SAMPLE.blobs[LAYER.digest]


MAKE_STRANGE: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a directory": os.mkdir,
}


@pytest.mark.parametrize("case", MAKE_STRANGE)
async def test_only_regular_files_are_read(tree: Tree, case: str) -> None:
    path = tree.data(LAYER.digest)
    path.unlink()
    MAKE_STRANGE[case](path)
    with pytest.raises(Exception, match="cannot read") as raised:
        await gathered(DistributionTree(tree.root).blob("apps/web", LAYER))
    assert getattr(raised.value, "exit_status", None) in {2, 8}


async def test_names_that_break_the_grammar_are_reported_and_made_safe_to_print(tree: Tree) -> None:
    (tree.inner / "repositories" / "UPPER").mkdir()
    (tree.inner / "repositories" / "b\x1b[2J").mkdir()
    (tree.repository("apps/web") / "_manifests" / "tags" / "-v").mkdir()
    (tree.repository("apps/web") / "_manifests" / "revisions" / "md5" / "ab").mkdir(parents=True)
    source = DistributionTree(tree.root)
    found, gaps = await everything(source.repositories(every))
    assert (found, sorted(gap.place for gap in gaps)) == (["apps/web"], ["UPPER", "b\\x1b[2J"])
    assert "\x1b" not in "".join(str(gap.error) for gap in gaps)
    assert [gap.place for gap in (await everything(source.tags("apps/web")))[1]] == ["-v"]
    assert [gap.place for gap in (await everything(source.revisions("apps/web")))[1]] == ["md5:ab"]


async def test_a_tag_without_a_link_stands_for_nothing(tree: Tree) -> None:
    tree.tag("apps/web", "v1").unlink()
    with pytest.raises(LocalNotFound):
        await DistributionTree(tree.root).digest_of("apps/web", "v1")


async def test_a_tag_whose_link_is_empty_is_told_with_what_it_stood_for(tree: Tree) -> None:
    link = tree.tag("apps/web", "v1")
    link.write_bytes(b"")
    tree.write(link.parents[1] / "index" / "sha256" / DIGEST.encoded / "link", str(DIGEST).encode())
    with pytest.raises(LocalMalformed) as raised:
        await DistributionTree(tree.root).digest_of("apps/web", "v1")
    assert f"it stood for {DIGEST}" in (raised.value.hint or "")
