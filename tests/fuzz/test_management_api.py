"""The management API under schemathesis: requests made from its own OpenAPI document, right and wrong ones.

What is looked at: no 500; no answer that the document does not know; nothing
wrong accepted, nothing right refused; no route open without a credential.
``make fuzz`` runs it for longer.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.served import basic, serving

pytestmark = [pytest.mark.laws, pytest.mark.slow]

EXAMPLES = os.environ.get("SEALIFT_FUZZ_EXAMPLES", "10")
"""Requests for each operation and phase, besides those of the boundaries."""

CONFIGURATION = """\
# A password that anyone would try first is refused, and no schema can say which those are.
[[operations]]
include-name = ["POST /api/v1/accounts", "PUT /api/v1/accounts/{name}/password"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 429]
"""


def test_it_keeps_to_its_own_document(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "schemathesis"
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    with serving(tmp_path / "data") as server:
        ran = subprocess.run(
            [
                str(program),
                "run",
                f"http://{server.address}/api/v1/openapi.json",
                "--header",
                f"Authorization: {basic('admin', server.admin_password)}",
                "--max-examples",
                EXAMPLES,
                "--seed",
                "1",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        log = server.log.read_text()
    assert ran.returncode == 0, ran.stdout[-6000:]
    generated = re.search(r"(\d+) generated", ran.stdout)
    assert generated is not None, ran.stdout
    assert int(generated[1]) > 200
    assert "Traceback" not in log
