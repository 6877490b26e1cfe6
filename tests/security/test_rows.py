"""The table of what went wrong elsewhere, row by row, at the level where it went wrong: the whole thing.

The numbers are those of the threat model, where each row stands with what it
is about. Each test is named after its row. The same claims are held by more
tests beside the code they are about; these go through the front door.
"""

import ast
import itertools
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.client.images import sample_image
from tests.client.world import client_of, gathered, image, names_in, repository, single
from tests.fakes import scripted_registry as scripted
from tests.fakes.scripted_registry import ScriptedRegistry, Seen, Step
from tests.registry.open_registry import Client, Reply, basic, open_client
from tests.registry.scene import descriptor

from sealift.client.errors import ContentMismatch
from sealift.client.tar_file import TarFile
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from sealift.protocol.endpoints import Endpoint

SOURCE = Path(__file__).parents[2] / "src"

SECRET = b"the private bytes of somebody else"
DIGEST = Digest.of(SECRET)
UNKNOWN = Digest.of(b"nobody has this")


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with open_client(tmp_path) as opened:
        yield opened


async def bearer(client: Client, who: str | None, *repositories: str) -> str:
    """A token with every action for some repositories, as far as `who` may have it."""
    return await client.token(who, *(f"repository:{name}:pull,push,delete" for name in repositories))


def handler_of(client: Client, endpoint: Endpoint) -> Any:
    """The object that answers an endpoint, to look inside."""
    return getattr(client.app.routes[endpoint].handler, "__self__", None)


async def push_blob(client: Client, name: str, data: bytes, auth: str) -> Digest:
    digest = Digest.of(data)
    reply = await client.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", body=data, auth=auth)
    assert reply.status == 201, reply.body
    return digest


async def push_image(client: Client, name: str, auth: str, tag: str = "v1", salt: bytes = b"") -> Digest:
    config, layer = b'{"a":"' + salt + b'"}', b"layer " + salt
    await push_blob(client, name, config, auth)
    await push_blob(client, name, layer, auth)
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(layer, OCI_LAYER)],
        }
    ).encode()
    reply = await put_manifest(client, f"{name}:{tag}", body, OCI_MANIFEST, auth)
    assert reply.status == 201, reply.body
    return Digest.of(body)


async def put_manifest(client: Client, place: str, body: bytes, kind: str, auth: str) -> Reply:
    name, _, reference = place.partition(":")
    headers = {"content-type": kind}
    return await client.ask("PUT", f"/v2/{name}/manifests/{reference}", body=body, headers=headers, auth=auth)


# ------------------------------------------------------------------ 1: Gitea, CVE-2026-27771


async def test_row_1_no_read_path_of_a_private_repository_is_open(client: Client) -> None:
    """Every way to read there is, with every way to be nobody, before and after it was public."""
    owner = await bearer(client, "ashok", "ashok/private", "ashok/public")
    ways = []
    for name in ("ashok/private", "ashok/public"):
        digest = await push_image(client, name, owner)
        blob = await push_blob(client, name, SECRET, owner)
        ways += [
            f"/v2/{name}/{rest}"
            for rest in (
                "manifests/v1",
                f"manifests/{digest}",
                f"blobs/{blob}",
                "tags/list",
                f"referrers/{digest}",
            )
        ]
    while_public = await bearer(client, None, "ashok/public", "ashok/private")
    everyone = {
        "nothing": None,
        "an anonymous token": while_public,
        "a stranger's token": await bearer(client, "stranger", "ashok/public", "ashok/private"),
        "a stranger's password": basic("stranger"),
    }
    made_private = await client.send_json(
        "PATCH", "/api/v1/repositories/ashok/public", {"visibility": "private"}, auth=basic("ashok")
    )
    assert made_private.status == 200, made_private.body
    for (who, auth), way, method in itertools.product(everyone.items(), ways, ("GET", "HEAD")):
        reply = await client.ask(method, way, auth=auth)
        assert reply.status in {401, 404}, f"{who}: {method} {way}"
        assert SECRET not in reply.body
    assert (await client.ask("GET", ways[0], auth=owner)).status == 200


# ------------------------------------------------------------------ 3: Quay, CVE-2026-32589


