"""Bad input, a command at a time: three parts, their place, the contract's status, and nothing half-done.

The command line runs in this process; registries are real servers. What the
system itself refuses is in `test_refusing_machine`.
"""

import base64
import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from tests.cli.outcomes import Command, check_refused, damage, files_in, largest
from tests.peers.images import SampleImage, sample_image
from tests.served import Served

pytestmark = pytest.mark.usefixtures("home")

DOWN = "127.0.0.1:1"
"""Nothing listens there: the port is privileged, and nobody has used it for decades."""


# ------------------------------------------------------------------ names of images

NAMED_FIRST = ("tags", "digest", "inspect", "delete")


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        *(pytest.param((command, "r.io/Apps/x"), "character 6", id=command) for command in NAMED_FIRST),
        pytest.param(("push", "oci:{tmp}/none:v1", "r.io/Apps/x"), "character 6", id="push to"),
        pytest.param(("pull", "r.io/Apps/x", "oci:{tmp}/none"), "character 6", id="pull from"),
        pytest.param(("copy", "docker://r.io/Apps/x", "oci:{tmp}/none"), "character 6", id="copy from"),
        pytest.param(("copy", "oci:{tmp}/none", "docker://r.io/Apps/x"), "character 6", id="copy to"),
        pytest.param(("push", "{tmp}/none", "r.io/a/b"), "{tmp}/none", id="push a place without a kind"),
        pytest.param(("pull", "r.io/a/b", "{tmp}/none"), "{tmp}/none", id="pull to one"),
        pytest.param(("push", "oci:", "r.io/a/b"), "oci:", id="push an empty place"),
        pytest.param(("digest", ""), "''", id="an empty name"),
        pytest.param(("digest", "https://r.io/a/b:v1"), "https://", id="a URL"),
        pytest.param(("digest", "r.io/a/b@sha256:abc"), "r.io/a/b@sha256:abc", id="a short digest"),
        pytest.param(("tags", "r.io/a/b:v1"), "r.io/a/b:v1", id="the tags of a tag"),
        pytest.param(("delete", "r.io/a/b"), "r.io/a/b", id="delete without saying which"),
        pytest.param(("pull", "r.io/a/b", "oci:{tmp}/x", "--platform", "a b"), "'a b'", id="a platform"),
        pytest.param(("login", "a b", "-u", "x", "-p", "y"), "'a b'", id="log in to nothing"),
        pytest.param(("logout", "a b"), "'a b'", id="log out of nothing"),
        pytest.param(("account", "list", "--server", "a b"), "'a b'", id="manage nothing"),
        pytest.param(("repo", "list", "--server", "https://u:hunter2@r.io"), "'r.io'", id="with a login"),
    ],
)
def test_a_name_that_cannot_be_read(
    arguments: tuple[str, ...], place: str, sealift: Command, tmp_path: Path
) -> None:
    outcome = sealift(*(each.format(tmp=tmp_path) for each in arguments))
    check_refused(outcome, 2, place.format(tmp=tmp_path))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("https://ashok:hunter2@r.io/a/b:v1", "https://ashok:***@r.io/a/b:v1", id="a URL"),
        pytest.param("ashok:hunter2@r.io/a/b:v1", "ashok:***@r.io/a/b:v1", id="without a scheme"),
        pytest.param("https://hunter2@r.io/a/b:v1", "https://***@r.io/a/b:v1", id="a token alone"),
        pytest.param("ashok:hunt/er2@r.io:5000/a/b", "ashok:***@r.io:5000/a/b", id="a slash in the password"),
        pytest.param("ashok:hunter2@r.io", "ashok:***@r.io", id="a host alone"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        *(pytest.param((command, "{text}"), id=command) for command in NAMED_FIRST),
        pytest.param(("push", "oci:none:v1", "{text}"), id="push to"),
        pytest.param(("push", "{text}", "r.io/a/b"), id="push from"),
        pytest.param(("pull", "{text}", "oci:none"), id="pull from"),
        pytest.param(("pull", "r.io/a/b", "{text}"), id="pull to"),
        pytest.param(("copy", "docker://{text}", "oci:none"), id="copy from"),
        pytest.param(("copy", "{text}", "docker://r.io/a/b"), id="copy from without a kind"),
    ],
)
def test_a_password_in_a_name_is_not_repeated(
    arguments: tuple[str, ...], text: str, shown: str, sealift: Command
) -> None:
    outcome = sealift(*(each.format(text=text) for each in arguments))
    check_refused(outcome, 2, shown)
    assert "hunter2" not in outcome.err
    assert "er2" not in outcome.err


