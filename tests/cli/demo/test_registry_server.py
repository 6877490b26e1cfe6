"""Why the demo's registry did not start. That it does is in tests/peers/test_demo.py."""

import pytest

from sealift.cli.demo.registry_server import failure

ANOTHER_PORT = "sealift demo --listen 127.0.0.1:PORT, or without --listen for a free port"
BY_ITSELF = "start one by itself to see more: sealift serve --data DIR"


@pytest.mark.parametrize(
    ("printed", "why", "hint"),
    [
        pytest.param(
            "error: cannot listen on 127.0.0.1:80\n  why: Address already in use\n  next: another port\n",
            "cannot listen on 127.0.0.1:80: Address already in use",
            ANOTHER_PORT,
            id="what helps is an option of the demo",
        ),
        pytest.param(
            "warning: slow\nerror: the catalog cannot be used\n  why: disk is full\n  next: df -h /data\n",
            "the catalog cannot be used: disk is full",
            "df -h /data",
            id="what the registry says is passed on in its parts",
        ),
        pytest.param("error: bad\n", "bad", None, id="no reason and no advice"),
        pytest.param("one\ntwo\n three\nfour\n", "two / three / four", BY_ITSELF, id="the end of what else"),
        pytest.param("", "it printed nothing", BY_ITSELF, id="nothing"),
    ],
)
def test_why_it_did_not_start(printed: str, why: str, hint: str | None) -> None:
    failed = failure(printed)
    assert (str(failed), failed.why, failed.hint) == ("the demo's registry did not start", why, hint)
