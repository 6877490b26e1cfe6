import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import select

from sealift.protocol.scope import Scope
from sealift.registry.access.token_issuer import (
    TokenClaims,
    TokenIssuer,
    TokenRefused,
    ensure_signing_key,
    rotate_signing_key,
)
from sealift.registry.catalog.database import Catalog, Query
from sealift.registry.catalog.schema import signing_key
from sealift.registry.data_directory import DataDirectory
from sealift.registry.exchange import ANONYMOUS, Principal

_PEMS = Query(select(signing_key.c.private_pem))

NOW = 1_800_000_000.0
ASHOK = Principal(id=7, name="ashok")
PULL = Scope("apps/web", frozenset({"pull"}))


class Clock:
    def __init__(self) -> None:
        self.seconds = NOW

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    data = DataDirectory(tmp_path / "data")
    with data.lock():
        data.prepare()
        with Catalog(data.catalog) as opened:
            opened.write_now(lambda transaction: ensure_signing_key(transaction, now=1))
            yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(catalog: Catalog, clock: Clock) -> TokenIssuer:
    return _issuer(catalog, clock)


def _issuer(catalog: Catalog, clock: Clock, **changed: Any) -> TokenIssuer:
    settings: dict[str, Any] = {"issuer": "sealift", "service": "registry.test", "lifetime_seconds": 300}
    return TokenIssuer(catalog, **(settings | changed), now=clock)


def _token(issuer: TokenIssuer, *scopes: Scope) -> str:
    return issuer.issue(ASHOK, generation=3, scopes=scopes or (PULL,))[0]


def test_what_is_issued_is_read_back(issuer: TokenIssuer) -> None:
    scopes = (
        PULL,
        Scope("apps/db", frozenset({"push", "pull"})),
        Scope("catalog", frozenset({"*"}), "registry"),
    )
    token, lifetime, issued = issuer.issue(ASHOK, generation=3, scopes=scopes)
    assert (lifetime, issued) == (300, NOW)
    assert issuer.read(token) == TokenClaims(
        principal_id=7,
        generation=3,
        subject="ashok",
        expires_at=NOW + 300,
        actions={"apps/web": frozenset({"pull"}), "apps/db": frozenset({"pull", "push"})},
        registry=frozenset({"catalog"}),
    )


def test_a_token_for_nobody(issuer: TokenIssuer) -> None:
    token, _, _ = issuer.issue(ANONYMOUS, generation=0, scopes=())
    assert issuer.read(token).principal_id is None


def test_every_worker_reads_what_another_has_issued(catalog: Catalog, clock: Clock) -> None:
    token = _token(_issuer(catalog, clock))
    assert _issuer(catalog, clock).read(token).subject == "ashok"


def test_a_token_ends_also_where_its_signature_is_remembered(issuer: TokenIssuer, clock: Clock) -> None:
    token = _token(issuer)
    issuer.read(token)
    clock.seconds += 299.9
    issuer.read(token)
    clock.seconds = NOW + 300
    for _ in range(2):
        with pytest.raises(TokenRefused):
            issuer.read(token)


def test_a_token_is_not_valid_before_it_is(issuer: TokenIssuer, clock: Clock) -> None:
    token = _token(issuer)
    clock.seconds -= 60
    with pytest.raises(TokenRefused):
        issuer.read(token)


@pytest.mark.parametrize("changed", [{"issuer": "another"}, {"service": "another.test"}])
def test_a_token_of_another_registry_with_the_same_key_is_refused(
    catalog: Catalog, clock: Clock, issuer: TokenIssuer, changed: dict[str, str]
) -> None:
    token = _token(_issuer(catalog, clock, **changed))
    with pytest.raises(TokenRefused):
        issuer.read(token)


def test_a_rotated_key_still_verifies_and_signs_nothing_more(
    catalog: Catalog, clock: Clock, issuer: TokenIssuer
) -> None:
    before = _token(issuer)
    kid = catalog.write_now(lambda transaction: rotate_signing_key(transaction, now=2))
    after = _token(issuer)
    assert _header(after)["kid"] == kid != _header(before)["kid"]
    clock.seconds += 2  # an unknown kid is looked for at most once a second
    for reader in (issuer, _issuer(catalog, clock)):
        assert reader.read(before).subject == reader.read(after).subject == "ashok"


def test_another_worker_learns_of_a_new_key_by_meeting_it(catalog: Catalog, clock: Clock) -> None:
    here, there = _issuer(catalog, clock), _issuer(catalog, clock)
    there.read(_token(here))
    catalog.write_now(lambda transaction: rotate_signing_key(transaction, now=2))
    token = _token(here)
    clock.seconds += 1
    assert there.read(token).subject == "ashok"


def test_one_key_is_made_and_kept(catalog: Catalog) -> None:
    again = catalog.write_now(lambda transaction: ensure_signing_key(transaction, now=2))
    assert again == catalog.write_now(lambda transaction: ensure_signing_key(transaction, now=3))


# --------------------------------------------------------------- forgeries


def _part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _header(token: str) -> Any:
    text = token.split(".", maxsplit=1)[0]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _payload(token: str) -> Any:
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _signed(header: dict[str, Any], payload: object, key: Any, algorithm: str) -> str:
    return jws.serialize_compact(header, json.dumps(payload).encode(), key, algorithms=[algorithm])


