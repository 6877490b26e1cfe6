"""Our reading of manifests against that of kubectl, which decodes and prints without a cluster."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from sealift.kubernetes.manifests import UnreadableManifest, read_documents

pytestmark = pytest.mark.peers

KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"
_HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"


def _integer(digits: str) -> int | float:
    """Past 64 bits kubectl holds a float and prints its digits."""
    return int(digits) if abs(int(digits)) < 1 << 63 else float(digits)


def kubectl_reads(text: bytes, folder: Path) -> list[Any] | None:
    """What kubectl decodes, or None where it refuses. Its own label is taken off again."""
    file = folder / "manifest.yaml"
    file.write_bytes(text)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(folder / "none")}
    ran = subprocess.run(
        [KUBECTL, "label", "--local", "-f", file, "x=y", "-o", "json"],
        env=environment,
        capture_output=True,
        check=False,
        timeout=30,
    )
    if ran.returncode:
        return None
    decoder = json.JSONDecoder(parse_int=_integer)
    printed = ran.stdout.decode()
    documents = []
    at = 0
    while at < len(printed):
        document, at = decoder.raw_decode(printed, at)
        at += 1
        del document["metadata"]["labels"]
        documents.append(document)
    return documents


_SCALARS = [
    "2001-01-01", "2001-01-01T10:00:00Z", "0o7", "0O17", "07", "08", "1_000", "0x1F", "0X1f", "1e3", "~",
    "=", "1:30", "0b11", "-0b11", "0B1", ".5", "+1", "-1", "+.5", "1.", "-0x10", "12345678901234567890",
    "1e400", "0_7", "1__0", "0x_1", "_1", ".e1", "1_", "1e", "1e+3", "NULL", ".5_0", "yes", "Yes", "yEs",
    "on", "y", "n", "N", "off", "FALSE", "tRue", "''", '"yes"', "!!str 5", '!!int "5"', "!!float 1",
    "!foo bar", "! 5", "!!binary aGk=", "a b", "a#b", "a # b", "*/5", "00", "0", "-0", "0.0", "1.5e-7",
    "1e21", "100000000000000000000000", "é", "'it''s'", '"\\u00e9\\x41"', "nan", "inf", "-", "0x", "0o8",
    "+", "..", "1.2.3", "!!bool yes", "!!null ''", "<<", "123abc", "1e1000000",
]  # fmt: skip


@pytest.mark.parametrize("scalar", _SCALARS)
def test_a_scalar_means_the_same(scalar: str, tmp_path: Path) -> None:
    same(f"{_HEAD}spec:\n  key: {scalar}\n".encode(), tmp_path)


def same(text: bytes, folder: Path) -> None:
    theirs = kubectl_reads(text, folder)
    try:
        ours: list[Any] | None = [document.root.plain() for document in read_documents(text, "f")]
    except UnreadableManifest:
        ours = None
    assert ours == theirs


_DOCUMENTS = {
    "several": f"{_HEAD}---\n# nothing\n---\n{_HEAD}--- # a comment\n{_HEAD}",
    "null": f"null\n---\n{_HEAD}",
    "BOM": f"\ufeff{_HEAD}",
    "CRLF": _HEAD.replace("\n", "\r\n"),
    "duplicate key": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  name: b\n",
    "merge before": f"{_HEAD}base: &b {{k: 1}}\nspec: {{k: 3, <<: *b}}\n",
    "merge after": f"{_HEAD}base: &b {{k: 1}}\nspec: {{<<: *b, k: 3}}\n",
    "merge of two": f"{_HEAD}base: &b {{k: 1}}\nc: &c {{k: 2, m: 2}}\nspec: {{<<: [*b, *c]}}\n",
    "merge of text": f"{_HEAD}spec: {{<<: 5}}\n",
    "quoted merge": f'{_HEAD}spec: {{"<<": {{a: 1}}}}\n',
    "aliases": f"{_HEAD}spec: {{a: &x [1, {{b: c}}], d: *x}}\n",
    "alias to nothing": f"{_HEAD}spec: *x\n",
    "alias to itself": f"{_HEAD}spec: &a [*a]\n",
    "anchor of another document": f"{_HEAD}spec: &a 1\n---\n{_HEAD}spec: *a\n",
    "tab": "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n",
    "keys that are no text": f"{_HEAD}spec: {{1: a, true: b, 1.5: c, ? x : d}}\n",
    "block scalars": f"{_HEAD}spec:\n  a: |\n    x\n    y\n  b: >-\n    x\n    y\n  c: |+\n    x\n\n",
    "JSON": '{\n\t"apiVersion": "v1", "kind":"Pod","metadata":{"name":"a"}\n}',
    "JSON, two": '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}\n' * 2,
    "JSON, pair of surrogates": r'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\ud83d\ude00\/"}}',
    "control character": f"{_HEAD}spec: {{a: '\x01'}}\n",
    "unclosed": f"{_HEAD}spec: {{a: [1, 2\n",
    "unbalanced": f"{_HEAD}spec: a: b\n",
}  # fmt: skip


@pytest.mark.parametrize("name", _DOCUMENTS)
def test_a_file_means_the_same(name: str, tmp_path: Path) -> None:
    same(_DOCUMENTS[name].encode(), tmp_path)
