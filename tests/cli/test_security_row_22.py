"""Row 22 of the table of what went wrong elsewhere: a secret in the text of an error about its own file."""

import json
import logging
from pathlib import Path

import pytest
from tests.cli.outcomes import Command

CANARY = "canary-Zq7-of-row-22"

BROKEN = (
    '{"auths": {"r.test": {"auth": "' + CANARY + '!!"}}}',
    '{"auths": {"r.test": {"username": "a", "password": "' + CANARY + '"',
    '{"auths": {"r.test": {"password": ["' + CANARY + '"]}}}',
    CANARY,
)


@pytest.mark.parametrize("document", BROKEN)
@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_row_22_a_broken_login_file_is_not_quoted(
    sealift: Command, home: Path, caplog: pytest.LogCaptureFixture, document: str, debug: tuple[str, ...]
) -> None:
    caplog.set_level(logging.DEBUG)
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(document)
    outcome = sealift("tags", "127.0.0.1:9/apps/web", *debug)
    assert outcome.status != 0
    assert CANARY not in outcome.out.decode() + outcome.err + caplog.text


@pytest.mark.parametrize("document", BROKEN)
@pytest.mark.parametrize("output", ["text", "json"])
def test_row_22_a_broken_pull_secret_is_not_quoted(
    sealift: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture, document: str, output: str
) -> None:
    caplog.set_level(logging.DEBUG)
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"
        "spec:\n  containers: [{name: web, image: r.test/a/b}]\n"
        "  imagePullSecrets: [{name: broken}]\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: broken}\n"
        "type: kubernetes.io/dockerconfigjson\n"
        f"stringData: {{.dockerconfigjson: {json.dumps(document)}}}\n"
    )
    outcome = sealift("explain", "-f", str(manifest), "-o", output)
    assert outcome.status in {0, 1}
    assert CANARY not in outcome.out.decode() + outcome.err + caplog.text
