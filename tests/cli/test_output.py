import json

import pytest
import yaml

from sealift.cli.output import blob_line, human_size, print_document, print_table
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (2 << 30, "2.1 GB"),
        (999_999, "1.0 MB"),
        (10**15, "1.0 PB"),
        (10**19, "10000.0 PB"),
    ],
)
def test_sizes_are_powers_of_ten(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_a_document_carries_version_and_kind_first(
    output: str, read: object, capsys: pytest.CaptureFixture[str]
) -> None:
    print_document("Thing", {"aB": "ü", "none": None}, output)  # type: ignore[arg-type]  # json or yaml
    text = capsys.readouterr().out
    found = read(text)  # type: ignore[operator]  # a function
    assert list(found.items()) == [
        ("apiVersion", "sealift.dev/v1alpha1"),
        ("kind", "Thing"),
        ("aB", "ü"),
        ("none", None),
    ]
    assert "ü" in text


def test_a_table_stands_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "SIZE"), [("a", "1"), ("longer", "")])
    assert capsys.readouterr().out == "NAME     SIZE\na        1\nlonger\n"


def test_a_table_without_rows_has_its_headers(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME",), [])
    assert capsys.readouterr().out == "NAME\n"


def test_a_blob_has_a_line() -> None:
    digest = Digest.of(b"x")
    assert blob_line(Descriptor("t", digest, 1500), "sent") == f"sha256:{digest.encoded[:12]}  1.5 kB  sent"
