"""What both ends of a connection agree on: sizes and keepalive."""

from typing import Final

LARGEST_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes in a message, at most."""

_KEEPALIVE_MS: Final = 20_000

BOTH_ENDS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A quiet log's stream lasts for days: a peer that vanished is noticed by pings alone.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

SERVER: Final[tuple[tuple[str, int], ...]] = (
    *BOTH_ENDS,
    # Pings at the pace above are wanted, not an attack that ends the connection.
    ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_MS // 2),
    # Two servers on one port would share its calls in silence.
    ("grpc.so_reuseport", 0),
)
