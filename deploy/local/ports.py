"""Chooses free ports that stay ours while a program restarts."""

import random
import socket

# Below the range from which kernels take the near end of outgoing connections (32768 and up, on Linux): a port from
# there could be taken by anybody's connection while its program restarts.
CHOICE = range(12_000, 32_000)


def free_ports(count: int) -> list[int]:
    """`count` different ports of the loopback address that nobody listens on."""
    chosen: list[int] = []
    # One after another: two systems that start in the same moment hardly ever choose the same.
    first = random.randrange(len(CHOICE))  # noqa: S311 - nothing secret
    for port in (*CHOICE[first:], *CHOICE[:first]):
        if len(chosen) == count:
            return chosen
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        chosen.append(port)
    raise OSError(f"Fewer than {count} ports are free between {CHOICE.start} and {CHOICE.stop}.")
