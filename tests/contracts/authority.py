"""Certificates for tests, in files as an installation keeps them."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.chassis.tls import TlsFiles

NAMES = ("certificate", "key", "authority")


class Authority:
    """Signs certificates of processes on this machine."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed(
            self._key.public_key(), "authority", [(x509.BasicConstraints(True, None), True)]
        )

    def _signed(self, key: ec.EllipticCurvePublicKey, name: str, extensions: list) -> x509.Certificate:
        now = datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(hours=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, directory: Path) -> TlsFiles:
        """A certificate for 127.0.0.1, its key and the authority's, in files, which are replaced where they are."""
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = self._signed(key.public_key(), "process", [(here, False)])
        told = (
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            self._certificate.public_bytes(Encoding.PEM),
        )
        directory.mkdir(exist_ok=True)
        for name, pem in zip(NAMES, told, strict=True):
            (directory / f"{name}.new").write_bytes(pem)
            (directory / f"{name}.new").replace(directory / name)
        return TlsFiles(**{name: directory / name for name in NAMES})
