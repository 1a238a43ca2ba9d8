"""The keys and tokens of an installation, made at its first start."""

import base64
import json
import os
import secrets
from datetime import timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.chassis import tokens
from services.chassis.callers import INSTALLATION, MESH

SIGNING_KEY = "signing-key.pem"
JWKS = "jwks.json"
SECRETS_KEY = "secrets.key"
SERVICE_TOKEN = "service.token"  # noqa: S105 - a file's name
ADMIN_TOKEN = "admin.token"  # noqa: S105 - a file's name

_LIFETIME = timedelta(days=366)
_RENEWED_BEFORE_END = timedelta(days=183)


def create_installation(directory: Path) -> None:
    """Makes whatever is missing of the installation's keys and tokens; what is there and good stays as it is.

    Files are readable by their owner alone. Other issuers' keys in the JWKS are kept. A token is issued anew when
    the second half of its year begins, or when the signing key was replaced.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (directory / SIGNING_KEY).exists():
        private_key = ec.generate_private_key(ec.SECP256R1())
        pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(directory / SIGNING_KEY, pem)
    if not (directory / SECRETS_KEY).exists():
        _write(directory / SECRETS_KEY, base64.b64encode(secrets.token_bytes(32)))
    key = tokens.load_signing_key(directory / SIGNING_KEY)
    _publish(key, directory / JWKS)
    _renew(key, directory / SERVICE_TOKEN, subject="service", scope=MESH)
    _renew(key, directory / ADMIN_TOKEN, subject="operator", scope=INSTALLATION)


def _publish(key: tokens.SigningKey, path: Path) -> None:
    published = json.loads(path.read_bytes())["keys"] if path.exists() else []
    if all(entry.get("kid") != key.key_id for entry in published):
        _write(path, json.dumps({"keys": [key.public_jwk(), *published]}, indent=2).encode())


def _renew(key: tokens.SigningKey, path: Path, *, subject: str, scope: str) -> None:
    try:
        jwt.decode(
            path.read_text().strip(),
            key.private_key.public_key(),
            algorithms=["ES256"],
            leeway=-_RENEWED_BEFORE_END,
            options={"verify_iat": False},
        )
    except (FileNotFoundError, jwt.InvalidTokenError):
        _write(path, tokens.issue(key, subject, None, [scope], _LIFETIME).encode())


def _write(path: Path, content: bytes) -> None:
    """Puts the whole file in place at once, never readable by others."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
