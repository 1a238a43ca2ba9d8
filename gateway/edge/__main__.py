"""Renders the typed configuration into envoy.yaml: `python -m gateway.edge`."""

from typing import Any

import betterproto2
import yaml

from gateway.edge.clusters import PORTS
from gateway.edge.configuration import bootstrap
from gateway.edge.template import TEMPLATE

HEADING = "# Rendered by `python -m gateway.edge` from the Python beside it: change that, and render again.\n"


def _with_placeholders(value: Any) -> Any:
    names = {number: f"${{{name.upper()}_PORT}}" for name, number in PORTS.items()}
    match value:
        case {"@type": ""}:  # an empty Any, which Envoy's JSON writes like this
            return {}
        case {"port_value": number}:
            return {**value, "port_value": names[number]}
        case float() if value.is_integer():  # a Struct knows no other numbers
            return int(value)
        case dict():
            return {key: _with_placeholders(inner) for key, inner in value.items()}
        case list():
            return [_with_placeholders(inner) for inner in value]
        case _:
            return value


def render() -> str:
    """The configuration as YAML, with placeholders."""
    configuration = _with_placeholders(bootstrap().to_dict(casing=betterproto2.Casing.SNAKE))
    for cluster in configuration["static_resources"]["clusters"]:
        if cluster["name"] != "web":  # it speaks HTTP, beside the edge
            cluster["transport_socket"] = f"${{{cluster['name'].upper()}_TLS}}"
    return HEADING + yaml.safe_dump(
        configuration, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120
    )


if __name__ == "__main__":
    TEMPLATE.write_text(render(), encoding="utf-8")
