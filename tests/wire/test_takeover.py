"""A takeover into our registry, both ends in this process: what comes over, and what is reported."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from tests.client.images import Sample, index_of, sample_image, sample_index
from tests.client.trees import Tree
from tests.client.world import client_of
from tests.fakes.asgi_transport import AsgiTransport
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Step, anonymous_ping
from tests.registry.open_registry import PASSWORD, Client, open_client

from sealift.client.distribution_tree import DistributionTree
from sealift.client.holdings import Holdings
from sealift.client.keyring import SingleCredential
from sealift.client.registry_client import RegistryClient
from sealift.client.registry_holdings import RegistryHoldings
from sealift.client.repository_takeover import Wishes
from sealift.client.takeover import take_over
from sealift.client.takeover_report import Kind, TakeoverReport, Tally
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import OCI_EMPTY, OCI_MANIFEST, Manifest
from sealift.image.reference import ImageReference, Repository

OLD, NEW = "127.0.0.1:5001", "127.0.0.1:5000"

IMAGE, INDEX = sample_image(content=b"image"), sample_index()
EMPTY = b"{}"


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Client]:
    async with open_client(tmp_path / "new") as opened:
        yield opened


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def logged_in(
    served: Client, name: str = "admin", registry: str = NEW
) -> tuple[RegistryClient, AsgiTransport]:
    """A client with an account's login."""
    transport = AsgiTransport(served.app)
    source = Source(kind="LoginFile", name="test")
    credential = Credential(username=name, password=SecretText(PASSWORD), source=source, key=registry)
    return RegistryClient(transport, SingleCredential(registry, credential)), transport


async def taken(
    served: Client, source: Holdings, *, name: str = "admin", wishes: Wishes | None = None, prefix: str = ""
) -> TakeoverReport:
    """What a takeover of everything did."""
    client, _ = logged_in(served, name)
    return await take_over(source, client, NEW, wishes=wishes, prefix=prefix)


async def has(served: Client, name: str, selector: str) -> bytes | None:
    """The manifest that our registry has under a tag or digest."""
    reply = await served.ask(
        "GET",
        f"/v2/{name}/manifests/{selector}",
        auth=await served.token("admin", f"repository:{name}:pull"),
    )
    return reply.body if reply.status == 200 else None


def referring_to(subject: Manifest, config: bytes = EMPTY, note: str = "signature") -> Sample:
    """An artifact about a manifest."""
    described = Descriptor(OCI_EMPTY, Digest.of(config), len(config)).to_document()
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.test",
            "config": described,
            "layers": [described],
            "subject": Descriptor(subject.media_type, subject.digest, len(subject.body)).to_document(),
            "annotations": {"note": note},
        }
    ).encode()
    return Sample(Manifest.parse(body, OCI_MANIFEST), (), {Digest.of(config): config})


def places(report: TakeoverReport) -> Sequence[tuple[Kind, str]]:
    return sorted(((each.kind, each.name) for each in report.all_failures()), key=lambda each: each[1])


async def test_everything_comes_over_and_a_second_time_nothing_does(served: Client, tree: Tree) -> None:
    untagged, signature = sample_image(content=b"untagged"), referring_to(INDEX.root)
    tree.keep("apps/web", IMAGE, "v1", "latest")
    tree.keep("apps/web", INDEX, "multi")
    tree.keep("apps/web", untagged)
    tree.keep("apps/web", signature)
    tree.keep("tools/a", IMAGE, "v1")
    tree.repository("bare").joinpath("_layers").mkdir(parents=True)
    report = await taken(served, DistributionTree(tree.root))
    assert places(report) == []
    assert [each.name for each in report.repositories] == ["apps/web", "bare", "tools/a"]
    for tag, sample in {"v1": IMAGE, "latest": IMAGE, "multi": INDEX}.items():
        assert await has(served, "apps/web", tag) == sample.root.body
    for manifest in (*INDEX.manifests, untagged.root, signature.root):
        assert await has(served, "apps/web", str(manifest.digest)) == manifest.body
    listed = await served.ask(
        "GET",
        f"/v2/apps/web/referrers/{INDEX.root.digest}",
        auth=await served.token("admin", "repository:apps/web:pull"),
    )
    assert [each["digest"] for each in listed.json["manifests"]] == [str(signature.root.digest)]
    whole = report.sum()
    assert (whole.tags.copied, whole.manifests.copied) == (4, 7)
    assert (whole.blobs.copied, whole.blobs.mounted) == (9, 2)
    client, transport = logged_in(served)
    again = (await take_over(DistributionTree(tree.root), client, NEW)).sum()
    assert (again.tags, again.manifests, again.blobs) == (Tally(there=4), Tally(there=7), Tally(there=11))
    assert {each.method for each in transport.exchanges} == {"GET", "HEAD"}


