"""Bearer tokens: ES256 JWTs that say who calls, for which tenant, and with which scopes."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from services.chassis.callers import Caller
from services.kernel.failures import UnauthenticatedError

ISSUER = "touchstone"
_ALGORITHM = "ES256"
_LONGEST_TRUST = 300.0
"""Seconds that a verification holds: a key that is withdrawn opens nothing after that."""
_MOST_CACHED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key (EC P-256) and the id under which its public half is published."""

    key_id: str
    private_key: ec.EllipticCurvePrivateKey

    def public_jwk(self) -> dict[str, Any]:
        """The public half as an entry of a JWKS."""
        jwk = ECAlgorithm.to_jwk(self.private_key.public_key(), as_dict=True)
        return {**jwk, "kid": self.key_id, "alg": _ALGORITHM, "use": "sig"}


def signing_key(private_key: ec.EllipticCurvePrivateKey) -> SigningKey:
    """The key under its thumbprint (RFC 7638), so that the same key has the same id everywhere."""
    jwk = ECAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    named = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(named, separators=(",", ":"), sort_keys=True).encode()
    return SigningKey(key_id=base64url_encode(sha256(canonical).digest()).decode(), private_key=private_key)


def load_signing_key(path: Path) -> SigningKey:
    """The key in a PEM file. Raises ValueError when it is no EC P-256 private key."""
    private_key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(private_key, ec.EllipticCurvePrivateKey) or not isinstance(private_key.curve, ec.SECP256R1):
        raise ValueError(f"{path.name} holds no EC P-256 private key")  # noqa: TRY004 - the file's content is a value
    return signing_key(private_key)


def issue(
    key: SigningKey,
    subject: str,
    tenant_id: str | None,
    scopes: Iterable[str],
    lifetime: timedelta,
) -> str:
    """A token for the subject that ends after `lifetime`; without a tenant it opens none, or names one in each call."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": subject,
        "scope": " ".join(sorted(scopes)),
        "iat": now,
        "exp": now + int(lifetime.total_seconds()),
    }
    if tenant_id is not None:
        claims["tenant"] = tenant_id
    return jwt.encode(claims, key.private_key, algorithm=_ALGORITHM, headers={"kid": key.key_id})


class _Verified(NamedTuple):
    caller: Caller
    until: float
    """Unix time in seconds after which the token is verified again."""


class Verifier:
    """Verifies tokens against the keys of a JWKS file, which is read again when a key is not among those known.

    Raises ValueError when it is made with a file that is no JWKS.
    """

    def __init__(self, jwks_file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._jwks_file = jwks_file
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_version: tuple[int, int] | None = None
        self._verified: dict[bytes, _Verified] = {}
        self._read_keys()

    def verify(self, token: str) -> Caller:
        """Who holds the token. Raises UnauthenticatedError, which says whether it is unusable or has expired."""
        digest = sha256(token.encode()).digest()
        now = self._clock()
        known = self._verified.get(digest)
        if known is not None and now < known.until:
            return known.caller
        claims = self._claims(token, now)
        tenant = claims.get("tenant")
        scope = claims.get("scope", "")
        if not isinstance(scope, str) or not (tenant is None or (isinstance(tenant, str) and tenant)):
            raise _unusable()
        ends = float(claims["exp"])
        caller = Caller(subject=claims["sub"], tenant_id=tenant, scopes=frozenset(scope.split()), expire_time=ends)
        if len(self._verified) >= _MOST_CACHED:
            self._verified.clear()
        self._verified[digest] = _Verified(caller, min(ends, now + _LONGEST_TRUST))
        return caller

    def _claims(self, token: str, now: float) -> dict[str, Any]:
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                options={"require": ["exp", "iss", "sub"], "verify_exp": False, "verify_aud": False},
            )
        except jwt.InvalidTokenError:
            raise _unusable() from None
        if not isinstance(claims["exp"], int | float):
            raise _unusable()
        if claims["exp"] <= now:
            raise expired()
        return claims

    def _key(self, key_id: object) -> jwt.PyJWK:
        if not isinstance(key_id, str):
            raise _unusable()
        if key_id not in self._keys:
            self._read_keys()
        if key_id not in self._keys:
            raise _unusable()
        return self._keys[key_id]

    def _read_keys(self) -> None:
        """Reads the file if it changed, so that made-up key ids cost no more than a look at its time."""
        seen = self._jwks_file.stat()
        version = (seen.st_mtime_ns, seen.st_ino)
        if version == self._read_version:
            return
        try:
            published = json.loads(self._jwks_file.read_bytes())["keys"]
            usable = [entry for entry in published if entry.get("crv") == "P-256" and entry.get("kid")]
            self._keys = {entry["kid"]: jwt.PyJWK(entry, _ALGORITHM) for entry in usable}
        except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
            raise ValueError(f"{self._jwks_file.name} is no JWKS") from error
        self._read_version = version


def expired() -> UnauthenticatedError:
    """That a token is too old."""
    return UnauthenticatedError("TOKEN_EXPIRED", "The token has expired: ask for a new one.")


def _unusable() -> UnauthenticatedError:
    return UnauthenticatedError("TOKEN_INVALID", "The token is not one of this installation.")


def read_token(path: Path) -> Callable[[], str]:
    """Answers the token in a file, each time it is asked; reads the file again when it was replaced."""
    version: tuple[int, int] | None = None
    token = ""

    def present() -> str:
        nonlocal version, token
        seen = path.stat()
        if (seen.st_mtime_ns, seen.st_ino) != version:
            token = path.read_text().strip()
            version = (seen.st_mtime_ns, seen.st_ino)
        return token

    return present
