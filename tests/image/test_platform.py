from dataclasses import dataclass
from typing import Any

import pytest

from sealift.image.platform import MalformedPlatform, Platform, choose


@dataclass(frozen=True)
class Entry:
    """An entry of an index, as far as choosing goes."""

    name: str
    platform: Platform | None


def entries(*names: str) -> list[Entry]:
    """Entries named by their platform as written, not normalised. ``-`` has none."""
    read = []
    for name in names:
        os, _, rest = name.partition("/")
        architecture, _, variant = rest.partition("/")
        version = None
        if "(" in os:
            os, _, version = os.rstrip(")").partition("(")
        read.append(
            Entry(name, None if name == "-" else Platform(os, architecture, variant or None, version))
        )
    return read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("linux/amd64", Platform("linux", "amd64"), id="as usual"),
        pytest.param("linux/arm64/v8", Platform("linux", "arm64"), id="arm64 is v8"),
        pytest.param("linux/arm64/8", Platform("linux", "arm64"), id="arm64 is v8 without the v"),
        pytest.param("linux/arm64/v9", Platform("linux", "arm64", "v9"), id="another variant stays"),
        pytest.param("linux/aarch64", Platform("linux", "arm64"), id="aarch64"),
        pytest.param("linux/x86_64", Platform("linux", "amd64"), id="x86_64"),
        pytest.param("linux/x86-64/v1", Platform("linux", "amd64"), id="amd64 is v1"),
        pytest.param("linux/amd64/v3", Platform("linux", "amd64", "v3"), id="amd64/v3"),
        pytest.param("linux/i386", Platform("linux", "386"), id="i386"),
        pytest.param("linux/arm", Platform("linux", "arm", "v7"), id="arm is v7"),
        pytest.param("linux/arm/6", Platform("linux", "arm", "v6"), id="arm/6"),
        pytest.param("linux/arm/hf", Platform("linux", "arm", "hf"), id="an unknown variant"),
        pytest.param("linux/armhf", Platform("linux", "arm", "v7"), id="armhf"),
        pytest.param("linux/armel", Platform("linux", "arm", "v6"), id="armel"),
        pytest.param("LINUX/AMD64", Platform("linux", "amd64"), id="upper case"),
        pytest.param("macOS/arm64", Platform("darwin", "arm64"), id="macOS"),
        pytest.param(
            "windows(10.0.20348.1)/amd64",
            Platform("windows", "amd64", None, "10.0.20348.1"),
            id="with a version",
        ),
        pytest.param("windows()/amd64", Platform("windows", "amd64"), id="with no version in the brackets"),
    ],
)
def test_parse(text: str, expected: Platform) -> None:
    assert Platform.parse(text) == expected
    assert Platform.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux",
        "linux/",
        "/amd64",
        "a/b/c/d",
        "linux/amd64/",
        "linux/am d64",
        "linux/amd64\n",
        "a/" + "b" * 300,
    ],
)
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(MalformedPlatform) as caught:
        Platform.parse(text)
    assert caught.value.hint == "write it like linux/amd64 or linux/arm64/v8"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param({"os": "linux", "architecture": "amd64"}, Platform("linux", "amd64"), id="as usual"),
        pytest.param(
            {
                "os": "windows",
                "architecture": "amd64",
                "variant": "v2",
                "os.version": "10.0.1.2",
                "os.features": ["win32k"],
            },
            Platform("windows", "amd64", "v2", "10.0.1.2", ("win32k",)),
            id="all of it",
        ),
        pytest.param({}, Platform("", ""), id="nothing"),
        pytest.param(
            {"os": "linux", "architecture": "x86_64"}, Platform("linux", "x86_64"), id="as it is written"
        ),
    ],
)
def test_from_a_document(document: dict[str, Any], expected: Platform) -> None:
    assert Platform.from_document(document) == expected


def test_to_a_document_and_back() -> None:
    platform = Platform("windows", "amd64", "v2", "10.0.1.2", ("win32k",))
    assert Platform.from_document(platform.to_document()) == platform
    assert Platform("linux", "amd64").to_document() == {"os": "linux", "architecture": "amd64"}