async def test_a_takeover_goes_on_with_what_is_missing_only(served: Client, tree: Tree) -> None:
    tree.keep("apps/web", IMAGE, "v1")
    await taken(served, DistributionTree(tree.root))
    tree.keep("apps/web", INDEX, "multi")
    tree.keep("apps/copy", IMAGE, "v1")
    again = (await taken(served, DistributionTree(tree.root), wishes=Wishes(at_once=1))).sum()
    assert (again.tags.there, again.tags.copied) == (1, 2)
    assert (again.blobs.there, again.blobs.copied + again.blobs.mounted) == (2, 6)
    assert await has(served, "apps/web", "multi") == INDEX.root.body


async def test_damage_is_reported_with_its_place_and_the_rest_comes_over(served: Client, tree: Tree) -> None:
    damaged, cut = sample_image(content=b"damaged"), sample_image(content=b"cut off")
    gone = sample_image(content=b"gone")
    for tag, sample in {"good": IMAGE, "damaged": damaged, "cut": cut, "gone": gone}.items():
        tree.keep("apps/web", sample, tag)
    layer = damaged.root.layers[0]
    tree.data(layer.digest).write_bytes(b"x" * layer.size)
    tree.data(cut.root.layers[0].digest).write_bytes(b"")
    tree.data(gone.root.digest).unlink()
    tree.tag("apps/web", "empty").parent.mkdir(parents=True)
    tree.tag("apps/web", "empty").touch()
    report = await taken(served, DistributionTree(tree.root))
    assert set(places(report)) == {
        (Kind.BLOB, f"apps/web@{layer.digest}"),
        (Kind.MANIFEST, f"apps/web@{damaged.root.digest}"),
        (Kind.TAG, "apps/web:damaged"),
        (Kind.BLOB, f"apps/web@{cut.root.layers[0].digest}"),
        (Kind.MANIFEST, f"apps/web@{cut.root.digest}"),
        (Kind.TAG, "apps/web:cut"),
        (Kind.MANIFEST, f"apps/web@{gone.root.digest}"),
        (Kind.TAG, "apps/web:gone"),
        (Kind.TAG, "apps/web:empty"),
    }
    whys = {each.name: f"{each.what} {each.why}" for each in report.all_failures()}
    assert "damaged" in whys[f"apps/web@{layer.digest}"]
    assert str(layer.digest) in whys[f"apps/web@{damaged.root.digest}"]
    assert str(damaged.root.digest) in whys["apps/web:damaged"]
    assert "link file is empty" in whys["apps/web:empty"]
    assert await has(served, "apps/web", "good") == IMAGE.root.body
    for tag in ("damaged", "cut", "gone", "empty"):
        assert await has(served, "apps/web", tag) is None
    whole = report.sum()
    assert (whole.tags.copied, whole.tags.failed, whole.manifests.failed, whole.blobs.failed) == (1, 4, 3, 2)


async def test_what_was_mended_in_the_source_comes_over_the_next_time(served: Client, tree: Tree) -> None:
    tree.keep("apps/web", IMAGE, "v1")
    layer = IMAGE.root.layers[0].digest
    tree.data(layer).write_bytes(b"not it")
    assert [kind for kind, _ in places(await taken(served, DistributionTree(tree.root)))] != []
    tree.data(layer).write_bytes(IMAGE.blobs[layer])
    assert places(await taken(served, DistributionTree(tree.root))) == []
    assert await has(served, "apps/web", "v1") == IMAGE.root.body


async def test_schema_1_is_reported_and_stops_nothing(served: Client, tree: Tree) -> None:
    body = b'{"schemaVersion": 1, "name": "apps/web", "tag": "old", "fsLayers": []}'
    digest = Digest.of(body)
    tree.keep("apps/web", IMAGE, "v1")
    tree.write(tree.data(digest), body)
    tree.write(tree.revision("apps/web", digest), str(digest).encode())
    tree.write(tree.tag("apps/web", "old"), str(digest).encode())
    report = await taken(served, DistributionTree(tree.root))
    assert places(report) == [(Kind.TAG, "apps/web:old"), (Kind.MANIFEST, f"apps/web@{digest}")]
    assert "schema 1" in next(each.why or "" for each in report.all_failures() if each.kind is Kind.MANIFEST)
    assert await has(served, "apps/web", "v1") == IMAGE.root.body


