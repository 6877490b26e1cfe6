"""Tar files by place: what is found, what is not, and what is refused. Security table row 23."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.world import gathered, names_in, parts

from sealift.client.errors import LocalMalformed, LocalNotFound
from sealift.client.partial_file import PartialFile
from sealift.client.tar_file import MAX_EXTENSION, TarFile, TarWriter

Build = Callable[[tarfile.TarFile], None]


def written(path: Path, build: Build, tar_format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=tar_format) as tar:
        build(tar)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"content", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content) if "type" not in fields else 0
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(content) if member.size else None)


async def content_of(tar: TarFile, name: str) -> bytes | None:
    member = tar.find(name)
    return None if member is None else await gathered(tar.read(member))


LONG = "d/" * 80 + "name"


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        pytest.param("a", "a", id="plain"),
        pytest.param("./a", "a", id="with a dot"),
        pytest.param("blobs/sha256/" + "0" * 64, "blobs/sha256/" + "0" * 64, id="a blob"),
        pytest.param(LONG, LONG, id="long"),
    ],
)
async def test_a_member_is_found(stored: str, asked: str, tar_format: int, tmp_path: Path) -> None:
    def build(tar: tarfile.TarFile) -> None:
        add(tar, "before", b"x" * 1000)
        add(tar, stored)
        add(tar, "after", b"y" * 513)

    tar = await TarFile.open(written(tmp_path / "t", build, tar_format))
    assert await content_of(tar, asked) == b"content"
    assert await content_of(tar, "after") == b"y" * 513


async def test_unicode_names_are_names(tmp_path: Path) -> None:
    tar = await TarFile.open(written(tmp_path / "t", lambda tar: add(tar, "ünïcode✓" * 20)))
    assert await content_of(tar, "ünïcode✓" * 20) == b"content"


async def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    def build(tar: tarfile.TarFile) -> None:
        add(tar, "a", b"first")
        add(tar, "a", b"second")

    assert await content_of(await TarFile.open(written(tmp_path / "t", build)), "a") == b"second"


@pytest.mark.parametrize(
    ("name", "target", "kind", "found"),
    [
        pytest.param("x/layer.tar", "../y/layer.tar", tarfile.SYMTYPE, True, id="as docker save wrote them"),
        pytest.param("l", "y/layer.tar", tarfile.LNKTYPE, True, id="a hard link"),
        pytest.param("l", "../../etc/passwd", tarfile.SYMTYPE, False, id="out of the archive"),
        pytest.param("l", "/etc/passwd", tarfile.SYMTYPE, False, id="absolute"),
        pytest.param("l", "/etc/passwd", tarfile.LNKTYPE, False, id="a hard link to the machine's files"),
        pytest.param("l", "l", tarfile.SYMTYPE, False, id="to itself"),
        pytest.param("l", "nothing", tarfile.SYMTYPE, False, id="to nothing"),
    ],
)
async def test_links_are_followed_inside_the_archive_only(
    name: str, target: str, kind: bytes, found: bool, tmp_path: Path
) -> None:
    def build(tar: tarfile.TarFile) -> None:
        add(tar, "y/layer.tar")
        add(tar, name, type=kind, linkname=target)

    tar = await TarFile.open(written(tmp_path / "t", build))
    assert await content_of(tar, name) == (b"content" if found else None)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", ".."])
async def test_a_name_that_leads_out_is_nobodys(name: str, tmp_path: Path) -> None:
    """Nothing is extracted, so nothing can be overwritten; and what is asked for is never such a name."""
    tar = await TarFile.open(written(tmp_path / "t", lambda tar: add(tar, name)))
    for asked in (name, "evil", "etc/evil"):
        assert await content_of(tar, asked) is None
    assert names_in(tmp_path) == ["t"]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
async def test_devices_and_directories_are_no_content(kind: bytes, tmp_path: Path) -> None:
    tar = await TarFile.open(written(tmp_path / "t", lambda tar: add(tar, "d", type=kind)))
    assert tar.find("d") is None


def header(size_field: bytes, kind: bytes = b"0") -> bytes:
    """A header with a size field of its own."""
    data = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    data[124:136] = size_field
    data[156:157] = kind
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"no tar at all" * 100, "it is no tar file", id="something else"),
        pytest.param(b"short", "it is no tar file", id="too short"),
        pytest.param(b"\x1f\x8b\x08" + b"\0" * 600, "it is compressed with gzip", id="gzip"),
        pytest.param(b"\x28\xb5\x2f\xfd" + b"\0" * 600, "it is compressed with zstd", id="zstd"),
        pytest.param(header(b"00000010000\0"), "it holds a size that cannot be", id="longer than the file"),
        pytest.param(
            header(b"00000000777\0") + b"x" * 100, "it ends in the middle of a member", id="cut off"
        ),
        pytest.param(
            header(b"\x80" + b"\xff" * 11),
            "it holds a size that cannot be",
            id="a size of base 256 without end",
        ),
        pytest.param(header(b"\xff" * 12), "it holds a size that cannot be", id="a negative size"),
        pytest.param(
            header(b"99999999999\0"), "it holds a size that cannot be", id="a size that is no number"
        ),
        pytest.param(
            header(b"00000000000\0") + b"x" * 512, "it is damaged", id="rubbish after the first member"
        ),
        pytest.param(
            header(b"%011o\0" % (MAX_EXTENSION + 1), b"x") + b"x" * (MAX_EXTENSION + 1024),
            f"it holds a header of more than {MAX_EXTENSION} bytes",
            id="a pax header that would fill the memory",
        ),
    ],
)
async def test_what_is_no_archive_is_refused_with_its_reason(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(data)
    with pytest.raises(LocalMalformed) as raised:
        await TarFile.open(path)
    assert raised.value.why == why
    assert raised.value.exit_status == 2


async def test_an_archive_that_is_missing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(LocalNotFound):
        await TarFile.open(tmp_path / "t")


async def test_an_empty_file_is_an_empty_archive(tmp_path: Path) -> None:
    (tmp_path / "t").touch()
    assert (await TarFile.open(tmp_path / "t")).find("a") is None


async def test_a_small_member_has_a_limit(tmp_path: Path) -> None:
    tar = await TarFile.open(written(tmp_path / "t", lambda tar: add(tar, "a")))
    assert await tar.read_small("a", 7) == b"content"
    assert await tar.read_small("b", 7) is None
    with pytest.raises(LocalMalformed):
        await tar.read_small("a", 6)


async def test_what_is_written_others_can_read(tmp_path: Path) -> None:
    async with PartialFile(tmp_path / "t") as file:
        writer = TarWriter(file)
        await writer.add("blobs/" + "x" * 150, 6, parts(b"abc", b"def"))
        await writer.add_bytes("index.json", b"{}")
        assert not (tmp_path / "t").exists()
        await writer.finish()
    with tarfile.open(tmp_path / "t") as tar:
        assert {each.name: tar.extractfile(each).read() for each in tar} == {  # type: ignore[union-attr]  # both are files
            "blobs/" + "x" * 150: b"abcdef",
            "index.json": b"{}",
        }
    ours = await TarFile.open(tmp_path / "t")
    assert await content_of(ours, "index.json") == b"{}"


async def test_content_of_another_length_than_announced_is_refused(tmp_path: Path) -> None:
    async with PartialFile(tmp_path / "t") as file:
        with pytest.raises(ValueError, match="not as long"):
            await TarWriter(file).add("a", 5, parts(b"abc"))
    assert names_in(tmp_path) == []
