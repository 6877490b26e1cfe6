"""Our registry in the place of another: containerd is sent here by a hosts.toml, and says whom it meant."""

from pathlib import Path

import pytest
from tests.peers.clients import Skopeo
from tests.peers.ground import Enclosure
from tests.peers.images import sample_index
from tests.peers.programs import require_program
from tests.peers.registries import PASSWORD, USERNAME, Registry
from tests.peers.relay import relay_to

pytestmark = pytest.mark.peers


def test_containerd_takes_from_us_what_it_would_take_from_docker_hub(
    skopeo: Skopeo, enclosed: Enclosure, containerd_socket: Path, sealift: Registry, repository: str
) -> None:
    image = sample_index(skopeo.directory / "image")
    skopeo.log_in(sealift).checked()
    skopeo.push(image, sealift.image(repository)).checked()
    with relay_to(sealift) as relay:
        hosts = skopeo.directory / "certs.d" / "docker.io"
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(
            'server = "https://unreachable.invalid"\n'
            f'[host."http://{relay.registry.address}"]\n  capabilities = ["pull", "resolve"]\n'
        )
        ctr = (require_program("ctr"), "--address", str(containerd_socket), "--namespace", "mirror")
        name = f"docker.io/{repository}:v1"
        enclosed.run(
            *(*ctr, "images", "pull", "--hosts-dir", str(hosts.parent)),
            *("--user", f"{USERNAME}:{PASSWORD}", "--snapshotter", "native", name),
        ).checked()
        listed = enclosed.run(*ctr, "images", "list", f"name=={name}").checked().out
    assert image.digest in listed
    answered = [each for each in relay.to(f"/v2/{repository}/") if each.status != 401]
    assert {each.status for each in answered} == {200}
    assert {each.target.partition("?")[2] for each in answered} == {"ns=docker.io"}  # R-OCI-34
