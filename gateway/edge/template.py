"""Fills the rendered configuration with the addresses of one installation; needs nothing but this file's folder."""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from string import Template
from typing import Any, Final

TEMPLATE = Path(__file__).with_name("envoy.yaml")

UPSTREAMS = ("web", "ingest", "identity", "attribution", "reporting")

_TYPES: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_CERTIFICATE, _AUTHORITY = "certificate.json", "authority.json"


def secrets(certificate: Path, key: Path, authority: Path) -> dict[str, str]:
    """What the edge shows to services and knows them by, as files by name.

    Envoy reads again what they name when it was moved into the place of the old.
    """
    shown = {
        "certificate_chain": {"filename": str(certificate)},
        "private_key": {"filename": str(key)},
        "watched_directory": {"path": str(certificate.parent)},
    }
    trusted = {
        "trusted_ca": {"filename": str(authority)},
        "watched_directory": {"path": str(authority.parent)},
    }
    kept = {_CERTIFICATE: {"tls_certificate": shown}, _AUTHORITY: {"validation_context": trusted}}
    return {
        name: json.dumps({"resources": [{"@type": f"{_TYPES}.Secret", "name": name, **secret}]})
        for name, secret in kept.items()
    }


def fill(listen: str, upstreams: Mapping[str, str], jwks_file: Path, *, secrets_in: Path | None = None) -> str:
    """The configuration of an edge that listens on `listen`; addresses are `host:port`, one for each of UPSTREAMS.

    It speaks TLS to the services where there is a directory with `secrets`.
    """
    # Quoted as JSON, which YAML reads as it is: a path or an address may hold what means something to YAML.
    values = {"JWKS_FILE": json.dumps(str(jwks_file))}
    for name, address in {"edge": listen, **{name: upstreams[name] for name in UPSTREAMS}}.items():
        host, _, port = address.rpartition(":")
        values |= {f"{name.upper()}_HOST": json.dumps(host.strip("[]")), f"{name.upper()}_PORT": str(int(port))}
        values[f"{name.upper()}_TLS"] = json.dumps(None if secrets_in is None else _tls(host.strip("[]"), secrets_in))
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _tls(host: str, secrets_in: Path) -> dict[str, Any]:
    """How a service is spoken to that is called by this name or address."""
    try:
        kind, named = "IP_ADDRESS", {}
        ip_address(host)
    except ValueError:
        kind, named = "DNS", {"sni": host}
    told = {
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [_secret(_CERTIFICATE, secrets_in)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}]
            },
            "validation_context_sds_secret_config": _secret(_AUTHORITY, secrets_in),
        },
    }
    context = {"@type": f"{_TYPES}.UpstreamTlsContext", **named, "common_tls_context": told}
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _secret(name: str, secrets_in: Path) -> dict[str, Any]:
    source = {"path_config_source": {"path": str(secrets_in / name)}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}
