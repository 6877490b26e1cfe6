"""Artifacts that are no images, with the ORAS library: pushed whole and in chunks, listed, pulled, deleted.

The library's token backend keeps the first token that it gets, which is good
for pulling: with that it pushes to no registry that tells the two apart, be it
docker-registry or ours. Its basic backend is what works.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import oras.client
import oras.oci
import pytest
from tests.peers.registries import PASSWORD, USERNAME, Registry
from tests.peers.relay import Relay, relay_to
from tests.raw_repository import OCI_MANIFEST, RawRepository, digest_of
from tests.served import basic

pytestmark = pytest.mark.peers

MODEL = "application/vnd.example.model.weights.v1"
MODEL_CONFIG = "application/vnd.example.model.config.v1+json"


@pytest.fixture
def relay(sealift: Registry) -> Iterator[Relay]:
    with relay_to(sealift) as found:
        yield found


@pytest.fixture
def client(relay: Relay) -> oras.client.OrasClient:
    """The library, with a user's name and password."""
    made = oras.client.OrasClient(hostname=relay.registry.address, insecure=True, auth_backend="basic")
    made.auth.set_basic_auth(USERNAME, PASSWORD)
    return made


@pytest.mark.parametrize("in_chunks", [False, True], ids=["whole", "in chunks"])
def test_an_artifact_goes_there_and_comes_back(
    in_chunks: bool, client: oras.client.OrasClient, relay: Relay, repository: str, tmp_path: Path
) -> None:
    weights, config = tmp_path / "weights.bin", tmp_path / "config.json"
    weights.write_bytes(bytes(range(256)) * 400)
    config.write_text('{"layers": 3}')
    name = relay.registry.image(repository)
    client.push(
        target=name,
        files=[f"{weights}:{MODEL}"],
        manifest_config=f"{config}:{MODEL_CONFIG}",
        manifest_annotations={"org.example.licence": "none"},
        disable_path_validation=True,
        do_chunked=in_chunks,
        chunk_size=30_000,
        quiet=True,
    )
    ranges = [each.headers["content-range"] for each in relay.to("/uploads/", "PATCH") if each.status == 202]
    assert ranges == (["0-29999", "30000-59999", "60000-89999", "90000-102399"] if in_chunks else [])
    manifest = client.get_manifest(name)
    assert manifest["config"]["mediaType"] == MODEL_CONFIG
    assert manifest["annotations"] == {"org.example.licence": "none"}
    assert client.get_tags(name) == ["v1"]
    (pulled,) = client.pull(target=name, outdir=str(tmp_path / "out"), allowed_media_type=[MODEL])
    assert Path(pulled).read_bytes() == weights.read_bytes()
    assert client.delete_tags(name, ["v1"]) == ["v1"]
    with pytest.raises(ValueError, match="Not Found"):
        client.get_manifest(name)


def test_what_has_a_subject_is_listed_with_it(
    client: oras.client.OrasClient, relay: Relay, repository: str, tmp_path: Path
) -> None:
    raw = RawRepository(relay.registry.address, repository, basic(USERNAME, PASSWORD))
    image = raw.push_image("an image", "v1")
    report = tmp_path / "report.json"
    report.write_text("{}")
    answer = client.push(
        target=relay.registry.image(repository, ":report"),
        files=[f"{report}:application/vnd.example.report+json"],
        subject=oras.oci.Subject(image["mediaType"], image["digest"], image["size"]),
        disable_path_validation=True,
        quiet=True,
    )
    assert answer.headers["OCI-Subject"] == image["digest"]
    kept = raw.get("report")
    assert raw.referrers(image["digest"]) == [digest_of(kept.body)]
    assert (kept.headers["content-type"], json.loads(kept.body)["subject"]) == (OCI_MANIFEST, image)
