import pytest

from sealift.image import docker_hub


@pytest.mark.parametrize(
    ("registry", "dialled", "key"),
    [
        pytest.param(
            "docker.io", "registry-1.docker.io", "https://index.docker.io/v1/", id="as in references"
        ),
        pytest.param(
            "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/", id="as in old ones"
        ),
        pytest.param(
            "registry-1.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/", id="as dialled"
        ),
        pytest.param(
            "docker.io:443", "docker.io:443", "docker.io:443", id="R-REF-14 with a port it is not Hub"
        ),
        pytest.param("Docker.io", "Docker.io", "Docker.io", id="R-REF-14 in another case neither"),
        pytest.param("quay.io", "quay.io", "quay.io", id="another registry"),
    ],
)
def test_the_names_of_docker_hub(registry: str, dialled: str, key: str) -> None:
    assert (docker_hub.dial_host(registry), docker_hub.credential_key(registry)) == (dialled, key)
