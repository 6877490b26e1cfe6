"""``sealift import`` as a user types it, against our own registry."""

import json
from pathlib import Path

import pytest
import yaml
from tests.cli.outcomes import Command, check_refused
from tests.client.images import sample_image, sample_index
from tests.client.trees import Tree
from tests.served import Served

pytestmark = pytest.mark.usefixtures("home")

INDEX = sample_index()


@pytest.fixture
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    """An index and an image of the test's own, in two repositories."""
    made = Tree(tmp_path / "tree")
    made.keep("apps/web", INDEX, "v1")
    made.keep("tools/a", sample_image(content=request.node.name.encode()), "v1", "v2")
    return made


def test_a_tree_comes_over_and_the_report_says_so(
    sealift: Command, logged_in: Served, tree: Tree, tmp_path: Path
) -> None:
    outcome = sealift("import", str(tree.root), "--prefix", "first")
    assert outcome.status == 0, outcome
    lines = outcome.out.decode().splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAGS", "MANIFESTS", "BLOBS", "BYTES"]
    assert [line.split()[0] for line in lines[1:4]] == ["first/apps/web", "first/tools/a", "all"]
    assert lines[-1] == f"2 repositories brought to {logged_in.address}"
    assert "apps/web: tags 1 copied; manifests 3 copied" in outcome.err.splitlines()
    got = tmp_path / "got"
    assert sealift("pull", logged_in.image("first/apps/web"), f"oci:{got}").status == 0
    assert (got / "blobs" / "sha256" / INDEX.root.digest.encoded).read_bytes() == INDEX.root.body
    again = sealift("import", str(tree.root), "--prefix", "first/", "--progress", "none")
    assert (again.status, again.err) == (0, "")
    assert " copied" not in again.out.decode()


def test_the_report_as_a_document(sealift: Command, logged_in: Served, tree: Tree) -> None:
    tree.data(INDEX.manifests[0].digest).unlink()
    arguments = ("import", str(tree.root), "--to", logged_in.address, "--prefix", "json/", "--dry-run")
    outcome = sealift(*arguments, "-o", "json")
    assert outcome.status == 1, outcome
    found = json.loads(outcome.out)
    assert yaml.safe_load(sealift(*arguments, "-o", "yaml").out) == found
    assert (found["apiVersion"], found["kind"]) == ("sealift.dev/v1alpha1", "ImportReport")
    assert (found["dryRun"], found["complete"], found["stopped"]) == (True, False, None)
    assert found["total"]["tags"] == {"copied": 2, "there": 0, "failed": 1}
    assert [each["target"] for each in found["repositories"]] == ["json/apps/web", "json/tools/a"]
    lost = next(each for each in found["failures"] if each["place"] == str(INDEX.manifests[0].digest))
    assert (lost["kind"], lost["repository"]) == ("manifest", "apps/web")
    assert lost["why"] == "the tree has no bytes for it"
    assert sealift("tags", f"{logged_in.address}/json/tools/a").status == 3  # it was a dry run


def test_failures_are_in_the_text_with_what_to_do(sealift: Command, logged_in: Served, tree: Tree) -> None:
    tree.tag("tools/a", "v2").write_bytes(b"")
    outcome = sealift("import", str(tree.root), "--prefix", "text")
    assert outcome.status == 1, outcome
    text = outcome.out.decode()
    assert "not brought over: 1\ntag tools/a:v2\n  what: " in text
    assert "the link file is empty" in text
    assert text.rstrip().endswith(f"2 repositories brought to {logged_in.address}, not all of them whole")


def test_only_what_is_named_comes_along(sealift: Command, logged_in: Served, tree: Tree) -> None:
    outcome = sealift("import", str(tree.root), "--prefix", "named", "--repo", "apps/*", "--repo", "tool/*")
    assert outcome.status == 1, outcome
    assert "named/apps/web" in outcome.out.decode()
    assert "tools/a" not in outcome.out.decode()
    assert "no repository of the source is tool/*" in outcome.out.decode()


def test_a_registry_comes_over_with_its_credentials(sealift: Command, logged_in: Served, tree: Tree) -> None:
    assert sealift("import", str(tree.root), "--prefix", "from").status == 0
    source = ("import", logged_in.address, "--to", logged_in.address)
    outcome = sealift(*source, "--prefix", "to", "--repo", "from/**")
    assert outcome.status == 0, outcome
    assert "to/from/apps/web" in outcome.out.decode()
    assert "mounted" in outcome.out.decode()
    outcome = sealift(*source, "--prefix", "to", "--repo", "from/tools/a", "-o", "json")
    assert json.loads(outcome.out)["total"]["tags"] == {"copied": 0, "there": 2, "failed": 0}
    assert sealift("logout", logged_in.address).status == 0
    outcome = sealift(*source, "--prefix", "to", "--repo", "from/**")
    assert outcome.status == 4, outcome


def test_a_tag_in_the_way_is_a_finding(sealift: Command, logged_in: Served, tree: Tree) -> None:
    assert sealift("import", str(tree.root), "--prefix", "conflict").status == 0
    tree.keep("apps/web", sample_image(content=b"newer"), "v1")
    outcome = sealift("import", str(tree.root), "--prefix", "conflict")
    assert outcome.status == 1, outcome
    assert "conflict apps/web:v1" in outcome.out.decode()
    assert "--overwrite-tags takes the source's" in outcome.out.decode()
    assert sealift("import", str(tree.root), "--prefix", "conflict", "--overwrite-tags").status == 0


def test_what_is_no_source_is_refused(sealift: Command, logged_in: Served, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    check_refused(sealift("import", str(tmp_path / "other")), 2, str(tmp_path / "other"))
    assert sealift("import", str(tmp_path / "absent")).status == 3
    assert sealift("import", logged_in.address).status == 2  # it is the target as well
    assert sealift("import", str(tmp_path / "other"), "--repo", "a*b").status == 2
    assert sealift("import", str(tmp_path / "other"), "--prefix", "UPPER").status == 2


def test_a_target_that_is_not_there_ends_it_with_a_report(sealift: Command, tree: Tree) -> None:
    outcome = sealift("import", str(tree.root), "--to", "127.0.0.1:1")
    assert outcome.status == 6, outcome
    assert "not all of them whole" in outcome.out.decode()
    assert outcome.err.splitlines()[-1].startswith("  next:")
