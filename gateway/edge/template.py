"""Fills the rendered configuration with the addresses of one installation; needs nothing but this file's folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("envoy.yaml")

UPSTREAMS = ("web", "ingest", "identity", "attribution", "reporting")


def fill(listen: str, upstreams: Mapping[str, str], jwks_file: Path) -> str:
    """The configuration of an edge that listens on `listen`; addresses are `host:port`, one for each of UPSTREAMS."""
    # Quoted as JSON, which YAML reads as it is: a path or an address may hold what means something to YAML.
    values = {"JWKS_FILE": json.dumps(str(jwks_file))}
    for name, address in {"edge": listen, **{name: upstreams[name] for name in UPSTREAMS}}.items():
        host, _, port = address.rpartition(":")
        values |= {f"{name.upper()}_HOST": json.dumps(host.strip("[]")), f"{name.upper()}_PORT": str(int(port))}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values)
