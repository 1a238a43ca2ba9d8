"""Mutual TLS between services: everybody shows a certificate of one authority, which is read again when it is renewed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where a process finds its certificate with those between it and the authority, its key, and the authority's."""

    certificate: Path
    key: Path
    authority: Path


class Credentials(NamedTuple):
    """What the files hold, as PEM."""

    certificate: bytes
    key: bytes
    authority: bytes


def read(files: TlsFiles) -> Credentials:
    """What the files hold. Raises ValueError that names the file at fault, and quotes nothing of it."""
    found = Credentials(files.certificate.read_bytes(), files.key.read_bytes(), files.authority.read_bytes())
    certificate = _certificate(files.certificate, found.certificate)
    _certificate(files.authority, found.authority)
    try:
        key = load_pem_private_key(found.key, password=None)
    except (ValueError, TypeError):
        raise ValueError(f"{files.key} holds no private key in PEM that can be read without a password") from None
    written = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*written) != certificate.public_key().public_bytes(*written):
        raise ValueError(f"{files.key} is not the key of {files.certificate}")
    return found


def _certificate(file: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise ValueError(f"{file} holds no certificate in PEM") from None


def watch(files: TlsFiles) -> Callable[[], Credentials]:
    """Answers what the files hold whenever it is asked, and reads them again when they were replaced.

    Files of which some were replaced and others not yet, or that can't be read, leave things as they are.
    """
    version = _version(files)
    held = read(files)

    def present() -> Credentials:
        nonlocal version, held
        try:
            seen = _version(files)
            if seen != version:
                held, version = read(files), seen
                _log.info("the certificate was read again")
        except (OSError, ValueError) as error:
            _log.warning("the new certificate can't be used", exc_info=error)
        return held

    return present


def _version(files: TlsFiles) -> tuple[tuple[int, int], ...]:
    stats = [file.stat() for file in (files.certificate, files.key, files.authority)]
    return tuple((seen.st_mtime_ns, seen.st_ino) for seen in stats)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """A server's: it answers those alone whose certificate the authority has signed, and tells who it is itself."""
    present = watch(files)
    used = present()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        # Asked at every handshake; None leaves things as they are.
        nonlocal used
        if (now := present()) is used:
            return None
        used = now
        return _configuration(now)

    first = _configuration(used)
    return grpc.dynamic_ssl_server_credentials(first, renewed, require_client_authentication=True)  # type: ignore[arg-type]  # None is allowed


def _configuration(held: Credentials) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(held.key, held.certificate)], held.authority)


def channel_credentials(held: Credentials) -> grpc.ChannelCredentials:
    """A client's: it speaks to those alone whose certificate the authority has signed for the name that it called."""
    return grpc.ssl_channel_credentials(held.authority, held.key, held.certificate)