# ------------------------------------------------------------------ manifests

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  imagePullSecrets: [{name: regcred}]
  containers:
  - {name: web, image: r.io/apps/web}
---
"""

LINES_BEFORE = POD.count("\n")


def secret(content: str, *, kind: str = "kubernetes.io/dockerconfigjson", field: str = "data") -> str:
    """A Pod, and the manifest of its Secret."""
    return POD + (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: regcred}\n"
        f"type: {kind}\n{field}:\n  .dockerconfigjson: {content}\n"
    )


def encoded(text: str) -> str:
    """As ``data`` of a Secret has it."""
    return base64.b64encode(text.encode()).decode()


SECRET_LINE = LINES_BEFORE + 6

LOGIN = '{"auths": {"r.io": {"username": "ashok", "password": "hunter2"}}}'


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"a: 1\nb: [hunter2\nc: d\n", 3, id="not YAML"),
        pytest.param(b"a: 1\n\tb: hunter2\n", 2, id="a tab"),
        pytest.param(b"hunter2", 1, id="text"),
        pytest.param(b"- hunter2\n", 1, id="a list"),
        pytest.param(b"\x7fELF\x00\x01hunter2", 1, id="a program"),
        pytest.param(b"apiVersion: v1\nkind: Pod\nmetadata: hunter2\n", 3, id="a field of another type"),
        pytest.param(b"a: &a [hunter2]\nb: *c\n", 2, id="an anchor that is none"),
        pytest.param(b"[" * 100_000, 1, id="nested without end"),
        pytest.param(secret("hunter2!").encode(), SECRET_LINE, id="a Secret whose data is not base64"),
        pytest.param(secret(LOGIN).encode(), SECRET_LINE, id="a Secret whose data is an object"),
        pytest.param(
            secret("[hunter2]", field="stringData").encode(), SECRET_LINE, id="a Secret whose data is a list"
        ),
    ],
)
@pytest.mark.parametrize("command", ["explain -f", "node run -f"])
def test_a_manifest_that_cannot_be_read(
    command: str, content: bytes, line: int, sealift: Command, tmp_path: Path
) -> None:
    file = tmp_path / "pod.yaml"
    file.write_bytes(content)
    outcome = sealift(*command.split(), str(file))
    check_refused(outcome, 2, f"{file}:{line}")
    assert "hunter2" not in outcome.err


def test_a_manifest_that_is_not_there(sealift: Command, tmp_path: Path) -> None:
    for command in ("explain", "node run"):
        check_refused(sealift(*command.split(), "-f", f"{tmp_path}/none.yaml"), 2, f"{tmp_path}/none.yaml")
        check_refused(sealift(*command.split(), "-f", str(tmp_path)), 2, str(tmp_path))


@pytest.mark.parametrize(
    ("manifest", "status", "code", "line"),
    [
        pytest.param(secret(encoded("{hunter2")), 1, "SL201", SECRET_LINE, id="JSON that is none"),
        pytest.param(
            secret(encoded('{"auths": {"r.io": {"auth": "hunter2!"}}}')), 1, "SL201", SECRET_LINE, id="auth"
        ),
        pytest.param(
            secret(encoded(LOGIN), kind="Opaque"), 0, "SL202", LINES_BEFORE + 1, id="of the wrong type"
        ),
    ],
)
def test_a_secret_that_the_kubelet_cannot_use_is_a_finding(  # noqa: PLR0917  pytest passes by name
    manifest: str, status: int, code: str, line: int, sealift: Command, tmp_path: Path
) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text(manifest)
    outcome = sealift("explain", "-f", str(file), "-o", "json")
    assert outcome.status == status
    assert outcome.err == ""
    (image,) = json.loads(outcome.out)["images"]
    (finding,) = (each for each in image["findings"] if each["code"] == code)
    assert f"{file}:{line}" in finding["summary"]
    assert finding["fix"]
    assert b"hunter2" not in outcome.out


def test_a_name_that_cannot_be_read_is_a_finding(sealift: Command) -> None:
    outcome = sealift("explain", "r.io/Apps/x")
    assert (outcome.status, outcome.err) == (1, "")
    assert b"SL301" in outcome.out


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("explain",), id="nothing to explain"),
        pytest.param(("explain", "SL999"), id="a finding that is none"),
        pytest.param(("explain", "pod/web"), id="a cluster"),
        pytest.param(
            ("explain", "nginx", "--node-config", "none"), id="a node's configuration that is not there"
        ),
        pytest.param(("explain", "nginx", "--kubelet-version", "new"), id="a version that is none"),
        pytest.param(("secret", "create", "x", "--from-file", "none"), id="a login file that is not there"),
        pytest.param(("secret", "create", "x"), id="a Secret of nothing"),
        pytest.param(
            ("node", "run", "-f", "{pod}", "--runtime-endpoint", "nowhere"), id="an endpoint that is none"
        ),
    ],
)
def test_what_cannot_be_meant(arguments: tuple[str, ...], sealift: Command, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    check_refused(sealift(*(each.format(pod=tmp_path / "pod.yaml") for each in arguments)), 2, arguments[-1])


def test_a_runtime_that_is_down(sealift: Command, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    endpoint = f"unix://{tmp_path}/none.sock"
    check_refused(
        sealift("node", "run", "-f", f"{tmp_path}/pod.yaml", "--runtime-endpoint", endpoint), 6, endpoint
    )


# ------------------------------------------------------------------ registries that do not answer

ASKING = [
    *(
        pytest.param((command, "{registry}/a/b:v1"), id=command)
        for command in ("digest", "inspect", "delete")
    ),
    pytest.param(("tags", "{registry}/a/b"), id="tags"),
    pytest.param(("pull", "{registry}/a/b:v1", "oci:{tmp}/none"), id="pull"),
    pytest.param(("pull", "{registry}/a/b:v1", "oci-archive:{tmp}/none"), id="pull into an archive"),
    pytest.param(("copy", "docker://{registry}/a/b:v1", "docker-archive:{tmp}/none"), id="copy from"),
    pytest.param(("push", "oci:{layout}:v1", "{registry}/a/b:v1"), id="push"),
    pytest.param(("copy", "oci:{layout}:v1", "docker://{registry}/a/b:v1"), id="copy to"),
    pytest.param(("login", "{registry}", "-u", "ashok", "--password-stdin"), id="login"),
    pytest.param(("account", "list", "--server", "{registry}"), id="account"),
    pytest.param(("repo", "create", "a/b", "--server", "{registry}"), id="repo"),
    pytest.param(("grant", "remove", "1", "--server", "{registry}"), id="grant"),
]


@pytest.mark.parametrize("arguments", ASKING)
def test_a_registry_that_is_down(
    arguments: tuple[str, ...], sealift: Command, image: SampleImage, tmp_path: Path, home: Path
) -> None:
    filled = [each.format(registry=DOWN, tmp=tmp_path, layout=image.layout) for each in arguments]
    check_refused(sealift(*filled, stdin=b"hunter2"), 6, DOWN)
    assert not (tmp_path / "none").exists()
    assert files_in(home) == {}


def test_a_registry_whose_name_nobody_knows(sealift: Command) -> None:
    check_refused(sealift("tags", "registry.invalid/a/b"), 6, "registry.invalid")


class Stranger(NamedTuple):
    """A server with a certificate by an authority that nobody knows."""

    address: str
    authority: Path
    received: list[bytes]
    """What came through TLS, of whoever accepted the certificate."""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A TLS server on loopback that notes what it is told, and says nothing."""
    import ssl  # noqa: PLC0415  beside its one use

    authority = trustme.CA()
    pem = tmp_path_factory.mktemp("stranger") / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    received: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    received.append(secured.recv(65536))
            except OSError:
                continue

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(listening,))
    thread.start()
    yield Stranger(f"127.0.0.1:{listening.getsockname()[1]}", pem, received)
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


