"""What the demo's story knows of its surroundings. The whole of it is in tests/peers/test_demo.py."""

import sys
from pathlib import Path

from sealift.cli.demo.story import own_directory


def test_the_program_is_found_by_a_shell_or_its_directory_is_named(tmp_path: Path) -> None:
    ours = Path(sys.executable).parent
    assert own_directory("/usr/bin:/bin") == str(ours)
    assert own_directory(f"/bin:{ours}") is None
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "sealift").symlink_to(ours / "sealift")
    assert own_directory(str(tmp_path / "link")) is None
    (tmp_path / "sealift").write_text("#!/bin/sh\n")
    (tmp_path / "sealift").chmod(0o755)
    assert own_directory(f"{tmp_path}:{ours}") == str(ours), "another program of that name"