@pytest.mark.parametrize("who", ["ashok", "admin", "reader", "stranger"])
async def test_row_3_an_upload_session_is_its_beginners(client: Client, who: str) -> None:
    writer = await bearer(client, "writer", "ashok/private", "ashok/public")
    begun = await client.ask("POST", "/v2/ashok/private/blobs/uploads/", auth=writer)
    location = begun.headers["location"]
    assert (await client.ask("PATCH", location, body=SECRET[:10], auth=writer)).status == 202
    elsewhere = location.replace("ashok/private", "ashok/public")
    attempts = [(location, await bearer(client, who, "ashok/private", "ashok/public")), (elsewhere, writer)]
    for target, auth in attempts:
        for method, query, body in (
            ("GET", "", None),
            ("PATCH", "", b"evil"),
            ("PUT", f"?digest={Digest.of(SECRET[:10] + b'evil')}", b"evil"),
            ("DELETE", "", None),
        ):
            reply = await client.ask(method, target + query, body=body, auth=auth)
            assert reply.status in {401, 404}, f"{method} {target}"
    status = await client.ask("GET", location, auth=writer)
    assert (status.status, status.headers["range"]) == (204, "0-9"), "nothing has changed"
    done = await client.ask("PUT", f"{location}?digest={DIGEST}", body=SECRET[10:], auth=writer)
    assert done.status == 201


# ------------------------------------------------------------------ 4: Quay, CVE-2026-32590

UNSAFE_MODULES = frozenset({"pickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"})
UNSAFE_YAML = frozenset({"load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"})
UNSAFE_NAMES = frozenset({"eval", "exec", "__import__"})


def unsafe_parts(source: str) -> Iterator[str]:
    """What of a module would turn stored bytes into code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            yield node.module or ""
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in UNSAFE_NAMES:
                yield called.id
            if (
                isinstance(called, ast.Attribute)
                and isinstance(called.value, ast.Name)
                and called.value.id == "yaml"
                and called.attr in UNSAFE_YAML
            ):
                yield f"yaml.{called.attr}"


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from marshal import loads", "yaml.load(x)", "yaml.unsafe_load_all(x)", "eval(x)"],
)
def test_row_4_the_search_finds_what_it_is_for(source: str) -> None:
    assert list(unsafe_parts(source))


def test_row_4_nothing_stored_is_turned_into_code() -> None:
    found = {
        f"{path.relative_to(SOURCE)}: {part}"
        for path in SOURCE.rglob("*.py")
        for part in unsafe_parts(path.read_text())
    }
    assert found == set()


def tamper(uploads: Path) -> None:
    """Change the one upload there is, behind the registry's back."""
    (staged,) = (each for each in uploads.iterdir() if each.is_file())
    staged.write_bytes(SECRET[::-1])


async def test_row_4_an_upload_that_somebody_tampered_with_on_disk_is_hashed_again(tmp_path: Path) -> None:
    """The state of an upload is its bytes: what another process finds there is what counts."""
    async with open_client(tmp_path) as client:
        auth = await bearer(client, "writer", "ashok/private")
        begun = await client.ask("POST", "/v2/ashok/private/blobs/uploads/", auth=auth)
        location = begun.headers["location"]
        await client.ask("PATCH", location, body=SECRET, auth=auth)
        tamper(tmp_path / "data" / "uploads")
        store = handler_of(client, Endpoint.FINISH_UPLOAD)._store
        store._hashes.clear()  # as another worker has it
        done = await client.ask("PUT", f"{location}?digest={DIGEST}", auth=auth)
        assert (done.status, done.code) == (400, "DIGEST_INVALID")


# ------------------------------------------------------------------ 8: Distribution, CVE-2026-35172


@pytest.mark.parametrize("between", ["GET", "HEAD", "mount", "push"])
async def test_row_8_deleted_here_and_read_there_is_still_deleted_here(client: Client, between: str) -> None:
    auth = await bearer(client, "ashok", "ashok/private", "ashok/public", "ashok/new")
    here, there = "/v2/ashok/private/blobs/", "/v2/ashok/public/blobs/"
    await push_blob(client, "ashok/private", SECRET, auth)
    await push_blob(client, "ashok/public", SECRET, auth)
    assert (await client.ask("GET", f"{here}{DIGEST}", auth=auth)).status == 200
    assert (await client.ask("DELETE", f"{here}{DIGEST}", auth=auth)).status == 202
    if between == "mount":
        query = f"?mount={DIGEST}&from=ashok/public"
        assert (await client.ask("POST", f"/v2/ashok/new/blobs/uploads/{query}", auth=auth)).status == 201
    elif between == "push":
        await push_blob(client, "ashok/new", SECRET, auth)
    else:
        assert (await client.ask(between, f"{there}{DIGEST}", auth=auth)).status == 200
    for method in ("GET", "HEAD"):
        assert (await client.ask(method, f"{here}{DIGEST}", auth=auth)).status == 404