@pytest.mark.parametrize("flags", [pytest.param((), id=""), pytest.param(("--plain-http",), id="plain")])
@pytest.mark.parametrize("arguments", ASKING)
def test_a_certificate_that_nobody_knows(  # noqa: PLR0917  pytest passes by name
    arguments: tuple[str, ...],
    flags: tuple[str, ...],
    sealift: Command,
    stranger: Stranger,
    image: SampleImage,
    tmp_path: Path,
) -> None:
    filled = [each.format(registry=stranger.address, tmp=tmp_path, layout=image.layout) for each in arguments]
    outcome = sealift(*filled, *flags, stdin=b"hunter2")
    check_refused(outcome, 6, f"certificate of {stranger.address}")
    assert "--ca-file" in outcome.err
    assert stranger.received == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("content", "status", "place"),
    [
        pytest.param(None, 2, "/ca.pem", id="missing"),
        pytest.param(b"", 2, "/ca.pem", id="empty"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nhunter2\n", 2, "/ca.pem", id="broken"),
    ],
)
def test_a_ca_file_that_cannot_be_used(
    content: bytes | None, status: int, place: str, sealift: Command, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    outcome = sealift("tags", f"{DOWN}/a/b", "--ca-file", f"{tmp_path}/ca.pem")
    check_refused(outcome, status, place)
    assert "hunter2" not in outcome.err


# ------------------------------------------------------------------ content that is not what it should be


@pytest.mark.parametrize(
    "destination", ["oci:{tmp}/got", "oci-archive:{tmp}/got", "docker-archive:{tmp}/got"]
)
def test_a_layer_that_is_damaged_in_the_registry(
    destination: str, sealift: Command, logged_in: Served, image: SampleImage, tmp_path: Path
) -> None:
    name = logged_in.image(f"admin/damaged-{destination.partition(':')[0]}")
    assert sealift("push", f"oci:{image.layout}:v1", name).status == 0
    layer = largest(logged_in.data / "blobs")
    whole = layer.read_bytes()
    damage(layer)
    try:
        outcome = sealift("pull", name, destination.format(tmp=tmp_path))
    finally:
        layer.write_bytes(whole)
    check_refused(outcome, 7, layer.name)
    got = tmp_path / "got"
    assert got.is_dir() == destination.startswith("oci:")
    left = files_in(got) if got.is_dir() else {}
    assert "index.json" not in left
    for path, content in left.items():
        if path.startswith("blobs/"):
            assert hashlib.sha256(content).hexdigest() == Path(path).name
    assert sealift("pull", name, destination.format(tmp=tmp_path)).status == 0


def test_a_layer_that_is_shorter_in_the_registry(
    sealift: Command, logged_in: Served, image: SampleImage, tmp_path: Path
) -> None:
    name = logged_in.image("admin/short")
    assert sealift("push", f"oci:{image.layout}:v1", name).status == 0
    layer = largest(logged_in.data / "blobs")
    whole = layer.read_bytes()
    layer.write_bytes(whole[:-1])
    try:
        outcome = sealift("pull", name, f"oci-archive:{tmp_path}/got")
    finally:
        layer.write_bytes(whole)
    check_refused(outcome, 6, layer.name)
    assert not (tmp_path / "got").exists()


def test_a_layer_that_is_damaged_on_this_disk(sealift: Command, logged_in: Served, tmp_path: Path) -> None:
    layout = sample_image(tmp_path, size=3 * 1024 * 1024).layout
    layer = largest(layout)
    damage(layer)
    name = logged_in.image("admin/never")
    check_refused(sealift("push", f"oci:{layout}:v1", name), 7, layer.name)
    check_refused(sealift("digest", name), 3, name)
    assert not list((logged_in.data / "blobs").rglob(layer.name))


def test_a_manifest_that_is_damaged_on_this_disk(
    sealift: Command, logged_in: Served, image: SampleImage, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    shutil.copytree(image.layout, layout)
    damage(layout / "blobs" / "sha256" / image.digest.removeprefix("sha256:"))
    check_refused(sealift("push", f"oci:{layout}:v1", logged_in.image("admin/never")), 7, image.digest)
    check_refused(sealift("inspect", f"oci:{layout}:v1"), 7, image.digest)


def test_an_upload_that_is_not_what_its_digest_says(server: Served) -> None:
    before = files_in(server.data / "blobs")
    wrong = hashlib.sha256(b"another").hexdigest()
    path = f"/v2/admin/wrong/blobs/uploads/?digest=sha256:{wrong}"
    refusal = server.ask("POST", path, b"content", server.as_admin())
    assert (refusal.status, json.loads(refusal.body)["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    assert files_in(server.data / "blobs") == before
    assert not list((server.data / "uploads").iterdir())


# ------------------------------------------------------------------ files that are not what they are called


@pytest.mark.parametrize(
    ("place", "content", "status"),
    [
        pytest.param("oci:{file}", None, 3, id="a layout that is not there"),
        pytest.param("oci:{file}", b"x", 3, id="a layout that is a file"),
        pytest.param("oci-archive:{file}", None, 3, id="an archive that is not there"),
        pytest.param("oci-archive:{file}", b"", 2, id="an empty archive"),
        pytest.param("oci-archive:{file}", b"x" * 5000, 2, id="an archive that is none"),
        pytest.param("oci-archive:{file}", b"\0" * 20480, 2, id="an archive with nothing in it"),
        pytest.param("docker-archive:{file}", None, 3, id="a docker archive that is not there"),
        pytest.param("docker-archive:{file}", b"x" * 5000, 2, id="a docker archive that is none"),
        pytest.param("docker-archive:{file}", b"\0" * 20480, 2, id="a docker archive with nothing in it"),
    ],
)
@pytest.mark.parametrize("command", ["push", "copy", "inspect"])
def test_an_image_on_disk_that_is_none(  # noqa: PLR0917  pytest passes by name
    command: str, place: str, content: bytes | None, status: int, sealift: Command, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    target = {"push": [f"{DOWN}/a/b:v1"], "copy": [f"docker://{DOWN}/a/b:v1"], "inspect": []}[command]
    check_refused(sealift(command, place.format(file=file), *target), status, str(file))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("index.json", b"{", id="an index that is not JSON"),
        pytest.param("index.json", b"[]", id="an index that is no object"),
        pytest.param("index.json", b'{"manifests": [{"digest": "sha256:x"}]}', id="an entry that is none"),
        pytest.param("index.json", b"[" * 100_000, id="an index nested without end"),
        pytest.param("oci-layout", b"{}", id="a layout without a version"),
    ],
)
def test_a_layout_that_is_broken(
    name: str, content: bytes, sealift: Command, image: SampleImage, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    shutil.copytree(image.layout, layout)
    (layout / name).write_bytes(content)
    check_refused(sealift("push", f"oci:{layout}:v1", f"{DOWN}/a/b:v1"), 2, str(layout))


def test_a_tag_that_a_layout_does_not_have(sealift: Command, image: SampleImage) -> None:
    check_refused(sealift("inspect", f"oci:{image.layout}:v2"), 3, str(image.layout))


BROKEN_LOGIN_FILES = [
    pytest.param('{"auths": {"HOST": {"auth": "hunter2', ":1", id="JSON that ends too early"),
    pytest.param('{\n "auths": {\n  "HOST": {"auth": "hunter2!"}}}', ":3", id="base64 that is none"),
    pytest.param('{"auths": {"HOST": {"auth": "aHVudGVyMg=="}}}', ":1", id="no user in it"),
    pytest.param('{"auths": {\n"HOST": {"auth": ["hunter2"]}}}', ":2", id="no text"),
    pytest.param('{"auths": {\n"HOST": "hunter2"}}', ":2", id="no entry"),
    pytest.param('{\n"auths": ["hunter2"]}', ":2", id="no entries"),
    pytest.param('["hunter2"]', ":1", id="no object"),
    pytest.param("hunter2", ":1", id="no JSON at all"),
]


@pytest.mark.parametrize(("content", "line"), BROKEN_LOGIN_FILES)
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("tags", "{registry}/a/b"), id="tags"),
        pytest.param(("push", "oci:{layout}:v1", "{registry}/a/b:v1"), id="push"),
        pytest.param(("account", "list", "--server", "{registry}"), id="account"),
        pytest.param(("login", "{registry}", "-u", "admin", "--password-stdin"), id="login"),
        pytest.param(("logout", "{registry}"), id="logout"),
    ],
)
def test_a_login_file_that_is_broken(  # noqa: PLR0917  pytest passes by name
    arguments: tuple[str, ...],
    content: str,
    line: str,
    sealift: Command,
    server: Served,
    image: SampleImage,
    home: Path,
) -> None:
    file = home / ".docker" / "config.json"
    file.parent.mkdir()
    file.write_text(content.replace("HOST", server.address))
    before = files_in(home)
    filled = [each.format(registry=server.address, layout=image.layout) for each in arguments]
    outcome = sealift(*filled, stdin=server.admin_password.encode())
    check_refused(outcome, 2, f"{file}{line}")
    assert "hunter2" not in outcome.err
    assert files_in(home) == before


@pytest.mark.parametrize(
    ("helper", "place"),
    [
        pytest.param("missing", "docker-credential-missing", id="not installed"),
        pytest.param("breaks", "docker-credential-breaks", id="fails"),
        pytest.param("talks", "docker-credential-talks", id="answers nonsense"),
        pytest.param("../x", "credential helper", id="no name"),
    ],
)
def test_a_helper_that_is_broken(  # noqa: PLR0917  pytest passes by name
    helper: str,
    place: str,
    sealift: Command,
    server: Served,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, script in (("breaks", "echo hunter2; echo hunter2 >&2; exit 3"), ("talks", "echo hunter2")):
        program = home / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    (home / ".docker").mkdir()
    entry = {"auth": "YWRtaW46aHVudGVyMg=="}
    (home / ".docker" / "config.json").write_text(
        json.dumps({"auths": {server.address: entry}, "credHelpers": {server.address: helper}})
    )
    check_refused(sealift("tags", f"{server.address}/a/b"), 8, place)


def test_a_password_file_that_is_not_there(sealift: Command, server: Served, tmp_path: Path) -> None:
    outcome = sealift(
        *("account", "list", "--server", server.address),
        *("--username", "admin", "--password-file", f"{tmp_path}/none"),
    )
    check_refused(outcome, 2, f"{tmp_path}/none")


@pytest.mark.parametrize(
    ("password", "place"),
    [
        pytest.param(b"", "password", id="empty"),
        pytest.param(b"short", "8 characters", id="short"),
        pytest.param(b"\xff\xfe\xfd-hunter2", "UTF-8", id="not UTF-8"),
    ],
)
def test_a_new_password_that_cannot_be_one(
    password: bytes, place: str, sealift: Command, logged_in: Served
) -> None:
    outcome = sealift(
        "account", "add", "weak", "--password-stdin", "--server", logged_in.address, stdin=password
    )
    check_refused(outcome, 2, place)
    assert "hunter2" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "status", "place"),
    [
        pytest.param(("account", "show", "nobody"), 3, "nobody", id="an account that is not there"),
        pytest.param(("account", "remove", "nobody"), 3, "nobody", id="to remove one"),
        pytest.param(("repo", "show", "admin/none"), 3, "admin/none", id="a repository that is not there"),
        pytest.param(("repo", "create", "Apps"), 2, "Apps", id="a repository that cannot be"),
        pytest.param(("grant", "remove", "999"), 3, "999", id="a grant that is not there"),
        pytest.param(
            ("grant", "add", "--to", "nobody", "--repo", "a/*", "--actions", "pull"),
            3,
            "nobody",
            id="to nobody",
        ),
        pytest.param(
            ("grant", "add", "--to", "admin", "--repo", "a*/b", "--actions", "pull"),
            2,
            "a*/b",
            id="a pattern",
        ),
    ],
)
def test_management_of_what_is_not_there(
    arguments: tuple[str, ...], status: int, place: str, sealift: Command, logged_in: Served
) -> None:
    check_refused(sealift(*arguments, "--server", logged_in.address), status, place)


