"""A service as small as one can be, to be started and stopped by tests: `python sample_service.py [dying]`."""
# ruff: noqa: N802, ARG002 - gRPC names the servicer's methods, and what they are called with

import asyncio
import sys
from collections.abc import AsyncIterator

from touchstone.ingest.v1 import event_service_pb2 as messages
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceServicer, add_EventServiceServicer_to_server

from services.chassis import server
from services.chassis.settings import MeshSettings, load


class Servicer(EventServiceServicer):
    async def AppendDeliveries(self, request, context):
        """Says that it has begun and takes its time, so that a test can stop the process meanwhile."""
        sys.stdout.write("called\n")
        sys.stdout.flush()
        await asyncio.sleep(2)
        return messages.AppendDeliveriesResponse()

    async def FollowEvents(self, request, context) -> AsyncIterator[messages.FollowEventsResponse]:
        while True:
            yield messages.FollowEventsResponse()
            await asyncio.sleep(0.1)


async def task() -> None:
    try:
        await asyncio.sleep(0.5 if "dying" in sys.argv else 60)
        raise RuntimeError("shopper@example.com")
    except asyncio.CancelledError:
        sys.stdout.write("task cancelled\n")
        raise


async def close() -> None:
    sys.stdout.write("closed\n")


if __name__ == "__main__":
    server.run(
        server.serve(
            name="sample",
            settings=load(MeshSettings),
            register=lambda to: add_EventServiceServicer_to_server(Servicer(), to),
            services=["touchstone.ingest.v1.EventService"],
            tasks=[task],
            closing=[close],
        )
    )
