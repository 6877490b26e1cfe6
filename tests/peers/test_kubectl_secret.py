"""``sealift secret create`` against ``kubectl create secret docker-registry``: bytes and refusals."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from sealift.cli import main

pytestmark = pytest.mark.peers

KUBECTL = Path(sysconfig.get_path("scripts")) / "kubectl"
_PASSWORD = ("--docker-username=ashok", "--docker-password=pw")
_FULL = (*_PASSWORD, "--docker-server=private-registry.io", "--docker-email=ashok@example.com")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with files to read."""
    (tmp_path / "config.json").write_bytes(b'{"auths":{"r.io":{"auth":"dTpw"}}}\n')
    (tmp_path / "other.json").write_bytes(b"\xff\x00not json")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "number").write_bytes(b"\xd3\x4d\x34")  # 0000 in base64 reads as a number
    (tmp_path / "a=b").write_bytes(b"{}")
    (tmp_path / "we ird").write_bytes(b"{}")
    (tmp_path / "käse").write_bytes(b"{}")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_bytes(b"{}")
    (tmp_path / "link").symlink_to("config.json")
    (tmp_path / "dangling").symlink_to("nothing")
    return tmp_path


def kubectl(arguments: tuple[str, ...], folder: Path) -> tuple[int, bytes, str]:
    """Status, output and first line of the refusal."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(folder / "none")}
    ran = subprocess.run(
        [KUBECTL, "create", "secret", "docker-registry", *arguments, "--dry-run=client"],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        timeout=30,
    )
    refusal = ran.stderr.decode(errors="replace").partition("\n")[0]
    return ran.returncode, ran.stdout, refusal.removeprefix("error: ")


def sealift(arguments: tuple[str, ...], capsysbinary: pytest.CaptureFixture[bytes]) -> tuple[int, bytes, str]:
    """The same of ours; warnings are not part of it."""
    status = main.run(["secret", "create", *arguments])
    out, err = capsysbinary.readouterr()
    refusals = [line for line in err.decode(errors="replace").splitlines() if line.startswith("error: ")]
    return status, out, refusals[0].removeprefix("error: ") if refusals else ""


_NAMES = [
    "regcred", "true", "1e3", "null", "~", "yes", "n", "0x10", "1_000", "1.5", "2001-01-01",
    "2001-13-01", "1:30", ".inf", "a.b", "UPPER", "a b", "a: b", "a #b", "a'b", '"a"', "'", "é", "😀",
    "#", "&a", "*a", "!a", "[a]", "{a}", "|", ">", "%a", "@a", "`a", "=", "<<", "a\nb", "a\tb", " a",
    "a ", "a" * 300, "b " * 60, "a\x7f", "a\x01", "a\x85b", "a<&>b", "a/b", "..", "null ",
    "1e", "08", "0o7", "\\", "2001-01-01T10:00:00Z", "190:20:30.15", "9" * 30,
]  # fmt: skip
_SERVERS = [
    "private-registry.io", "https://private-registry.io", "http://private-registry.io/", "HTTPS://R.IO",
    "r.io:5000", "r.io/v2", "https://index.docker.io/v1/", "docker.io", " r.io ", "r.io\n", "*.r.io",
    "[::1]:5000", "ü.io", 'a"b\\c', "<r>&", "",
]  # fmt: skip
_PASSWORDS = [
    "p", "<>&", 'a"b', "a\\b", "a'b", "pä😀", "a\nb\t", "\u2028\u2029", "\x01\x1f\x7f", " p ", "$HOME",
    "a:b", "x" * 5000, "", "=,", "-p", "\udcff",
]  # fmt: skip
_USERS = ["ashok", "a:b", "robot$ci", "ü", "<u>", "", "a b", "\udcff"]
_EMAILS = ["a@b", "", "ü@<b>", " "]

_ORDERED = ("b10", "b2", "a", "_", "B", "b02")
_MISREAD = ("true", "1e3", "-", "0", "null", "1_0", "2001-1-1")


def _from(*sources: str) -> tuple[str, ...]:
    return tuple(f"--from-file={source}" for source in sources)


_CASES: dict[str, tuple[str, ...]] = {
    **{f"name {index} {name[:20]!a}": (name, *_FULL) for index, name in enumerate(_NAMES)},
    **{f"json name {index} {name[:20]!a}": (name, *_FULL, "-o=json") for index, name in enumerate(_NAMES)},
    **{f"hash {index} {name[:20]!a}": (name, *_FULL, "--append-hash") for index, name in enumerate(_NAMES)},
    **{f"server {server!a}": ("s", *_PASSWORD, f"--docker-server={server}") for server in _SERVERS},
    **{
        f"password {word[:20]!a}": ("s", "--docker-username=u", f"--docker-password={word}", "--append-hash")
        for word in _PASSWORDS
    },
    **{f"user {user!a}": ("s", f"--docker-username={user}", "--docker-password=p") for user in _USERS},
    **{f"email {email!a}": ("s", *_PASSWORD, f"--docker-email={email}") for email in _EMAILS},
    "default server": ("s", *_PASSWORD),
    **{
        f"append-hash={word}": ("s", *_FULL, f"--append-hash={word}")
        for word in ("true", "false", "1", "0", "T", "F", "False", "yes", "", "tRUE")
    },
    "append-hash, taken back": ("s", *_FULL, "--append-hash", "--append-hash=false"),
    "append-hash as a password": ("s", "--docker-username=u", "--docker-password", "--append-hash=false"),
    "no flags": ("s",),
    "no password": ("s", "--docker-username=u"),
    "no user": ("s", "--docker-password=p"),
    "empty name": ("", *_PASSWORD),
    "namespace": ("s", *_FULL, "-n", "prod"),
    "namespace, json": ("s", *_FULL, "-n", "prod", "-o=json"),
    "namespace and hash": ("s", *_FULL, "--namespace=prod", "--append-hash"),
    "namespace that YAML misreads": ("s", *_FULL, "--namespace=true"),
    "bad namespace": ("s", *_FULL, "-n", "Bad NS"),
    "namespace behind an equals sign": ("s", *_FULL, "-n=prod"),
    "namespace that is an equals sign": ("s", *_FULL, "-n="),
    "namespace that begins with one": ("s", *_FULL, "--namespace==prod"),
    "empty namespace": ("s", *_FULL, "-n", ""),
    "flags in other words": ("s", "--docker-username", "u", "--docker-password", "p", "--docker-server", "r"),
    "the last flag wins": ("s", *_FULL, "--docker-username=other"),
    "flags before the name": (*_FULL, "s"),
    "file": ("s", "--from-file=config.json"),
    "file, json": ("s", "--from-file=config.json", "-o=json"),
    "file, other words": ("s", "--from-file", "config.json"),
    "file and hash": ("s", "--from-file=config.json", "--append-hash"),
    "file with key": ("s", "--from-file=.dockerconfigjson=config.json"),
    "file with another key": ("s", "--from-file=config=config.json"),
    "files": ("s", *_from("config.json", "b=other.json", "a=empty"), "--append-hash"),
    "files, json": ("s", "--from-file=b10=other.json", "--from-file=b2=empty", "-o=json"),
    "files in the library's order": ("s", *_from(*(f"{key}=number" for key in _ORDERED))),
    "keys that YAML misreads": ("s", *_from(*(f"{key}=empty" for key in _MISREAD))),
    "longest key": ("s", f"--from-file={'k' * 253}=config.json"),
    "key of 128": ("s", f"--from-file={'k' * 128}=config.json"),
    "key of 129": ("s", f"--from-file={'k' * 129}=config.json"),
    "files in one flag": ("s", "--from-file=config.json,b=other.json"),
    "quoted file": ("s", '--from-file="we ird"'),
    "stray quote": ("s", '--from-file=a"b'),
    "file twice": ("s", "--from-file=config.json", "--from-file=link"),
    "directory": ("s", "--from-file=folder"),
    "directory with key": ("s", "--from-file=k=folder"),
    "missing file": ("s", "--from-file=missing"),
    "missing file with key": ("s", "--from-file=k=missing"),
    "missing folder": ("s", "--from-file=missing/config.json"),
    "file for a folder": ("s", "--from-file=config.json/x"),
    "dangling link": ("s", "--from-file=dangling"),
    "standard input is no file": ("s", "--from-file=-"),
    "no key": ("s", "--from-file==config.json"),
    "no path": ("s", "--from-file=k="),
    "empty source": ("s", "--from-file="),
    "empty source and a login": ("s", "--from-file=", *_FULL),
    "an empty source among others": ("s", "--from-file=config.json,"),
    "two equals signs": ("s", "--from-file=a=b=c"),
    "a name with an equals sign": ("s", "--from-file=a=b"),
    "a name with a space": ("s", "--from-file=we ird"),
    "a name beyond ASCII": ("s", "--from-file=käse"),
    "bad key": ("s", "--from-file=k y=config.json"),
    "key beyond ASCII": ("s", "--from-file=ä=config.json"),
    "key ..": ("s", "--from-file=..=config.json"),
    "key .": ("s", "--from-file=.=config.json"),
    "key ..x": ("s", "--from-file=..x=config.json"),
    "key too long": ("s", f"--from-file={'k' * 254}=config.json"),
    "key too long and bad": ("s", f"--from-file={'ä' * 200}=config.json"),
    "empty file": ("s", "--from-file=empty"),
    "device": ("s", "--from-file=/dev/null"),
    "file and login": ("s", "--from-file=config.json", "--docker-username=u"),
    "file and no name": ("--from-file=config.json",),
    "two names": ("a", "b", *_FULL),
    "-o JSON": ("s", *_FULL, "-o", "JSON"),
    "-oyaml": ("s", *_FULL, "-oyaml"),
    "-o name": ("s", *_FULL, "-o", "name"),
    "unknown output": ("s", *_FULL, "-o", "nothing"),
    "unknown flag": ("s", *_FULL, "--docker-passwort=x"),
}  # fmt: skip

_OWN_WORDS = {
    "file and no name",  # kubectl counts its arguments
    "two names",
    "unknown output",  # kubectl has more formats
    "unknown flag",
    "stray quote",  # Go's CSV reader says where
}
"""Refusals of the command line itself: each program has its own words."""


@pytest.mark.parametrize("case", _CASES)
def test_bytes_and_refusals_are_kubectls(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    arguments = _CASES[case]
    monkeypatch.chdir(folder)
    formatted = arguments if any(word.startswith("-o") for word in arguments) else (*arguments, "-o=yaml")
    theirs = kubectl(formatted, folder)
    ours = sealift(formatted, capsysbinary)
    assert ours[1] == theirs[1]
    assert bool(ours[0]) == bool(theirs[0])
    if case not in _OWN_WORDS:
        assert ours[2] == theirs[2]


def test_this_is_the_kubectl_that_the_table_is_for() -> None:
    ran = subprocess.run([KUBECTL, "version", "--client"], capture_output=True, check=True, timeout=30)
    assert ran.stdout.startswith(b"Client Version: v1.37.")
