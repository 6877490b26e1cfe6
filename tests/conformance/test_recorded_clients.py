"""Charts, signatures, caches and copies by clients that tests cannot have: their requests, replayed."""

import json
from collections.abc import Iterator
from itertools import count
from urllib.parse import quote

import pytest
from tests.conformance.recorded import (
    CRANE,
    JSON,
    ORAS,
    RESOLVER,
    Ask,
    buildkit_blob,
    crane_blob,
    oras_blob,
    pushed,
    replay,
)
from tests.conformance.registry_socket import (
    CONFIG,
    EMPTY,
    INDEX,
    LAYER,
    MANIFEST,
    Repository,
    described,
    digest_of,
)
from tests.registry.open_registry import basic
from tests.registry.server.serving import Server, serving

_numbers = count(1)

CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
PROVENANCE = "application/vnd.cncf.helm.chart.provenance.v1.prov"
SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("recorded")) as running:
        yield running


@pytest.fixture
def repository(server: Server) -> Repository:
    """A repository that is nobody else's."""
    return Repository(server, f"charts/number-{next(_numbers)}")


def document(**parts: object) -> bytes:
    """A manifest as Go's encoder writes it: no spaces."""
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **parts}, separators=(",", ":")).encode()


# ------------------------------------------------------------------ helm


def test_helm_logs_in(server: Server) -> None:
    status, headers, _ = server.ask("GET", "/v2/")
    assert status == 401
    realm, service = (
        headers["www-authenticate"].split(f'{key}="')[1].split('"')[0] for key in ("realm", "service")
    )
    assert realm == f"{server.scheme}://{server.host}:{server.port}/token"
    form = (
        f"client_id=oras-go&grant_type=password&password={quote(server.password)}"
        f"&service={service}&username=admin"
    )
    kind = {"content-type": "application/x-www-form-urlencoded"}
    status, _, body = server.ask("POST", "/token", headers=kind, body=form.encode())
    assert status == 200
    token = json.loads(body)["access_token"]
    assert server.ask("GET", "/v2/", auth=f"Bearer {token}")[0] == 200


def test_helm_pushes_a_chart_with_its_provenance_and_pulls_it(repository: Repository) -> None:
    contents = {
        "config": b'{"name":"mychart","version":"1.2.3+build.5","description":"d","apiVersion":"v2"}',
        "chart": b"\x1f\x8b the chart",
        "provenance": b"-----BEGIN PGP SIGNED MESSAGE-----",
    }
    contents["manifest"] = document(
        config=described(contents["config"], CHART_CONFIG),
        layers=[described(contents["chart"], CHART), described(contents["provenance"], PROVENANCE)],
        annotations={
            "org.opencontainers.image.created": "2026-11-24T22:03:18Z",
            "org.opencontainers.image.description": "d",
            "org.opencontainers.image.title": "mychart",
            "org.opencontainers.image.version": "1.2.3+build.5",
        },
    )
    tag = "1.2.3_build.5"  # a tag has no plus sign: helm writes _ and reads it back
    replay(
        repository,
        [
            Ask("HEAD", "manifests/{manifest}", 404, ORAS),
            *oras_blob("config"),
            *oras_blob("chart"),
            *oras_blob("provenance"),
            pushed("manifest", "{manifest}"),
            Ask("GET", "manifests/{manifest}", 200, {"accept": MANIFEST}, gives="manifest"),
            pushed("manifest", tag, has={"docker-content-digest": "{manifest}"}),
            # helm pull, helm show, helm install
            Ask("GET", "tags/list", 200),
            Ask("HEAD", f"manifests/{tag}", 200, ORAS, has={"docker-content-digest": "{manifest}"}),
            Ask("GET", f"manifests/{tag}", 200, ORAS, gives="manifest", has={"content-type": MANIFEST}),
            Ask("GET", "blobs/{config}", 200, gives="config"),
            Ask("GET", "blobs/{chart}", 200, gives="chart"),
            Ask("GET", "blobs/{provenance}", 200, gives="provenance"),
        ],
        contents,
    )
    assert repository.ask("GET", "tags/list").json["tags"] == [tag]
    assert repository.push_manifest(contents["manifest"], quote("1.2.3+build.5")).status == 400


# ------------------------------------------------------------------ cosign


def signed(repository: Repository) -> tuple[bytes, str]:
    """An image to sign, and its digest."""
    image = repository.push_image("v1")
    return image, digest_of(image)


