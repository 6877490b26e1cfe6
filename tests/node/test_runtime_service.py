"""The runtime in memory keeps the contract."""

from pathlib import Path

import pytest
from tests.contracts.runtime_service import RuntimeServiceContract
from tests.fakes.memory_runtime import MemoryRuntime, Program

IMAGE_ID = "sha256:app"


class TestMemoryRuntime(RuntimeServiceContract):
    @pytest.fixture
    def runtime(self) -> MemoryRuntime:
        return MemoryRuntime(programs={IMAGE_ID: [Program()]})

    @pytest.fixture
    def image_id(self) -> str:
        return IMAGE_ID

    @pytest.fixture
    def log_directory(self, tmp_path: Path) -> Path:
        return tmp_path