# ------------------------------------------------------------------ the server's settings


@pytest.mark.parametrize(
    ("content", "place"),
    [
        pytest.param(b'listen = "127.0.0.1:0"\n\nlisten-on = 5\n', ":3", id="a key that is none"),
        pytest.param(b"[server]\nlisten = 1\n", ":1", id="a table that is none"),
        pytest.param(b'storage = "s3://x"\n', ":1", id="one for later"),
        pytest.param(b'\nlisten = "hunter2\n', ":2:18", id="no TOML"),
        pytest.param(b"\nworkers = true\n", ":2", id="another kind of value"),
        pytest.param(b'\n\nlisten = "nowhere"\n', ":3", id="a value that cannot be"),
        pytest.param(b'listen = "\xff"\n', ":1", id="not UTF-8"),
        pytest.param(None, "", id="not there"),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("config", "check"), ("config", "show")], ids=" ".join)
def test_a_configuration_file(
    command: tuple[str, ...], content: bytes | None, place: str, sealift: Command, tmp_path: Path
) -> None:
    file = tmp_path / "sealift.toml"
    if content is not None:
        file.write_bytes(content)
    outcome = sealift(*command, "--config", str(file), "--data", f"{tmp_path}/data")
    check_refused(outcome, 2, f"{file}{place}")
    assert "hunter2" not in outcome.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("flags", "place"),
    [
        pytest.param(("--listen", "127.0.0.1"), "--listen", id="no port"),
        pytest.param(("--listen", "0.0.0.0:0"), "0.0.0.0", id="the world, in the clear"),  # noqa: S104  refused
        pytest.param(("--workers", "many"), "--workers", id="no number"),
        pytest.param(
            ("--external-url", "https://ashok:hunter2@r.io"), "--external-url", id="a login in a URL"
        ),
        pytest.param(("--trusted-proxies", "everyone"), "--trusted-proxies", id="no network"),
        pytest.param(
            ("--tls-cert", "{tmp}/none", "--tls-key", "{tmp}/none"), "{tmp}/none", id="no certificate"
        ),
        pytest.param(("--tls-cert", "{tmp}/none"), "--tls-cert", id="no key"),
        pytest.param(("--storage", "s3://x"), "--storage", id="one for later"),
    ],
)
def test_a_flag_of_serve(flags: tuple[str, ...], place: str, sealift: Command, tmp_path: Path) -> None:
    outcome = sealift("serve", "--data", f"{tmp_path}/data", *(each.format(tmp=tmp_path) for each in flags))
    check_refused(outcome, 2, place.format(tmp=tmp_path))
    assert "hunter2" not in outcome.err
    assert not (tmp_path / "data").exists()


def test_a_flag_that_is_none(sealift: Command, tmp_path: Path) -> None:
    outcome = sealift("serve", "--data", f"{tmp_path}/data", "--no-such-flag")
    check_refused(outcome, 2, "--no-such-flag")
    assert outcome.err.endswith("  next: sealift serve --help\n")
    assert not (tmp_path / "data").exists()