@pytest.mark.parametrize(
    "document",
    [
        {"os": 1},
        {"architecture": []},
        {"os.version": {}},
        {"variant": 8},
        {"os.features": "x"},
        {"os.features": [1]},
    ],
)
def test_a_document_with_a_wrong_type(document: dict[str, Any]) -> None:
    with pytest.raises(MalformedPlatform):
        Platform.from_document(document)


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        pytest.param("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64", id="the exact one"),
        pytest.param("linux/amd64", ["linux/x86_64"], "linux/x86_64", id="under another name"),
        pytest.param("linux/amd64", ["linux/amd64/v1"], "linux/amd64/v1", id="amd64 is v1"),
        pytest.param("linux/amd64", ["linux/amd64/v2"], None, id="nothing newer"),
        pytest.param("linux/amd64", ["linux/386"], "linux/386", id="amd64 also runs 386"),
        pytest.param(
            "linux/amd64/v3", ["linux/386", "linux/amd64", "linux/amd64/v2"], "linux/amd64/v2", id="newest"
        ),
        pytest.param(
            "linux/amd64/v3", ["linux/386", "linux/amd64"], "linux/amd64", id="v1 is written as nothing"
        ),
        pytest.param("linux/386", ["linux/amd64"], None, id="386 does not run amd64"),
        pytest.param("linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8", id="arm64 is v8"),
        pytest.param("linux/arm64/v8", ["linux/arm64"], "linux/arm64", id="v8 is arm64"),
        pytest.param(
            "linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", id="arm64 also runs arm"
        ),
        pytest.param(
            "linux/arm64", ["linux/arm/v8", "linux/arm/v7"], "linux/arm/v8", id="arm/v8 before arm/v7"
        ),
        pytest.param(
            "linux/arm64/v8.2", ["linux/arm64", "linux/arm64/v8.1"], "linux/arm64/v8.1", id="v8.1 on v8.2"
        ),
        pytest.param("linux/arm64/v8.2", ["linux/arm/v5", "linux/arm64"], "linux/arm64", id="v8 on v8.2"),
        pytest.param("linux/arm64/v8.2", ["linux/arm64/v8.3"], None, id="v8.3 not on v8.2"),
        pytest.param("linux/arm64/v9", ["linux/arm64/v8.5"], "linux/arm64/v8.5", id="v8.5 on v9"),
        pytest.param(
            "linux/arm64/v9", ["linux/arm64", "linux/arm64/v8.4"], "linux/arm64/v8.4", id="v8.4 on v9"
        ),
        pytest.param("linux/arm64/v9", ["linux/arm/v7", "linux/arm64"], "linux/arm64", id="v8 on v9"),
        pytest.param("linux/arm64/v9", ["linux/arm64/v8.6"], None, id="v8.6 not on v9"),
        pytest.param(
            "linux/arm64/v9.2", ["linux/arm64/v8.7", "linux/arm64/v9"], "linux/arm64/v9", id="v9 on v9.2"
        ),
        pytest.param(
            "linux/arm64/v9.2", ["linux/arm64/v9.1", "linux/arm64/v9"], "linux/arm64/v9.1", id="v9.1 first"
        ),
        pytest.param("linux/arm64/v9.2", ["linux/arm64/v8.7"], "linux/arm64/v8.7", id="v8.7 on v9.2"),
        pytest.param("linux/arm64/v9.2", ["linux/arm/v7"], "linux/arm/v7", id="arm on v9.2"),
        pytest.param("linux/arm64/v9.10", ["linux/arm64/v9.1"], None, id="no version of two digits"),
        pytest.param("linux/arm64/what", ["linux/arm64"], None, id="an unknown variant has no older ones"),
        pytest.param("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6", id="arm/v6 on v7"),
        pytest.param("linux/arm/v7", ["linux/arm"], "linux/arm", id="arm is v7"),
        pytest.param("linux/arm/v6", ["linux/arm/v7"], None, id="arm/v7 not on v6"),
        pytest.param("linux/arm/v7", ["linux/arm/v4"], None, id="nothing older than v5"),
        pytest.param("linux/riscv64", ["linux/riscv64"], "linux/riscv64", id="a processor without relatives"),
        pytest.param("linux/amd64", ["windows/amd64"], None, id="another system"),
        pytest.param("linux/amd64", ["unknown/unknown"], None, id="an attestation"),
        pytest.param("linux/amd64", ["-", "linux/386"], "linux/386", id="no platform comes last"),
        pytest.param("linux/amd64", ["linux/arm64", "-"], "-", id="no platform fits all"),
        pytest.param("linux/amd64", [], None, id="an empty index"),
        pytest.param("linux/amd64", ["linux(5.4)/amd64"], "linux(5.4)/amd64", id="Linux looks at no version"),
        pytest.param(
            "windows(10.0.17763.1)/amd64",
            ["windows(10.0.17764.1)/amd64", "windows(10.0.17763.9)/amd64"],
            "windows(10.0.17763.9)/amd64",
            id="the same build before Server 2022",
        ),
        pytest.param(
            "windows(10.0.26100.1)/amd64",
            ["windows(10.0.17763.1)/amd64", "windows(10.0.20348.1)/amd64"],
            "windows(10.0.20348.1)/amd64",
            id="back to Server 2022 after it",
        ),
        pytest.param(
            "windows(10.0.20348)/amd64", ["windows(10.0.26100)/amd64"], None, id="nothing newer than the host"
        ),
        pytest.param(
            "windows(10.0.20348)/amd64", ["windows(11.0.20348)/amd64"], None, id="another major version"
        ),
        pytest.param("windows(10.0.20348)/amd64", ["windows(what)/amd64"], None, id="a version that is none"),
        pytest.param(
            "windows(10.0.20348)/amd64", ["windows/amd64"], "windows/amd64", id="an entry without version"
        ),
        pytest.param(
            "windows/amd64", ["windows(10.0.1.1)/amd64"], "windows(10.0.1.1)/amd64", id="a host without"
        ),
    ],
)
def test_choose(wanted: str, offered: list[str], chosen: str | None) -> None:
    found = choose(entries(*offered), Platform.parse(wanted))
    assert (found.name if found else None) == chosen


def test_of_equals_the_first_is_chosen() -> None:
    first, second = Entry("first", Platform("linux", "amd64")), Entry("second", Platform("linux", "x86_64"))
    assert choose([first, second], Platform("linux", "amd64")) is first


def test_features_that_the_node_lacks_do_not_fit() -> None:
    offered = [Entry("special", Platform("windows", "amd64", os_features=("win32k",)))]
    assert choose(offered, Platform("windows", "amd64")) is None
    assert choose(offered, Platform("windows", "amd64", os_features=("more", "win32k"))) is offered[0]
