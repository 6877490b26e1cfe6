"""The pages for a person with a problem: every command in them is one, and every setting too.

Those pages whose commands a test can run from beginning to end have a test of
their own. Here all of them are read: a command that was renamed, a flag that
went away or a key that no configuration file has is found out.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sealift.cli.main import sealift
from sealift.cli.server_settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]

_FENCE = re.compile(r"^```(?P<language>[a-z]*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_ENDS = {"|", "||", "&&", "&", ";", "<", ">", ">>", "2>", "2>&1"}
"""Where a shell's command line is over, as far as the program goes."""


def blocks(page: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks of a page in one of some languages, with the line on which each begins."""
    text = page.read_text()
    for fence in _FENCE.finditer(text):
        if fence["language"] in languages:
            yield text.count("\n", 0, fence.start()) + 2, fence["text"]


def commands(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Every command line of ours in a page, without the program's name."""
    for begins, text in blocks(page, "", "sh", "console"):
        for offset, line in enumerate(text.replace("\\\n", "  ").splitlines()):
            for part in re.split(r"[|;]|&&", line.removeprefix("$ ")):
                typed = part.strip().removeprefix("kubectl ")
                if not typed.startswith("sealift "):
                    continue
                lexer = shlex.shlex(typed, posix=True, punctuation_chars="<>&()")
                lexer.whitespace_split = True
                words = list(lexer)
                end = next((n for n, word in enumerate(words) if word[0] in "<>&()"), None)
                yield begins + offset, words[1:end]


def parsed(words: list[str]) -> None:
    """Read a command line as the program would, and do nothing."""
    command: click.Command = sealift
    context = click.Context(command, info_name="sealift")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    given, left, _ = command.make_parser(context).parse_args(list(words))
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    many = any(param.nargs != 1 for param in arguments)
    named = sum(given.get(param.name or "") is not None for param in arguments)
    assert not left, f"too many arguments: {left}"
    assert many or named <= len(arguments)


def test_the_pages_are_there() -> None:
    assert len(PAGES) > 2
    assert sum(1 for page in PAGES for _ in commands(page)) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_typed(page: Path) -> None:
    for line, words in commands(page):
        try:
            parsed(words)
        except (click.UsageError, AssertionError) as wrong:
            raise AssertionError(f"{page.name}:{line}: sealift {' '.join(words)}: {wrong}") from None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_is_one(page: Path) -> None:
    known = {setting.name for setting in SETTINGS}
    for line, text in blocks(page, "toml"):
        assert set(tomllib.loads(text)) <= known, f"{page.name}:{line}"


def test_what_is_wrong_is_found() -> None:
    for words in (["gc", "--no-such-flag"], ["frob"], ["repo", "frob"], ["tags", "a", "b"]):
        with pytest.raises((click.UsageError, AssertionError)):
            parsed(words)
