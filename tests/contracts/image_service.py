"""What every `ImageService` does. A test file of an implementation derives from the class below.

The implementation is given a registry with one private image, for which one
account has the right, and no image of it on the machine.
"""

from dataclasses import dataclass

import pytest

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.node.errors import RuntimeRefused
from sealift.node.image_service import ImageService

SOURCE = Source(kind="Secret", namespace="default", name="regcred")


def credential(username: str, password: str) -> Credential:
    return Credential(username=username, password=SecretText(password), source=SOURCE, key="127.0.0.1")


@dataclass(frozen=True, slots=True)
class PrivateImage:
    """An image that is in a registry, and who may have it."""

    name: str
    """With a tag."""

    missing: str
    """Another tag of the same repository, which is not there."""

    good: Credential
    wrong: Credential


class ImageServiceContract:
    """Derive, and give the two fixtures `service` and `private`."""

    async def test_an_absent_image_has_no_status(self, service: ImageService, private: PrivateImage) -> None:
        assert await service.status(private.name) is None

    @pytest.mark.parametrize("kind", ["none", "empty", "wrong"])
    async def test_who_may_not_have_it_does_not_get_it(
        self, service: ImageService, private: PrivateImage, kind: str
    ) -> None:
        given = {"none": None, "empty": credential("", ""), "wrong": private.wrong}[kind]
        with pytest.raises(RuntimeRefused) as caught:
            await service.pull(private.name, given)
        assert (caught.value.call, caught.value.code) == ("PullImage", "Unknown")
        assert private.name in caught.value.description
        assert private.good.password.reveal() not in caught.value.description
        assert private.wrong.password.reveal() not in caught.value.description
        assert await service.status(private.name) is None

    async def test_who_may_have_it_gets_it(self, service: ImageService, private: PrivateImage) -> None:
        image_id = await service.pull(private.name, private.good)
        by_name, by_id = await service.status(private.name), await service.status(image_id)
        assert by_name is not None
        assert by_name == by_id
        assert by_name.id == image_id
        assert image_id.startswith("sha256:")
        assert private.name in by_name.names
        assert by_name.size > 0
        assert by_name in await service.images()

    async def test_pulling_asks_the_registry_each_time(
        self, service: ImageService, private: PrivateImage
    ) -> None:
        image_id = await service.pull(private.name, private.good)
        with pytest.raises(RuntimeRefused):
            await service.pull(private.name, None)
        assert await service.pull(private.name, private.good) == image_id

    async def test_a_missing_tag_is_not_found(self, service: ImageService, private: PrivateImage) -> None:
        with pytest.raises(RuntimeRefused) as caught:
            await service.pull(private.missing, private.good)
        assert caught.value.code == "NotFound"
        assert caught.value.description.endswith(f"{private.missing}: not found")

    async def test_a_credential_that_is_no_text_fails_before_it_leaves(
        self, service: ImageService, private: PrivateImage
    ) -> None:
        with pytest.raises(RuntimeRefused) as caught:
            await service.pull(private.name, credential("ashok", "\udcff"))
        assert caught.value.code == "Internal"

    async def test_a_removed_image_is_gone(self, service: ImageService, private: PrivateImage) -> None:
        image_id = await service.pull(private.name, private.good)
        await service.remove(private.name)
        await service.remove(private.name)
        assert await service.status(private.name) is None
        assert await service.status(image_id) is None
        assert image_id not in {image.id for image in await service.images()}
