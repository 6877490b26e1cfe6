"""The fenced blocks of a page: what it tells the reader to type, and what it says comes back."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(?P<language>[a-z]*)(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Commands, and the answer that the page shows below them."""

    line: int
    """Where the commands begin in the page, from 1."""

    commands: str
    fails: bool
    """Whether the page says so (```sh fails): the last command then ends with another status than 0."""

    answer: str | None
    """Lines where ``…`` stands for anything; None where the page shows none."""


def blocks_of(page: Path) -> list[Block]:
    """Every ``sh`` block of `page`, each with the ``text`` block that follows it at once."""
    text = page.read_text()
    found: list[Block] = []
    fences = list(_FENCE.finditer(text))
    for index, fence in enumerate(fences):
        if fence["language"] != "sh":
            continue
        following = fences[index + 1] if index + 1 < len(fences) else None
        answers = following is not None and following["language"] == "text"
        answer = following["text"] if following is not None and answers else None
        line = text.count("\n", 0, fence.start()) + 2
        fails = fence["info"].strip() == "fails"
        found.append(Block(line=line, commands=fence["text"], fails=fails, answer=answer))
    return found


def answers(shown: str, expected: str) -> bool:
    """Whether what came back is what the page shows, ``…`` standing for anything, also over lines."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, shown.strip(), re.DOTALL) is not None
