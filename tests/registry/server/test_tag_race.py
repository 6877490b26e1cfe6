"""Pushes that race for one tag, at two processes of a real server."""

import base64
import hashlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from tests.registry.server.serving import serving

from sealift.image.manifest import OCI_INDEX

RACERS = 6
ROUNDS = 8


def document(salt: str) -> bytes:
    """A manifest that needs nothing, another for each salt."""
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"salt": salt}}
    ).encode()


def test_row_13_of_pushes_that_race_for_an_immutable_tag_one_wins(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as server, ThreadPoolExecutor(RACERS) as racers:
        auth = "Basic " + base64.b64encode(f"admin:{server.password}".encode()).decode()

        def manage(method: str, path: str, body: object) -> int:
            return server.ask(method, "/api/v1" + path, body=json.dumps(body).encode(), auth=auth)[0]

        assert manage("POST", "/repositories", {"name": "apps/race"}) == 201
        assert manage("PATCH", "/repositories/apps/race", {"immutable": ["v*"]}) == 200
        for turn in range(ROUNDS):
            target = f"/v2/apps/race/manifests/v{turn}"
            start = Barrier(RACERS)

            def race(number: int, target: str = target, start: Barrier = start) -> tuple[int, str]:
                body = document(f"{target} {number}")
                start.wait(30)
                headers = {"content-type": OCI_INDEX}
                status, _, _ = server.ask("PUT", target, headers=headers, body=body, auth=auth)
                return status, "sha256:" + hashlib.sha256(body).hexdigest()

            outcomes = list(racers.map(race, range(RACERS)))
            assert Counter(status for status, _ in outcomes) == {201: 1, 403: RACERS - 1}
            (winner,) = (digest for status, digest in outcomes if status == 201)
            _, headers, _ = server.ask("GET", target, auth=auth)
            assert headers["docker-content-digest"] == winner
        _, _, listed = server.ask("GET", "/api/v1/tag-history/apps/race", auth=auth)
        moves = json.loads(listed)["items"]
        assert len(moves) == ROUNDS
        assert {move["address"] for move in moves} == {"127.0.0.1"}


def test_the_address_in_a_history_is_the_clients_behind_a_proxy_that_is_named(tmp_path: Path) -> None:
    with serving(tmp_path, "--trusted-proxies", "127.0.0.1,10.0.0.0/8") as server:
        auth = "Basic " + base64.b64encode(f"admin:{server.password}".encode()).decode()
        headers = {"content-type": OCI_INDEX, "x-forwarded-for": "198.51.100.1, 203.0.113.9, 10.0.0.2"}
        pushed, _, _ = server.ask(
            "PUT", "/v2/apps/x/manifests/v1", headers=headers, body=document("x"), auth=auth
        )
        _, _, listed = server.ask("GET", "/api/v1/tag-history/apps/x", auth=auth)
        assert (pushed, json.loads(listed)["items"][0]["address"]) == (201, "203.0.113.9")
