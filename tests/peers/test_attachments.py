"""``sealift copy --referrers``, between registries that list referrers and registries that do not."""

import json
from pathlib import Path

import pytest
from tests.peers.attached import Attached, push_attached
from tests.peers.clients import Clients, Sealift
from tests.peers.registries import PASSWORD, USERNAME, Registry
from tests.raw_repository import RawRepository
from tests.served import basic

pytestmark = pytest.mark.peers


def raw(registry: Registry, name: str) -> RawRepository:
    return RawRepository(registry.address, name, basic(USERNAME, PASSWORD))


@pytest.fixture
def ours(
    clients: Clients,
    sealift: Registry,
    other_sealift: Registry,
    registry_with_passwords: Registry,
    tmp_path: Path,
) -> Sealift:
    """Our client, with a credential for all three registries."""
    made = clients.make("sealift", tmp_path)
    assert isinstance(made, Sealift)
    auth = {"auth": basic(USERNAME, PASSWORD).removeprefix("Basic ")}
    registries = (sealift, other_sealift, registry_with_passwords)
    made.credentials.write_text(json.dumps({"auths": {each.address: auth for each in registries}}))
    return made


def check_all_there(repository: RawRepository, attached: Attached) -> None:
    """The image and everything that belongs to it, byte for byte (a digest is over the bytes)."""
    for digest in {attached.index["digest"], *attached.digests}:
        assert repository.get(digest).status == 200, digest
    for tag, wanted in attached.tags.items():
        assert repository.get(tag).headers["docker-content-digest"] == wanted["digest"]


def listed(repository: RawRepository, subject: str) -> set[str]:
    """What is under the tag that clients keep for registries without a list of their own."""
    found = repository.get(subject.replace(":", "-"))
    assert found.status == 200, found
    return {each["digest"] for each in json.loads(found.body)["manifests"]}


def wanted_lists(attached: Attached) -> dict[str, set[str]]:
    """Subject → what refers to it."""
    kinds = {kind: each["digest"] for kind, each in attached.referring.items()}
    return {
        attached.index["digest"]: {kinds["signature"], kinds["bundle"]},
        attached.platform["digest"]: {kinds["sbom"]},
        kinds["sbom"]: {kinds["signature of the sbom"]},
    }


def test_between_two_of_ours_all_of_it_comes_along(
    ours: Sealift, sealift: Registry, other_sealift: Registry, repository: str
) -> None:
    attached = push_attached(raw(sealift, repository))
    source, target = sealift.image(repository), other_sealift.image(repository)
    report = json.loads(
        ours.run("copy", "--referrers", f"docker://{source}", f"docker://{target}", "-o", "json")
        .checked()
        .out
    )
    assert {each["digest"] for each in report["referrers"]} == attached.digests
    there = raw(other_sealift, repository)
    check_all_there(there, attached)
    for subject, wanted in wanted_lists(attached).items():
        assert set(there.referrers(subject)) == wanted
    assert set(there.tags()) == {"v1", *attached.tags}  # no list under a tag where the registry has its own


def test_without_being_asked_for_nothing_comes_along(
    ours: Sealift, sealift: Registry, other_sealift: Registry, repository: str
) -> None:
    attached = push_attached(raw(sealift, repository))
    source, target = sealift.image(repository), other_sealift.image(repository)
    ours.run("copy", f"docker://{source}", f"docker://{target}").checked()
    there = raw(other_sealift, repository)
    assert (there.referrers(attached.index["digest"]), there.tags()) == ([], ["v1"])


def test_one_platform_brings_only_what_is_attached_to_it(
    ours: Sealift, sealift: Registry, other_sealift: Registry, repository: str
) -> None:
    attached = push_attached(raw(sealift, repository))
    source, target = sealift.image(repository), other_sealift.image(repository)
    ours.run(
        "copy", "--referrers", "--platform", "linux/amd64", f"docker://{source}", f"docker://{target}"
    ).checked()
    there = raw(other_sealift, repository)
    assert there.referrers(attached.index["digest"]) == []
    assert there.referrers(attached.platform["digest"]) == [attached.referring["sbom"]["digest"]]
    assert there.get(attached.referring["signature of the sbom"]["digest"]).status == 200
    sbom_tag = attached.platform["digest"].replace(":", "-") + ".sbom"
    assert there.tags() == sorted(["v1", sbom_tag])


def test_to_a_registry_without_a_list_and_back_nothing_is_lost(
    ours: Sealift,
    sealift: Registry,
    other_sealift: Registry,
    registry_with_passwords: Registry,
    repository: str,
) -> None:
    attached = push_attached(raw(sealift, repository))
    here, without, back = (
        each.image(repository) for each in (sealift, registry_with_passwords, other_sealift)
    )
    for _ in range(2):  # the second time there is nothing to add to the lists
        ours.run("copy", "--referrers", f"docker://{here}", f"docker://{without}").checked()
        there = raw(registry_with_passwords, repository)
        assert there.ask("GET", f"referrers/{attached.index['digest']}").status == 404
        check_all_there(there, attached)
        for subject, wanted in wanted_lists(attached).items():
            assert listed(there, subject) == wanted
    ours.run("copy", "--referrers", f"docker://{without}", f"docker://{back}").checked()
    again = raw(other_sealift, repository)
    check_all_there(again, attached)
    for subject, wanted in wanted_lists(attached).items():
        assert set(again.referrers(subject)) == wanted
    assert set(again.tags()) == {"v1", *attached.tags}


def test_what_others_listed_there_before_stays_in_the_list(
    ours: Sealift, sealift: Registry, registry_with_passwords: Registry, repository: str
) -> None:
    attached = push_attached(raw(sealift, repository))
    there = raw(registry_with_passwords, repository)
    theirs = there.push_image("somebody else's signature", subject=attached.index)
    tag = attached.index["digest"].replace(":", "-")
    index = "application/vnd.oci.image.index.v1+json"
    entry = {**theirs, "artifactType": "application/vnd.example", "annotations": {"by": "somebody else"}}
    there.push({"schemaVersion": 2, "mediaType": index, "manifests": [entry]}, tag, index)
    source, target = sealift.image(repository), registry_with_passwords.image(repository)
    ours.run("copy", "--referrers", f"docker://{source}", f"docker://{target}").checked()
    kept = json.loads(there.get(tag).body)["manifests"]
    assert kept[0] == entry
    assert {each["digest"] for each in kept[1:]} == wanted_lists(attached)[attached.index["digest"]]
