"""Answers an operator about a service that follows logs: how far it is, what it could not apply, rebuilds."""

import base64
import binascii
from typing import Any

import grpc
from sqlalchemy import text
from touchstone.mesh.v1 import maintenance_service_pb2 as pb
from touchstone.mesh.v1 import maintenance_service_pb2_grpc as pb_grpc

from services.chassis.generations import FollowingService
from services.kernel.failures import InvalidArgumentError

_LARGEST_PAGE = 1000
_DEFAULT_PAGE = 100

_COUNT_PARKED = text("SELECT count(*) FROM parked_entry")

_LIST_PARKED = text(
    """SELECT log, partition_id, position, reason, park_time FROM parked_entry
       WHERE (log, partition_id, position) > (:log, :partition, :position)
       ORDER BY log, partition_id, position LIMIT :count"""
)

Context = grpc.aio.ServicerContext[Any, Any]


class MaintenanceServicer(pb_grpc.MaintenanceServiceServicer):
    """`touchstone.mesh.v1.MaintenanceService` for one following service."""

    def __init__(self, service: FollowingService) -> None:
        self._service = service

    async def StartRebuild(self, request: pb.StartRebuildRequest, context: Context) -> pb.StartRebuildResponse:
        """Begins a rebuild, or answers the one under way."""
        return pb.StartRebuildResponse(generation=await self._service.start_rebuild())

    async def GetProgress(self, request: pb.GetProgressRequest, context: Context) -> pb.GetProgressResponse:
        """How far each generation is, in partitions that have entries."""
        response = pb.GetProgressResponse(retired_generations=await self._service.retired())
        for running, applied in await self._service.checkpoints():
            async with running.engine.connect() as connection:
                parked = (await connection.execute(_COUNT_PARKED)).scalar_one()
            generation = response.generations.add(
                generation=running.number,
                serving=self._service.is_serving(running.number),
                log_id=running.log_id,
                parked_entries=parked,
            )
            for (log, partition), (log_id, head) in sorted(running.follower.heads.items()):
                position = applied.get((log, partition), (log_id, 0))[1]
                if head or position:
                    generation.followed.add(
                        log=log, log_id=log_id, partition=partition, through_position=position, head_position=head
                    )
        return response

    async def ListParkedEntries(
        self, request: pb.ListParkedEntriesRequest, context: Context
    ) -> pb.ListParkedEntriesResponse:
        """A page of what could not be applied, without the entries themselves."""
        size = min(request.page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
        log, partition, position = _read_token(request.page_token)
        async with self._service.serving().connect() as connection:
            rows = (
                await connection.execute(
                    _LIST_PARKED, {"log": log, "partition": partition, "position": position, "count": size + 1}
                )
            ).all()
        response = pb.ListParkedEntriesResponse()
        for row in rows[:size]:
            response.parked_entries.add(
                log=row.log,
                partition=row.partition_id,
                position=row.position,
                reason=row.reason,
                park_time=row.park_time,
            )
        if len(rows) > size:
            last = rows[size - 1]
            response.next_page_token = _write_token(last.log, last.partition_id, last.position)
        return response

    async def ReplayParkedEntries(
        self, request: pb.ReplayParkedEntriesRequest, context: Context
    ) -> pb.ReplayParkedEntriesResponse:
        """Applies what could not be applied again, in every generation."""
        applied = failed = 0
        for running, _ in await self._service.checkpoints():
            more_applied, more_failed = await running.follower.replay_parked()
            applied, failed = applied + more_applied, failed + more_failed
        return pb.ReplayParkedEntriesResponse(applied=applied, still_parked=failed)


def _write_token(log: str, partition: int, position: int) -> str:
    return base64.urlsafe_b64encode(f"{log}/{partition}/{position}".encode()).decode()


def _read_token(token: str) -> tuple[str, int, int]:
    if not token:
        return "", 0, 0
    try:
        log, partition, position = base64.urlsafe_b64decode(token).decode().split("/")
        return log, int(partition), int(position)
    except (ValueError, binascii.Error) as error:
        raise InvalidArgumentError.of("pageToken", "is not a token that this method answered") from error
