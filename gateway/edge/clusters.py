"""The processes behind the edge, and how it connects to them."""

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    KeepaliveSettings,
    SocketAddress,
)
from envoy_data_plane.envoy.config.core.v3 import HttpProtocolOptions as CommonHttpProtocolOptions
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.google.protobuf import Any

from gateway.edge.template import UPSTREAMS

# A port is a number to Envoy's types. The rendering writes a placeholder where it finds one of these.
PORTS = {"edge": 1} | {name: number for number, name in enumerate(UPSTREAMS, start=2)}

# Far less than the hour after which the web server closes a quiet connection: no request must meet a closing one.
WEB_IDLE = timedelta(minutes=1)


def address(name: str) -> Address:
    """The placeholder address of a process."""
    return Address(socket_address=SocketAddress(address=f"${{{name.upper()}_HOST}}", port_value=PORTS[name]))


def _web_options() -> HttpProtocolOptions:
    return HttpProtocolOptions(
        common_http_protocol_options=CommonHttpProtocolOptions(idle_timeout=WEB_IDLE),
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions()),
    )


def _grpc_options() -> HttpProtocolOptions:
    keepalive = KeepaliveSettings(interval=timedelta(seconds=30), timeout=timedelta(seconds=10))
    return HttpProtocolOptions(
        explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=Http2ProtocolOptions(connection_keepalive=keepalive)
        )
    )


def cluster(name: str) -> Cluster:
    """One process, or all its replicas when its name stands for several addresses."""
    options = _web_options() if name == "web" else _grpc_options()
    return Cluster(
        name=name,
        type=ClusterDiscoveryType.STRICT_DNS,
        dns_lookup_family=ClusterDnsLookupFamily.V4_PREFERRED,
        connect_timeout=timedelta(seconds=2),
        # The defaults (1,024 each) are fewer than the shops that may deliver at once.
        circuit_breakers=CircuitBreakers(
            thresholds=[CircuitBreakersThresholds(max_connections=4096, max_pending_requests=8192, max_requests=8192)]
        ),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": Any.pack(options),
        },
        load_assignment=ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=Endpoint(address=address(name)))])],
        ),
    )


def clusters() -> list[Cluster]:
    """All of them."""
    return [cluster(name) for name in UPSTREAMS]
