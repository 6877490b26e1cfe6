from pathlib import Path

import pytest

from sealift.client.place import (
    DockerArchivePlace,
    LayoutPlace,
    MalformedPlace,
    OciArchivePlace,
    Place,
    RegistryPlace,
    parse_place,
)
from sealift.image.reference import ImageReference, MalformedReference


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("oci:dir", LayoutPlace(Path("dir")), id="a directory"),
        pytest.param("oci:/a/dir:v1", LayoutPlace(Path("/a/dir"), "v1"), id="and a tag"),
        pytest.param("oci:/a:b/dir", LayoutPlace(Path("/a:b/dir")), id="a colon in a directory"),
        pytest.param("oci:/a:b/dir:v1", LayoutPlace(Path("/a:b/dir"), "v1"), id="the last colon counts"),
        pytest.param(
            "oci:dir:-x", LayoutPlace(Path("dir:-x")), id="what cannot be a tag is part of the name"
        ),
        pytest.param("oci-archive:a.tar", OciArchivePlace(Path("a.tar")), id="an archive"),
        pytest.param("oci-archive:a:b.tar", OciArchivePlace(Path("a:b.tar")), id="an archive with a colon"),
        pytest.param("docker-archive:a.tar", DockerArchivePlace(Path("a.tar")), id="docker save's"),
        pytest.param(
            "docker://r.io/a/b:1", RegistryPlace(ImageReference.parse("r.io/a/b:1")), id="a registry"
        ),
    ],
)
def test_a_place_is_read_as_skopeo_reads_it(text: str, place: Place) -> None:
    assert parse_place(text) == place
    assert parse_place(str(place)) == place


@pytest.mark.parametrize(
    "text",
    ["", "dir", "r.io/a:1", "oci:", "oci-archive:", "docker:r.io/a", "docker:/x", "zip:x", "oci:a\0b", "\n"],
)
def test_what_names_no_place_is_refused_with_those_that_do(text: str) -> None:
    with pytest.raises(MalformedPlace) as raised:
        parse_place(text)
    assert raised.value.exit_status == 2
    assert "oci:DIR[:TAG]" in (raised.value.why or "")


def test_an_image_name_is_read_by_its_own_rules() -> None:
    with pytest.raises(MalformedReference):
        parse_place("docker://r.io/UPPER")