# ------------------------------------------------------------------ 9: Distribution, CVE-2026-41888


async def test_row_9_an_immutable_tag_stays_on_every_path(client: Client) -> None:
    """By tag, by digest, with ``?tag=``, by mount, by its parts, by a restore, by deleting it all."""
    auth = await bearer(client, "ashok", "ashok/private", "ashok/public")
    place, owner = "/v2/ashok/private", basic("ashok")
    first = await push_image(client, "ashok/private", auth, salt=b"1")
    stays = await push_image(client, "ashok/private", auth, salt=b"2")
    other = await push_image(client, "ashok/private", auth, tag="other", salt=b"3")
    body = (await client.ask("GET", f"{place}/manifests/other", auth=auth)).body
    buried = await push_image(client, "ashok/private", auth, tag="v2", salt=b"4")
    assert (await client.ask("DELETE", f"{place}/manifests/{buried}", auth=auth)).status == 202
    after = await push_image(client, "ashok/private", auth, tag="v2", salt=b"5")
    rules = {"immutable": ["v*"]}
    api = "/api/v1/repositories/ashok/private"
    assert (await client.send_json("PATCH", api, rules, auth=owner)).status == 200
    layer = Digest.of(b"layer 2")
    kind = {"content-type": OCI_MANIFEST}
    attempts = {
        "overwrite": await put_manifest(client, "ashok/private:v1", body, OCI_MANIFEST, auth),
        "overwrite by digest": await client.ask(
            "PUT", f"{place}/manifests/{other}?tag=v1", body=body, headers=kind, auth=auth
        ),
        "delete the tag": await client.ask("DELETE", f"{place}/manifests/v1", auth=auth),
        "delete the manifest": await client.ask("DELETE", f"{place}/manifests/{stays}", auth=auth),
        "delete a layer": await client.ask("DELETE", f"{place}/blobs/{layer}", auth=auth),
        "restore": await client.send_json(
            "POST", "/api/v1/tag-restores/ashok/private", {"tag": "v1", "to": str(first)}, auth=owner
        ),
        "delete the repository": await client.ask("DELETE", api, auth=owner),
        "delete it as an admin": await client.ask("DELETE", api, auth=basic("admin")),
    }
    assert {way: reply.status for way, reply in attempts.items()} == dict.fromkeys(attempts, 403) | {
        "delete a layer": 405
    }
    mount = f"/v2/ashok/private/blobs/uploads/?mount={layer}&from=ashok/public"
    assert (await client.ask("POST", mount, auth=auth)).status in {201, 202}
    undelete = {"digest": str(buried)}
    back = await client.send_json("POST", "/api/v1/deleted/ashok/private", undelete, auth=owner)
    assert (back.status, back.json["tags"]) == (200, [])
    found = await client.ask("GET", f"{place}/manifests/v2", auth=auth)
    assert Digest.of(found.body) == after
    found = await client.ask("GET", f"{place}/manifests/v1", auth=auth)
    assert (found.status, Digest.of(found.body)) == (200, stays)
    assert (await client.ask("GET", f"{place}/blobs/{layer}", auth=auth)).status == 200


# ------------------------------------------------------------------ 13: zot, CVE-2026-31801

NAMES = ("latest", "v1", "sha256-" + "a" * 64, "sha256-" + "a" * 64 + ".sig", "sha256", "_", "A" * 128)


