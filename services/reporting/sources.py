"""What ingest tells of a tenant's sources: how many of their deliveries could not be read."""

import grpc
from touchstone.ingest.v1 import source_service_pb2, source_service_pb2_grpc

from services.chassis.channels import about

_LARGEST_PAGE = 1_000


class Sources:
    """The sources, asked of ingest at each call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = source_service_pb2_grpc.SourceServiceStub(channel)

    async def parked(self, tenant_id: str) -> int:
        """Deliveries of all sources of a tenant that are parked now."""
        parked, token = 0, ""
        while True:
            request = source_service_pb2.ListSourcesRequest(page_size=_LARGEST_PAGE, page_token=token)
            page = await self._stub.ListSources(request, metadata=about(tenant_id))
            parked += sum(source.parked_count for source in page.sources)
            token = page.next_page_token
            if not token:
                return parked
