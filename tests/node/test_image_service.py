"""The image service in memory keeps the contract."""

import pytest
from tests.contracts.image_service import ImageServiceContract, PrivateImage, credential
from tests.fakes.memory_image_service import MemoryImageService, MemoryRegistry

NAME = "127.0.0.1:5000/apps/internal-app:latest"


class TestMemoryImageService(ImageServiceContract):
    @pytest.fixture
    def service(self) -> MemoryImageService:
        return MemoryImageService(MemoryRegistry({NAME: {"ashok": "s3cret"}}))

    @pytest.fixture
    def private(self) -> PrivateImage:
        return PrivateImage(
            name=NAME,
            missing="127.0.0.1:5000/apps/internal-app:nope",
            good=credential("ashok", "s3cret"),
            wrong=credential("ashok", "wrong-one"),
        )