@pytest.mark.parametrize("tag", NAMES)
async def test_row_13_no_name_of_a_tag_is_special(client: Client, tag: str) -> None:
    """Who may not push does not, who may does, and a rule holds, whatever the tag is called."""
    owner = await bearer(client, "ashok", "ashok/private")
    first = await push_image(client, "ashok/private", owner, tag=tag, salt=b"1")
    second = await push_image(client, "ashok/private", owner, tag="other", salt=b"2")
    target = f"/v2/ashok/private/manifests/{tag}"
    body = (await client.ask("GET", "/v2/ashok/private/manifests/other", auth=owner)).body

    async def overwrite(who: str) -> int:
        auth = await bearer(client, who, "ashok/private")
        return (await put_manifest(client, f"ashok/private:{tag}", body, OCI_MANIFEST, auth)).status

    async def standing() -> Digest:
        return Digest.of((await client.ask("GET", target, auth=owner)).body)

    assert [await overwrite(who) for who in ("reader", "stranger")] == [401, 401]
    assert await standing() == first
    api = "/api/v1/repositories/ashok/private"
    await client.send_json("PATCH", api, {"immutable": ["*"]}, auth=basic("ashok"))
    assert [await overwrite(who) for who in ("writer", "ashok", "admin")] == [403, 403, 403]
    assert await standing() == first
    await client.send_json("PATCH", api, {"immutableExcept": [tag]}, auth=basic("ashok"))
    assert await overwrite("writer") == 201
    assert await standing() == second


# ------------------------------------------------------------------ 12: OCI, CVE-2021-41190


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        pytest.param({"layers": [], "manifests": []}, OCI_MANIFEST, id="both, sent as an image"),
        pytest.param({"layers": [], "manifests": []}, OCI_INDEX, id="both, sent as an index"),
        pytest.param({"config": {}, "manifests": []}, OCI_INDEX, id="an index with a config"),
        pytest.param({"mediaType": OCI_INDEX, "manifests": []}, OCI_MANIFEST, id="an index sent as an image"),
        pytest.param({"mediaType": OCI_MANIFEST, "layers": []}, OCI_INDEX, id="an image sent as an index"),
    ],
)
async def test_row_12_a_document_that_can_be_read_in_two_ways_is_refused(
    client: Client, document: dict[str, Any], kind: str
) -> None:
    auth = await bearer(client, "ashok", "ashok/private")
    body = json.dumps({"schemaVersion": 2, **document}).encode()
    reply = await put_manifest(client, "ashok/private:v1", body, kind, auth)
    assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")
    assert (await client.ask("GET", "/v2/ashok/private/manifests/v1", auth=auth)).status == 404


async def test_row_12_the_type_does_not_change_with_who_asks(client: Client) -> None:
    auth = await bearer(client, "ashok", "ashok/private")
    await push_image(client, "ashok/private", auth)
    seen = set()
    for accept in (None, "*/*", OCI_INDEX, OCI_MANIFEST, "application/json;q=0.5, text/html"):
        headers = {} if accept is None else {"accept": accept}
        reply = await client.ask("GET", "/v2/ashok/private/manifests/v1", headers=headers, auth=auth)
        seen.add((reply.status, reply.headers["content-type"], reply.body))
    assert len(seen) == 1


# ------------------------------------------------------------------ 15: zot, CVE-2024-39897


async def test_row_15_a_digest_that_others_have_is_as_unknown_as_any(client: Client) -> None:
    """By status, by headers, by body; and by the questions put to the catalog, which make the time."""
    await push_blob(client, "ashok/private", SECRET, await bearer(client, "ashok", "ashok/private"))
    stranger = await bearer(client, "stranger", "stranger/own", "ashok/private")
    await push_blob(client, "stranger/own", b"something", stranger)
    asked: list[str] = []
    catalog = handler_of(client, Endpoint.GET_BLOB)._catalog
    catalog._connection.set_trace_callback(asked.append)

    async def answers(digest: Digest) -> tuple[list[Any], int]:
        seen = []
        asked.clear()
        for method, target in (
            ("GET", f"/v2/stranger/own/blobs/{digest}"),
            ("HEAD", f"/v2/stranger/own/blobs/{digest}"),
            ("POST", f"/v2/stranger/own/blobs/uploads/?mount={digest}"),
            ("POST", f"/v2/stranger/own/blobs/uploads/?mount={digest}&from=ashok/private"),
            ("POST", f"/v2/stranger/own/blobs/uploads/?mount={digest}&from=no/such"),
        ):
            reply = await client.ask(method, target, auth=stranger)
            headers = {
                name: value
                for name, value in reply.headers.items()
                if name not in {"location", "docker-upload-uuid", "x-request-id"}
            }
            body = reply.without_its_id().body.replace(str(digest).encode(), b"D")
            seen.append((reply.status, headers, body))
        return seen, len(asked)

    (there, questions), (nowhere, as_many) = await answers(DIGEST), await answers(UNKNOWN)
    assert there == nowhere
    assert questions == as_many
    assert [status for status, _, _ in there] == [404, 404, 202, 202, 202]


