"""The manual of findings."""

import re
from pathlib import Path

from sealift.kubernetes.explain.findings import PAGE_BY_CODE, PAGES, manual


def test_codes_are_unique_and_in_order() -> None:
    codes = [page.code for page in PAGES]
    assert codes == sorted(set(codes))
    assert all(re.fullmatch("SL[1-4][0-9]{2}", code) for code in codes)


def test_a_page_reads_well_on_a_terminal() -> None:
    for page in PAGES:
        text = page.text()
        assert text.startswith(f"{page.code}: {page.title}\n\n")
        assert "\n\nWhat to do\n\n" in text
        assert text.endswith("\n")
        assert max(len(line) for line in text.splitlines()) <= 88


def test_the_manual_is_up_to_date() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "findings.md"
    assert page.read_text() == manual(), "run .venv/bin/python scripts/make-reference"
    assert all(f"## {code}: " in manual() for code in PAGE_BY_CODE)