def test_cosign_signs_by_a_tag_twice_and_verifies(repository: Repository) -> None:
    _, digest = signed(repository)
    tag = digest.replace(":", "-")
    contents = {"first": b'{"critical":{"n":1}}', "second": b'{"critical":{"n":2}}'}
    for number, name in enumerate(("one", "both"), 1):
        layers = [
            described(
                contents[each], SIMPLE_SIGNING, annotations={"dev.cosignproject.cosign/signature": each}
            )
            for each in ("first", "second")[:number]
        ]
        contents[f"config_{name}"] = f'{{"architecture":"","os":"","n":{number}}}'.encode()
        contents[name] = document(config=described(contents[f"config_{name}"], CONFIG), layers=layers)
    replay(
        repository,
        [
            Ask("GET", "manifests/v1", 200, CRANE, has={"docker-content-digest": digest}),
            Ask("GET", f"manifests/{tag}.sig", 404, CRANE),
            *crane_blob("first"),
            *crane_blob("config_one"),
            pushed("one", f"{tag}.sig"),
            # somebody else signs too: theirs is added, and the tag moves
            Ask("GET", f"manifests/{tag}.sig", 200, CRANE, gives="one"),
            Ask("GET", "blobs/{first}", 200, gives="first"),
            Ask("HEAD", "blobs/{first}", 200),
            *crane_blob("second"),
            *crane_blob("config_both"),
            pushed("both", f"{tag}.sig"),
            # cosign verify
            Ask("HEAD", "manifests/v1", 200, CRANE, has={"docker-content-digest": digest}),
            Ask("GET", f"manifests/{tag}.sig", 200, CRANE, gives="both"),
            Ask("GET", "blobs/{second}", 200, gives="second"),
            Ask("GET", f"manifests/{tag}.att", 404, CRANE),
        ],
        contents,
    )
    assert repository.ask("GET", "tags/list").json["tags"] == [f"{tag}.sig", "v1"]


@pytest.mark.parametrize("kind", ["cosign 2, oci-1-1", "cosign 3, bundle"])
def test_cosign_signs_by_a_subject_and_finds_it(kind: str, repository: Repository) -> None:
    image, digest = signed(repository)
    subject = described(image, MANIFEST)
    contents = {"layer": b'{"critical":{}}', "config": b'{"architecture":""}'}
    if kind == "cosign 3, bundle":
        artifact_type, contents["config"] = BUNDLE, b"{}"
        contents["manifest"] = document(
            config=described(b"{}", EMPTY, artifactType=BUNDLE),
            layers=[described(contents["layer"], BUNDLE)],
            subject=subject,
            annotations={"dev.sigstore.bundle.content": "dsse-envelope"},
            artifactType=BUNDLE,
        )
    else:
        artifact_type = SIGNATURE
        contents["manifest"] = document(
            config=described(contents["config"], SIGNATURE),
            layers=[described(contents["layer"], SIMPLE_SIGNING)],
            subject=subject,
            artifactType=SIGNATURE,
        )
    replies = replay(
        repository,
        [
            Ask("HEAD", f"manifests/{digest}", 200, CRANE),
            *crane_blob("config"),
            *crane_blob("layer"),
            pushed("manifest", "{manifest}", has={"oci-subject": digest}),
            # Asked after the push, and by whoever verifies. Without an answer it keeps a list under a tag.
            Ask("GET", f"referrers/{digest}", 200, {"accept": INDEX}, has={"content-type": INDEX}),
            Ask("GET", f"referrers/{digest}", 200, {"accept": INDEX}, has={"content-type": INDEX}),
            Ask("GET", "manifests/{manifest}", 200, CRANE, gives="manifest"),
            Ask("GET", "blobs/{layer}", 200, gives="layer"),
        ],
        contents,
    )
    (listed,) = replies[-3].json["manifests"]
    assert (listed["digest"], listed["artifactType"]) == (digest_of(contents["manifest"]), artifact_type)
    assert repository.ask("GET", "tags/list").json["tags"] == ["v1"]


# ------------------------------------------------------------------ crane


def test_crane_copies_lists_and_deletes(server: Server, repository: Repository) -> None:
    source = Repository(server, f"{repository.name}-source")
    image = source.push_image("v1")
    layer, config = (each["digest"] for each in (*json.loads(image)["layers"], json.loads(image)["config"]))
    target = Repository(server, repository.name, also=(source.name,))
    replay(source, [Ask("GET", "manifests/v1", 200, CRANE, gives="image")], {"image": image})
    query = f"from={quote(source.name, safe='')}&mount={{}}&origin={server.host}%3A{server.port}"
    mounts = []
    for digest in (layer, config):
        start = f"blobs/uploads/?{query.format(quote(digest, safe=''))}"
        mounts.append(Ask("HEAD", f"blobs/{digest}", 404))
        mounts.append(Ask("POST", start, 201, JSON, has={"docker-content-digest": digest}))
    replay(
        target,
        [
            Ask("HEAD", "manifests/v1", 404, CRANE),
            *mounts,
            pushed("image", "v1"),
            pushed("image", "v2"),
            Ask("GET", "tags/list?n=1000", 200),
            Ask("HEAD", "manifests/v1", 200, CRANE, has={"docker-content-digest": "{image}"}),
            # crane delete: a tag, then by digest
            Ask("DELETE", "manifests/v1", 202),
            Ask("HEAD", "manifests/v1", 404, CRANE),
            Ask("HEAD", "manifests/v2", 200, CRANE),
            Ask("DELETE", "manifests/{image}", 202),
            Ask("HEAD", "manifests/v2", 404, CRANE),
            Ask("DELETE", "manifests/{image}", 404),
        ],
        {"image": image},
    )
    assert source.ask("GET", "manifests/v1").body == image


