"""The whole configuration, typed: a misspelt field fails here, a wrong value in `envoy --mode validate`."""

from datetime import timedelta

from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap, BootstrapStaticResources
from envoy_data_plane.envoy.config.core.v3 import (
    CidrRange,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    Node,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.overload.v3 import OverloadManager, ResourceMonitor
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerCodecType,
    HttpConnectionManagerInternalAddressConfig,
    HttpConnectionManagerPathWithEscapedSlashesAction,
)
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import DownstreamConnectionsConfig
from envoy_data_plane.google.protobuf import Any

from gateway.edge.clusters import address, clusters
from gateway.edge.filters import http_filters
from gateway.edge.replies import local_replies
from gateway.edge.routes import routes

MOST_CONNECTIONS = 20_000
# Envoy takes an empty list for "every private address".
NOBODYS_ADDRESS = CidrRange(address_prefix="255.255.255.255", prefix_len=32)


def _connections() -> HttpConnectionManager:
    return HttpConnectionManager(
        stat_prefix="edge",
        codec_type=HttpConnectionManagerCodecType.AUTO,
        server_name="touchstone",
        route_config=routes(),
        http_filters=http_filters(),
        local_reply_config=local_replies(),
        common_http_protocol_options=HttpProtocolOptions(idle_timeout=timedelta(hours=1)),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=1000,
            initial_stream_window_size=1 << 20,
            initial_connection_window_size=1 << 24,
        ),
        # Somebody who sends nothing keeps nothing open. A live stream says something at least every minute.
        request_headers_timeout=timedelta(seconds=10),
        stream_idle_timeout=timedelta(minutes=5),
        # Whoever connects is a stranger, also from this machine: headers that steer Envoy are removed.
        use_remote_address=True,
        internal_address_config=HttpConnectionManagerInternalAddressConfig(cidr_ranges=[NOBODYS_ADDRESS]),
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=HttpConnectionManagerPathWithEscapedSlashesAction.KEEP_UNCHANGED,
        generate_request_id=False,  # traces have ids of their own
    )


def bootstrap() -> Bootstrap:
    """What Envoy starts with; addresses, ports and files are placeholders."""
    listener = Listener(
        name="edge",
        address=address("edge"),
        # Two installations must not share a port without knowing.
        enable_reuse_port=False,
        filter_chains=[
            FilterChain(
                filters=[
                    Filter(name="envoy.filters.network.http_connection_manager", typed_config=Any.pack(_connections()))
                ]
            )
        ],
    )
    connections = DownstreamConnectionsConfig(max_active_downstream_connections=MOST_CONNECTIONS)
    return Bootstrap(
        # Envoy reads no secrets, certificates that are renewed, for one without a name.
        node=Node(id="edge", cluster="touchstone"),
        static_resources=BootstrapStaticResources(listeners=[listener], clusters=clusters()),
        overload_manager=OverloadManager(
            resource_monitors=[
                ResourceMonitor(
                    name="envoy.resource_monitors.global_downstream_max_connections",
                    typed_config=Any.pack(connections),
                )
            ]
        ),
    )
