"""Scenes: the registry's handlers over both stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.registry.scene import Scene, open_scene


@pytest.fixture(params=["files", "memory"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A registry without its door, over each kind of store."""
    with open_scene(tmp_path / "data", memory=request.param == "memory") as opened:
        yield opened
