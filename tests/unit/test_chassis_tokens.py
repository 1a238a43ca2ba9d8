"""Tokens: who holds what, and what is turned away."""

import base64
import json
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.chassis import keys, tokens
from services.chassis.callers import Caller
from services.kernel.failures import PermissionDeniedError, UnauthenticatedError

HOUR = timedelta(hours=1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    keys.create_installation(tmp_path)
    return tmp_path


@pytest.fixture
def key(directory: Path) -> tokens.SigningKey:
    return tokens.load_signing_key(directory / "signing-key.pem")


@pytest.fixture
def verifier(directory: Path) -> tokens.Verifier:
    return tokens.Verifier(directory / "jwks.json")


def _forged(key: tokens.SigningKey, **claims: object) -> str:
    full = {"iss": "touchstone", "sub": "shop", "scope": "admin", "exp": 4_000_000_000, **claims}
    kept = {name: value for name, value in full.items() if value is not None}
    return jwt.encode(kept, key.private_key, algorithm="ES256", headers={"kid": key.key_id})


def _reason(verifier: tokens.Verifier, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        verifier.verify(token)
    return caught.value.reason


def test_a_token_says_who_holds_it(key, verifier):
    token = tokens.issue(key, "shop", "acme", ["reports:read", "admin"], HOUR)
    expected = Caller(subject="shop", tenant_id="acme", scopes=frozenset({"reports:read", "admin"}))
    found = verifier.verify(token)
    assert replace(found, expire_time=expected.expire_time) == expected
    assert 0 <= time.time() + HOUR.total_seconds() - found.expire_time < 60
    assert verifier.verify(token) is verifier.verify(token), "a verified token is remembered"


def test_a_token_without_tenant_names_none(key, verifier):
    assert verifier.verify(tokens.issue(key, "service", None, ["mesh"], HOUR)).tenant_id is None


@pytest.mark.parametrize(
    "claims",
    [{"iss": "elsewhere"}, {"iss": None}, {"sub": None}, {"exp": None}, {"exp": "soon"}, {"tenant": ""}, {"tenant": 7}],
)
def test_a_signed_token_with_wrong_claims_is_turned_away(key, verifier, claims):
    assert _reason(verifier, _forged(key, **claims)) == "TOKEN_INVALID"


@pytest.mark.parametrize("token", ["", "no token", "a.b.c", "e30.e30.e30"])
def test_what_is_no_token_is_turned_away(verifier, token):
    assert _reason(verifier, token) == "TOKEN_INVALID"


def test_a_changed_token_is_turned_away(key, verifier):
    head, claims, signature = tokens.issue(key, "shop", "acme", ["admin"], HOUR).split(".")
    other = base64.urlsafe_b64encode(
        json.dumps({**json.loads(base64.urlsafe_b64decode(claims + "==")), "tenant": "other"}).encode()
    )
    assert _reason(verifier, f"{head}.{other.decode().rstrip('=')}.{signature}") == "TOKEN_INVALID"


def test_another_algorithm_is_turned_away(key, verifier):
    claims = {"iss": "touchstone", "sub": "shop", "scope": "admin", "exp": 4_000_000_000}
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": key.key_id})
    assert _reason(verifier, unsigned) == "TOKEN_INVALID"
    symmetric = jwt.encode(claims, key.public_jwk()["x"], algorithm="HS256", headers={"kid": key.key_id})
    assert _reason(verifier, symmetric) == "TOKEN_INVALID"


def test_a_token_ends_although_it_is_remembered(directory, key):
    now = 1_800_000_000.0
    verifier = tokens.Verifier(directory / "jwks.json", clock=lambda: now)
    token = _forged(key, exp=now + 10)
    verifier.verify(token)
    now += 9
    verifier.verify(token)
    now += 1
    assert _reason(verifier, token) == "TOKEN_EXPIRED"


def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(directory, key):
    now = 1_800_000_000.0
    verifier = tokens.Verifier(directory / "jwks.json", clock=lambda: now)
    old = _forged(key)
    verifier.verify(old)
    newer = tokens.signing_key(ec.generate_private_key(ec.SECP256R1()))
    assert _reason(verifier, _forged(newer)) == "TOKEN_INVALID"
    replacement = directory / "replacement"
    replacement.write_text(json.dumps({"keys": [newer.public_jwk()]}))
    replacement.replace(directory / "jwks.json")
    assert verifier.verify(_forged(newer)).subject == "shop"
    now += 301
    assert _reason(verifier, old) == "TOKEN_INVALID"


def test_a_file_that_is_no_jwks_is_said_at_the_start(tmp_path):
    for content in ("", "{}", "[]", '{"keys": [{"kid": "a", "crv": "P-256"}]}'):
        (tmp_path / "jwks.json").write_text(content)
        with pytest.raises(ValueError, match=r"jwks\.json is no JWKS"):
            tokens.Verifier(tmp_path / "jwks.json")


def test_an_installation_is_made_once(directory):
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert set(before) == {"signing-key.pem", "jwks.json", "secrets.key", "service.token", "admin.token"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in directory.iterdir())
    assert len(base64.b64decode(before["secrets.key"])) == 32
    keys.create_installation(directory)
    assert before == {path.name: path.read_bytes() for path in directory.iterdir()}


def test_an_installations_tokens_open_what_they_should(directory, verifier):
    service = verifier.verify((directory / "service.token").read_text())
    operator = verifier.verify((directory / "admin.token").read_text())
    assert (service.scopes, operator.scopes) == ({"mesh"}, {"installation"})
    assert service.has_any(frozenset({"admin", "mesh"}))
    assert not service.has_any(frozenset({"admin"}))
    assert operator.has_any(frozenset({"reports:read"}))


def test_a_replaced_signing_key_renews_the_tokens_and_keeps_other_issuers(directory):
    (directory / "signing-key.pem").unlink()
    (directory / "service.token").write_text("broken")
    keys.create_installation(directory)
    assert len(json.loads((directory / "jwks.json").read_text())["keys"]) == 2
    verifier = tokens.Verifier(directory / "jwks.json")
    assert verifier.verify((directory / "service.token").read_text()).subject == "service"


def test_a_token_that_ends_within_half_a_year_is_renewed(directory, key):
    short = tokens.issue(key, "service", None, ["mesh"], timedelta(days=180))
    (directory / "service.token").write_text(short)
    keys.create_installation(directory)
    assert (directory / "service.token").read_text() != short


def test_a_replaced_token_file_is_read_again(directory):
    token = tokens.read_token(directory / "service.token")
    first = token()
    (directory / "new").write_text("second\n")
    (directory / "new").replace(directory / "service.token")
    assert (first != "second", token()) == (True, "second")


def test_only_services_and_operators_name_a_tenant():
    service = Caller(subject="service", tenant_id=None, scopes=frozenset({"mesh"}))
    shop = Caller(subject="shop", tenant_id="acme", scopes=frozenset({"admin"}))
    assert service.about("acme").tenant_id == "acme"
    assert service.about(None) is service
    assert shop.about("acme") is shop
    for caller in (shop, Caller(subject="stray", tenant_id=None, scopes=frozenset({"admin"}))):
        with pytest.raises(PermissionDeniedError):
            caller.about("other")
