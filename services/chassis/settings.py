"""What a process is told by its environment; everything that is wrong is said at once, before anything starts."""

import sys
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis import tls

_SCHEMES = ("postgresql://", "postgres://")


class MeshSettings(BaseSettings):
    """What every process of the mesh is told. The addresses' defaults are the names that a cluster gives."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    redis_url: str | None = Field(None, validation_alias="REDIS_URL")
    """Where wake-ups travel; without it followers poll."""
    listen: str = Field("127.0.0.1:0", validation_alias="TOUCHSTONE_LISTEN")
    """`host:port` of the gRPC server; port 0 takes a free one."""
    ingest_address: str = Field("ingest:50051", validation_alias="TOUCHSTONE_INGEST_ADDRESS")
    identity_address: str = Field("identity:50051", validation_alias="TOUCHSTONE_IDENTITY_ADDRESS")
    attribution_address: str = Field("attribution:50051", validation_alias="TOUCHSTONE_ATTRIBUTION_ADDRESS")
    reporting_address: str = Field("reporting:50051", validation_alias="TOUCHSTONE_REPORTING_ADDRESS")
    jwks_file: Path = Field(validation_alias="TOUCHSTONE_JWKS_FILE")
    """The public keys of those who issue tokens, as a JWKS."""
    service_token_file: Path = Field(validation_alias="TOUCHSTONE_SERVICE_TOKEN_FILE")
    """The bearer token that this process calls others with; its scope is "mesh"."""
    tls_certificate_file: Path | None = Field(None, validation_alias="TOUCHSTONE_TLS_CERTIFICATE_FILE")
    """The certificate that this process shows to others, and those between it and the authority (PEM)."""
    tls_key_file: Path | None = Field(None, validation_alias="TOUCHSTONE_TLS_KEY_FILE")
    """Its key (PEM)."""
    tls_authority_file: Path | None = Field(None, validation_alias="TOUCHSTONE_TLS_CA_FILE")
    """The authority that signs the certificates of all processes of the mesh (PEM)."""
    otlp_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """Where traces and metrics go; without it none are made."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="TOUCHSTONE_LOG_LEVEL")

    @field_validator("jwks_file", "service_token_file")
    @classmethod
    def _exists(cls, path: Path) -> Path:
        if not path.is_file():
            raise ValueError("there is no such file")
        return path

    @field_validator("listen", "ingest_address", "identity_address", "attribution_address", "reporting_address")
    @classmethod
    def _names_a_port(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("must be host:port")
        return address

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        files = (self.tls_certificate_file, self.tls_key_file, self.tls_authority_file)
        if any(files) and not all(files):
            names = "TOUCHSTONE_TLS_CERTIFICATE_FILE, TOUCHSTONE_TLS_KEY_FILE and TOUCHSTONE_TLS_CA_FILE"
            raise ValueError(f"{names} are given together, or none of them")
        if self.tls_files is not None:
            try:
                tls.read(self.tls_files)
            except OSError as error:
                raise ValueError(f"{error.filename} can't be read") from None
        return self

    @property
    def tls_files(self) -> tls.TlsFiles | None:
        """What this process shows to its neighbours, and knows them by; None where they speak in the clear."""
        certificate, key, authority = self.tls_certificate_file, self.tls_key_file, self.tls_authority_file
        if certificate is None or key is None or authority is None:
            return None
        return tls.TlsFiles(certificate=certificate, key=key, authority=authority)


class ServiceSettings(MeshSettings):
    """What a service with a database is told besides."""

    database_url: str = Field(validation_alias="DATABASE_URL")
    """`postgresql://user:password@host:port/database`."""
    signing_key_file: Path | None = Field(None, validation_alias="TOUCHSTONE_SIGNING_KEY_FILE")
    """The private key that tokens are signed with (PEM, EC P-256); only for the service that issues them."""
    secrets_key_file: Path | None = Field(None, validation_alias="TOUCHSTONE_SECRETS_KEY_FILE")
    """The key of secrets at rest (32 bytes in base64); only for the service that keeps them."""

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: str) -> str:
        if not url.startswith(_SCHEMES):
            raise ValueError("must be postgresql://user:password@host:port/database")
        return url


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(kind: type[SettingsT]) -> SettingsT:
    """The settings of this process. Prints everything that is wrong with them, never a value, and exits with 2."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = ".".join(str(part) for part in problem["loc"])
            sys.stderr.write(f"{name}: {problem['msg']}\n" if name else f"{problem['msg']}\n")
        raise SystemExit(2) from None