# ------------------------------------------------------------------ 23: go-containerregistry #2349, #2227


async def test_row_23_a_token_does_not_follow_a_redirect_to_another_host() -> None:
    layer = Digest.of(SECRET)
    path = f"/v2/apps/x/blobs/{layer}"

    def stored(seen: Seen) -> scripted.Reply:
        assert seen.authorization is None, "the other host got the credential"
        return scripted.Reply(200, [], SECRET)

    async with ScriptedRegistry([Step("GET", "/stored", stored)]) as store:
        elsewhere = f"http://localhost:{store.host.rpartition(':')[2]}/stored"  # another name: another host
        steps = [
            Step("GET", "/v2/", scripted.Reply(401, [("WWW-Authenticate", 'Basic realm="x"')])),
            Step("GET", path, scripted.Reply(307, [("Location", elsewhere)])),
        ]
        async with ScriptedRegistry(steps) as registry, client_of(single(registry.host)) as client:
            wanted = Descriptor(OCI_LAYER, layer, len(SECRET))
            assert await gathered(client.fetch_blob(repository(registry.host), wanted)) == SECRET


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        pytest.param("../evil", tarfile.REGTYPE, "", id="dots"),
        pytest.param("/etc/evil", tarfile.REGTYPE, "", id="absolute"),
        pytest.param("index.json", tarfile.SYMTYPE, "/etc/passwd", id="a symbolic link"),
        pytest.param("index.json", tarfile.LNKTYPE, "../../etc/passwd", id="a hard link"),
    ],
)
async def test_row_23_no_entry_of_an_archive_leads_out_of_it(
    tmp_path: Path, name: str, kind: bytes, target: str
) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        tar.addfile(member)
    archive = await TarFile.open(path)
    for asked in (name, "evil", "etc/passwd", "/etc/passwd"):
        found = archive.find(asked)
        assert found is None or kind == tarfile.REGTYPE
        assert found is None or ".." in asked or asked.startswith("/")
    assert names_in(tmp_path) == ["archive.tar"]


# ------------------------------------------------------------------ 24: CVE-2024-3727, CVE-2025-24882

ODD_DIGESTS = (
    "sha256:",
    "sha256:../../../../etc/passwd",
    "sha256:" + "a" * 63 + "/",
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 64 + "/../x",
    "sha256:" + "a" * 65,
    "../sha256:" + "a" * 64,
    "sha256:" + "a" * 63 + "%00",
    "sha256:" + "a" * 60 + "%2e%2e%2f%2e",
    "SHA256:" + "a" * 64,
    "sha256+b64:" + "a" * 64,
)


@pytest.mark.parametrize("text", ODD_DIGESTS)
async def test_row_24_what_is_no_digest_reaches_no_file(client: Client, text: str) -> None:
    auth = await bearer(client, "ashok", "ashok/private")
    for target in (f"blobs/{text}", f"manifests/{text}", f"referrers/{text}"):
        reply = await client.ask("GET", f"/v2/ashok/private/{target}", auth=auth)
        assert reply.status in {400, 404, 405}, target
        assert b"root:" not in reply.body
    for query in (f"?digest={text}", f"?mount={text}&from=ashok/public"):
        reply = await client.ask("POST", f"/v2/ashok/private/blobs/uploads/{query}", body=b"x", auth=auth)
        assert reply.status == (400 if "digest" in query else 202)


async def test_row_24_a_pinned_manifest_that_is_another_is_not_believed() -> None:
    sample = sample_image()
    wanted = Digest.of(b"what the Pod pinned")
    said = [("Content-Type", OCI_MANIFEST), ("Docker-Content-Digest", str(wanted))]
    steps = [
        Step("GET", "/v2/", scripted.Reply(200)),
        Step("GET", f"/v2/apps/x/manifests/{wanted}", scripted.Reply(200, said, sample.root.body)),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        with pytest.raises(ContentMismatch):
            await client.fetch_manifest(image(registry.host, f"@{wanted}"))
