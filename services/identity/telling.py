"""What this service itself tells the event log, and how it waits until its own follower has read that."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from touchstone.ingest.v1 import event_service_pb2, event_service_pb2_grpc

from services.chassis.callers import seconds_left
from services.kernel.failures import TooLateError

_LOOKS: Final = (0.005, 0.01, 0.02, 0.05)
"""Seconds between looks, the last of them again and again."""

PATIENCE: Final = 8.0
"""Seconds for which what was told is waited for."""

FoundT = TypeVar("FoundT")


async def tell(events: "event_service_pb2_grpc.EventServiceAsyncStub", delivery: event_service_pb2.Delivery) -> None:
    """Appends a delivery of ours to the event log. Raises RuntimeError where ingest refuses any of it."""
    answer = await events.AppendDeliveries(event_service_pb2.AppendDeliveriesRequest(deliveries=[delivery]))
    for result in answer.results:
        for event in result.events:
            if event.status == event_service_pb2.EventResult.REJECTED:
                raise RuntimeError(f"ingest refused what was told: {event.reason}")


async def followed(look: Callable[[], Awaitable[FoundT | None]], too_late: TooLateError) -> FoundT:
    """What `look` finds once this service's own follower has read it: nobody else writes to its state.

    Raises `too_late` where the follower lags too far behind.
    """
    left = seconds_left()
    give_up = time.monotonic() + (PATIENCE if left is None else min(PATIENCE, left - 0.5))
    pauses = iter(_LOOKS)
    while True:
        if (found := await look()) is not None:
            return found
        if time.monotonic() > give_up:
            raise too_late
        await asyncio.sleep(next(pauses, _LOOKS[-1]))