async def test_a_tag_that_stands_for_something_else_is_left_alone_unless_it_shall_be_set(
    served: Client, tree: Tree
) -> None:
    tree.keep("apps/web", IMAGE, "v1")
    await taken(served, DistributionTree(tree.root))
    tree.keep("apps/web", INDEX, "v1")
    report = await taken(served, DistributionTree(tree.root))
    assert places(report) == [(Kind.CONFLICT, "apps/web:v1")]
    why = next(report.all_failures()).why or ""
    assert str(IMAGE.root.digest) in why
    assert str(INDEX.root.digest) in why
    assert await has(served, "apps/web", "v1") == IMAGE.root.body
    assert await has(served, "apps/web", str(INDEX.root.digest)) == INDEX.root.body
    wishes = Wishes(overwrite_tags=True)
    assert places(await taken(served, DistributionTree(tree.root), wishes=wishes)) == []
    assert await has(served, "apps/web", "v1") == INDEX.root.body


async def test_a_dry_run_counts_the_same_and_writes_nothing(served: Client, tree: Tree) -> None:
    tree.keep("apps/web", IMAGE, "v1")
    tree.keep("apps/api", IMAGE, "v1")
    broken = sample_image(content=b"broken")
    tree.keep("apps/api", broken, "broken")
    tree.data(broken.root.layers[0].digest).unlink()
    client, transport = logged_in(served)
    report = await take_over(DistributionTree(tree.root), client, NEW, wishes=Wishes(dry_run=True))
    assert {each.method for each in transport.exchanges} == {"GET", "HEAD"}
    assert await has(served, "apps/web", "v1") is None
    real = await taken(served, DistributionTree(tree.root))
    assert places(report) == places(real)
    assert (report.sum().tags, report.sum().manifests) == (real.sum().tags, real.sum().manifests)
    assert report.sum().blobs == real.sum().blobs


async def test_manifests_by_sha512_keep_their_names_and_their_tags(served: Client, tree: Tree) -> None:
    digest = tree.keep("apps/strong", IMAGE, "v1", algorithm="sha512")
    assert places(await taken(served, DistributionTree(tree.root))) == []
    client, _ = logged_in(served)
    reference = ImageReference(repository=Repository(NEW, "apps/strong"), tag="v1")
    assert await client.find_digest(reference) == digest
    assert await has(served, "apps/strong", str(digest)) == IMAGE.root.body
    again = (await taken(served, DistributionTree(tree.root))).sum()
    assert (again.tags, again.manifests) == (Tally(there=1), Tally(there=1))


async def test_a_foreign_layer_that_the_source_lacks_is_left_out(served: Client, tree: Tree) -> None:
    away = Descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest.of(b"elsewhere"), 9)
    tree.keep("apps/windows", sample_image(extra=[away]), "v1")
    report = await taken(served, DistributionTree(tree.root))
    assert (places(report), report.sum().blobs.left_out) == ([], 1)


async def test_a_crafted_manifest_brings_nothing_out_of_another_repository(
    served: Client, tree: Tree
) -> None:
    secret = b"another team's layer"
    tree.blob("team/private", Digest.of(secret), secret)
    stolen = Descriptor("application/vnd.oci.image.layer.v1.tar", Digest.of(secret), len(secret))
    tree.keep("mallory/x", sample_image(extra=[stolen]), "v1")
    report = await taken(served, DistributionTree(tree.root))
    assert (Kind.BLOB, f"mallory/x@{stolen.digest}") in places(report)
    assert await has(served, "mallory/x", "v1") is None


async def test_who_may_not_push_learns_it_once_a_repository_and_the_rest_comes_over(
    served: Client, tree: Tree
) -> None:
    tree.keep("apps/web", IMAGE, "v1")
    tree.keep("apps/web", INDEX, "v2")
    tree.keep("ashok/mine", IMAGE, "v1")
    report = await taken(served, DistributionTree(tree.root), name="ashok")
    assert places(report) == [(Kind.REPOSITORY, "apps/web")]
    assert report.stopped is None
    assert await has(served, "ashok/mine", "v1") == IMAGE.root.body


