"""``sealift gc``, ``repo deleted`` and ``repo undelete``, against a real server, as a user types them."""

import json
from pathlib import Path

import pytest
from tests.cli.outcomes import Command
from tests.peers.images import SampleImage
from tests.served import Served

REPOSITORY = "apps/collected"


@pytest.fixture
def pushed(sealift: Command, logged_in: Served, image: SampleImage) -> str:
    """An image under two tags; its digest."""
    for tag in ("v1", "v2"):
        outcome = sealift("push", f"oci:{image.layout}", logged_in.image(REPOSITORY, f":{tag}"))
        assert outcome.status == 0, outcome
    return sealift("digest", logged_in.image(REPOSITORY)).out.decode().strip()


def test_a_deleted_manifest_comes_back_with_its_tags(
    sealift: Command, logged_in: Served, pushed: str, tmp_path: Path
) -> None:
    by_digest = logged_in.image(REPOSITORY, f"@{pushed}")
    assert sealift("delete", by_digest).status == 0
    assert sealift("digest", logged_in.image(REPOSITORY)).status == 3

    listed = sealift("repo", "deleted", REPOSITORY, "-o", "json")
    (entry,) = json.loads(listed.out)["items"]
    assert (entry["digest"], sorted(entry["tags"]), entry["deletedBy"]) == (pushed, ["v1", "v2"], "admin")
    assert pushed in sealift("repo", "deleted", REPOSITORY).out.decode()

    report = json.loads(sealift("gc", "--dry-run", "-o", "json").out)
    assert [item["of"] for item in report["items"] if item["digest"] == pushed] == ["manifest"]
    shown = sealift("gc", "--dry-run")
    assert "deleted by admin" in shown.out.decode()
    assert "will be free once all of this has gone" in shown.err
    assert sealift("gc").out.decode() == "nothing was due\n"

    back = sealift("repo", "undelete", f"{REPOSITORY}@{pushed}")
    assert back.status == 0, back
    assert "v1,v2" in back.out.decode()
    assert sealift("pull", logged_in.image(REPOSITORY), f"oci:{tmp_path / 'pulled'}").status == 0
    assert json.loads(sealift("repo", "deleted", REPOSITORY, "-o", "json").out)["items"] == []


def test_what_cannot_be_brought_back(sealift: Command, logged_in: Served, pushed: str) -> None:
    assert logged_in.address
    never = sealift("repo", "undelete", f"{REPOSITORY}@{pushed}")
    assert never.status == 3
    assert f"next: sealift repo deleted {REPOSITORY}" in never.err
    assert sealift("repo", "undelete", REPOSITORY).status == 2
    assert sealift("repo", "undelete", f"{REPOSITORY}@sha256:short").status == 2
    assert sealift("repo", "deleted", "no/such").status == 3