def _mac(header: dict[str, Any], payload: object, secret: bytes) -> str:
    """An HS256 token, by hand: the library refuses to be misused for it."""
    signed = f"{_part(header)}.{_part(payload)}"
    signature = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _forgeries(token: str, public_pem: bytes) -> dict[str, str]:
    """Every way we know to make a token that a careless reader takes."""
    header, payload = _header(token), _payload(token)
    head, body, signature = token.split(".")
    foreign = ECKey.generate_key("P-256")
    embedded = foreign.as_dict(private=False)
    wider = payload | {"access": [{"type": "repository", "name": "apps/web", "actions": ["pull", "push"]}]}
    return {
        "alg none": f"{_part(header | {'alg': 'none'})}.{body}.",
        "alg None": f"{_part(header | {'alg': 'None'})}.{body}.",
        "alg none, signature kept": f"{_part(header | {'alg': 'none'})}.{body}.{signature}",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": f"{token}.{signature}",
        "payload altered": f"{head}.{_part(wider)}.{signature}",
        "header altered": f"{_part(header | {'typ': 'at+jwt'})}.{body}.{signature}",
        "signed by another key, our kid": _signed(header, payload, foreign, "ES256"),
        "signed by another key, its own kid": _signed(
            header | {"kid": foreign.thumbprint()}, payload, foreign, "ES256"
        ),
        "embedded jwk": _signed(header | {"jwk": embedded}, payload, foreign, "ES256"),
        "embedded jwk, no kid": _signed(
            {"alg": "ES256", "typ": "JWT", "jwk": embedded}, payload, foreign, "ES256"
        ),
        "jku": f"{_part(header | {'jku': 'https://evil.test/keys'})}.{body}.{signature}",
        "x5c": f"{_part(header | {'x5c': ['MIIB']})}.{body}.{signature}",
        "crit": f"{_part(header | {'crit': ['exp']})}.{body}.{signature}",
        "b64 false": f"{_part(header | {'b64': False, 'crit': ['b64']})}.{body}.{signature}",
        "HS256 with our public key": _mac(header | {"alg": "HS256"}, payload, public_pem),
        "RS256": _signed(header | {"alg": "RS256"}, payload, RSAKey.generate_key(2048), "RS256"),
        "ES384": _signed(header | {"alg": "ES384"}, payload, ECKey.generate_key("P-384"), "ES384"),
        "no kid": f"{_part({'alg': 'ES256', 'typ': 'JWT'})}.{body}.{signature}",
        "kid is no text": f"{_part(header | {'kid': 7})}.{body}.{signature}",
        "kid that climbs": f"{_part(header | {'kid': '../../etc/passwd'})}.{body}.{signature}",
        "header is a list": f"{_part([header])}.{body}.{signature}",
        "not base64": f"!!!.{body}.{signature}",
        "not ASCII": "ü.ü.ü",
        "empty": "",
        "dots": "..",
        "long": "a" * 100_000,
        "nested": f"{_part(json.loads('[' * 400 + ']' * 400))}.{body}.{signature}",
    }


def test_no_forgery_is_taken(catalog: Catalog, issuer: TokenIssuer) -> None:
    token = _token(issuer)
    (pem,) = {row[0] for row in catalog.all(_PEMS)}
    public = ECKey.import_key(pem).as_pem(private=False)
    taken = []
    for name, forged in _forgeries(token, public).items():
        try:
            issuer.read(forged)
        except TokenRefused:
            continue
        taken.append(name)
    assert taken == []
    assert issuer.read(token).subject == "ashok"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"exp": None}, id="no exp"),
        pytest.param({"exp": "never"}, id="exp is no number"),
        pytest.param({"aud": ["registry.test", "other"]}, id="several audiences"),
        pytest.param({"pid": "7"}, id="the principal is no number"),
        pytest.param({"admin": True}, id="a claim that we do not write"),
        pytest.param({"access": {}}, id="access is no list"),
    ],
)
def test_a_payload_that_we_would_not_write_is_refused_even_if_signed(
    catalog: Catalog, issuer: TokenIssuer, changed: dict[str, Any]
) -> None:
    token = _token(issuer)
    (pem,) = {row[0] for row in catalog.all(_PEMS)}
    payload = {key: value for key, value in (_payload(token) | changed).items() if value is not None}
    with pytest.raises(TokenRefused):
        issuer.read(_signed(_header(token), payload, ECKey.import_key(pem), "ES256"))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"typ": "at+jwt"}, id="another kind of token"),
        pytest.param({"jku": "https://evil.test/keys"}, id="a place for keys"),
        pytest.param({"cty": "JWT"}, id="a field that we do not write"),
    ],
)
def test_a_header_that_we_would_not_write_is_refused_even_if_signed(
    catalog: Catalog, issuer: TokenIssuer, changed: dict[str, str]
) -> None:
    token = _token(issuer)
    (pem,) = {row[0] for row in catalog.all(_PEMS)}
    with pytest.raises(TokenRefused):
        issuer.read(_signed(_header(token) | changed, _payload(token), ECKey.import_key(pem), "ES256"))


def test_the_private_key_does_not_show_itself(issuer: TokenIssuer) -> None:
    _token(issuer)
    (key,) = issuer._keys.values()
    secret = key.key.as_dict(private=True)["d"]
    assert str(secret) not in repr(key)