async def test_an_index_without_one_of_its_images_is_reported(served: Client, tree: Tree) -> None:
    child = sample_image(content=b"lost")
    root = index_of([(child.root, None), (IMAGE.root, None)])
    tree.keep("apps/web", IMAGE, "v1")
    tree.keep("apps/web", Sample(root, (), {}), "multi")
    report = await taken(served, DistributionTree(tree.root))
    assert set(places(report)) == {
        (Kind.MANIFEST, f"apps/web@{child.root.digest}"),
        (Kind.MANIFEST, f"apps/web@{root.digest}"),
        (Kind.TAG, "apps/web:multi"),
    }


async def test_names_get_a_prefix_and_one_too_long_for_it_is_reported(served: Client, tree: Tree) -> None:
    long = "/".join(["a" * 60] * 4)
    tree.keep("web", IMAGE, "v1")
    tree.keep(long, IMAGE, "v1")
    report = await taken(served, DistributionTree(tree.root), prefix="moved/from/there/")
    assert places(report) == [(Kind.REPOSITORY, long)]
    assert await has(served, "moved/from/there/web", "v1") == IMAGE.root.body


async def test_another_registry_comes_over_the_wire_with_referrers_of_referrers(
    served: Client, tree: Tree, tmp_path: Path
) -> None:
    signature = referring_to(INDEX.root)
    about = referring_to(signature.root, note="about the signature")
    tree.keep("apps/web", INDEX, "multi")
    tree.keep("apps/web", signature)
    tree.keep("apps/web", about)
    tree.keep("apps/api", IMAGE, *[f"v{number}" for number in range(30)])
    async with open_client(tmp_path / "old") as old:
        await taken(old, DistributionTree(tree.root))
        reader, transport = logged_in(old, registry=OLD)
        report = await taken(served, RegistryHoldings(reader, OLD))
        assert {each.method for each in transport.exchanges} == {"GET", "HEAD"}
    assert places(report) == []
    assert {each.name for each in report.repositories} >= {"apps/web", "apps/api"}
    assert await has(served, "apps/web", "multi") == INDEX.root.body
    assert await has(served, "apps/web", str(signature.root.digest)) == signature.root.body
    assert await has(served, "apps/web", str(about.root.digest)) == about.root.body
    assert await has(served, "apps/api", "v29") == IMAGE.root.body


async def test_a_repository_is_named_where_the_registry_does_not_list_it(
    served: Client, tree: Tree, tmp_path: Path
) -> None:
    tree.keep("ashok/private", IMAGE, "v1")
    async with open_client(tmp_path / "old") as old:
        await taken(old, DistributionTree(tree.root))
        reader, transport = logged_in(old, "reader", OLD)
        report = await taken(served, RegistryHoldings(reader, OLD, ["ashok/private", "ashok/missing"]))
        assert not [each for each in transport.exchanges if "_catalog" in each.target]
    assert places(report) == [(Kind.REPOSITORY, "ashok/missing")]
    assert await has(served, "ashok/private", "v1") == IMAGE.root.body


async def test_a_target_that_does_not_know_the_login_ends_it_at_once(served: Client, tree: Tree) -> None:
    for number in range(20):
        tree.keep(f"apps/r{number}", IMAGE, "v1")
    transport = AsgiTransport(served.app)
    wrong = Credential(
        username="admin",
        password=SecretText("wrong"),
        source=Source(kind="LoginFile", name="test"),
        key=NEW,
    )
    client = RegistryClient(transport, SingleCredential(NEW, wrong))
    report = await take_over(DistributionTree(tree.root), client, NEW, wishes=Wishes(at_once=2))
    assert report.stopped is not None
    assert report.stopped.exit_status == 4
    assert len(report.repositories) <= 4


@pytest.mark.parametrize("busy", ["source", "target"])
async def test_a_registry_that_says_come_back_later_ends_it_with_what_was_done(
    busy: str, served: Client, tree: Tree
) -> None:
    for number in range(10):
        tree.keep(f"ashok/r{number}", IMAGE, "v1")
    async with client_of() as asker:
        busy_step = [Step(method, "/v2/*", Reply(429), times=0, required=False) for method in ("GET", "HEAD")]
        steps = [anonymous_ping(), *busy_step]
        async with ScriptedRegistry(steps) as registry:
            if busy == "source":
                names = [f"ashok/r{number}" for number in range(10)]
                source: Holdings = RegistryHoldings(asker, registry.host, names)
                client, target = logged_in(served)[0], NEW
            else:
                source, client, target = DistributionTree(tree.root), asker, registry.host
            report = await take_over(source, client, target, wishes=Wishes(at_once=2))
    assert report.stopped is not None
    assert report.stopped.exit_status == 6
    assert len(report.repositories) <= 2