def test_crane_deletes_though_it_asks_for_the_right_to_push(server: Server, repository: Repository) -> None:
    """It takes deleting for pushing, and learns from the challenge what it needs besides."""
    body = repository.push_image("v1")

    def token(*scopes: str) -> str:
        query = "&".join(f"scope={quote(scope)}" for scope in scopes)
        _, _, answer = server.ask(
            "GET", f"/token?{query}&service=sealift", auth=basic("admin", server.password)
        )
        return f"Bearer {json.loads(answer)['token']}"

    pushing = f"repository:{repository.name}:push,pull"
    path = f"/v2/{repository.name}/manifests/{digest_of(body)}"
    status, headers, _ = server.ask("DELETE", path, auth=token(pushing))
    challenge = headers["www-authenticate"]
    assert (status, 'error="insufficient_scope"' in challenge) == (401, True)
    wanted = challenge.split('scope="')[1].split('"')[0]
    assert server.ask("DELETE", path, auth=token(pushing, wanted))[0] == 202


# ------------------------------------------------------------------ BuildKit


@pytest.mark.parametrize("shape", ["an index of blobs", "an image"])
def test_buildx_keeps_a_cache_and_takes_it(shape: str, repository: Repository) -> None:
    contents = {
        "first": b"a layer of the cache",
        "second": b"another",
        "cache": b'{"layers":[],"records":[]}',
    }
    created = {"buildkit/createdat": "2026-11-24T22:16:00Z"}
    layers = [described(contents[each], LAYER, annotations=created) for each in ("first", "second")]
    config = described(contents["cache"], CACHE_CONFIG)
    media_type = INDEX if shape == "an index of blobs" else MANIFEST
    contents["manifest"] = (
        document(mediaType=INDEX, manifests=[*layers, config])
        if media_type == INDEX
        else document(config=config, layers=layers)
    )
    replay(
        repository,
        [
            *buildkit_blob("first", LAYER),
            *buildkit_blob("second", LAYER),
            *buildkit_blob("cache", CACHE_CONFIG),
            Ask("HEAD", "manifests/cache", 404, {"accept": f"{media_type}, */*"}),
            pushed("manifest", "cache", media_type, has={"docker-content-digest": "{manifest}"}),
            # --cache-from type=registry
            Ask("HEAD", "manifests/cache", 200, RESOLVER, has={"content-type": media_type}),
            Ask("GET", "manifests/{manifest}", 200, {"accept": f"{media_type}, */*"}, gives="manifest"),
            Ask("GET", "blobs/{cache}", 200, {"accept": f"{CACHE_CONFIG}, */*"}, gives="cache"),
            Ask("GET", "blobs/{second}", 200, {"accept": f"{LAYER}, */*"}, gives="second"),
        ],
        contents,
    )


def test_a_cache_without_one_of_its_layers_is_refused(repository: Repository) -> None:
    cache = b'{"layers":[]}'
    repository.push_blob(cache)
    index = document(
        mediaType=INDEX, manifests=[described(b"never pushed", LAYER), described(cache, CACHE_CONFIG)]
    )
    reply = repository.push_manifest(index, "cache", INDEX)
    assert (reply.status, reply.codes) == (400, ["MANIFEST_BLOB_UNKNOWN"])


# ------------------------------------------------------------------ containerd


def test_a_mirror_is_asked_with_the_name_of_the_registry_it_stands_for(repository: Repository) -> None:
    image = repository.push_image("v1")
    layer = json.loads(image)["layers"][0]["digest"]
    replay(
        repository,
        [
            Ask("HEAD", "manifests/v1?ns=docker.io", 200, RESOLVER, has={"docker-content-digest": "{image}"}),
            Ask("GET", "manifests/{image}?ns=docker.io", 200, {"accept": f"{MANIFEST}, */*"}, gives="image"),
            Ask("GET", f"blobs/{layer}?ns=docker.io", 200),
            Ask("HEAD", "manifests/v2?ns=docker.io", 404, RESOLVER),
        ],
        {"image": image},
    )
