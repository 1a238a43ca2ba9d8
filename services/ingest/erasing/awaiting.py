"""Whether all services have left behind what was erased: each says itself what it serves, follows and still keeps."""

import asyncio
import logging
from collections.abc import Mapping

import grpc
from touchstone.mesh.v1 import maintenance_service_pb2 as pb
from touchstone.mesh.v1 import maintenance_service_pb2_grpc

MADE_FROM = {"people": "identity", "credits": "attribution"}
"""The service whose log each log beside that of events is."""

_log = logging.getLogger(__name__)


async def progress(
    followers: "Mapping[str, maintenance_service_pb2_grpc.MaintenanceServiceAsyncStub]",
) -> dict[str, pb.GetProgressResponse]:
    """How far each service is; one that does not answer is absent."""

    async def ask(stub: "maintenance_service_pb2_grpc.MaintenanceServiceAsyncStub") -> pb.GetProgressResponse | None:
        try:
            return await stub.GetProgress(pb.GetProgressRequest())
        except grpc.aio.AioRpcError as error:
            _log.info("a service does not tell its progress: %s", error.code().name)
            return None

    answers = await asyncio.gather(*map(ask, followers.values()))
    return {name: answer for name, answer in zip(followers, answers, strict=True) if answer is not None}


def all_left_behind(
    told: Mapping[str, pb.GetProgressResponse], services: frozenset[str], log_id: str, through: Mapping[int, int]
) -> bool:
    """True when every service serves a state made of the log with this id, and keeps no other.

    `through` has the position that was rewritten of each partition concerned.
    """
    if not services <= told.keys():
        return False
    log_ids = {name: answer.generations[0].log_id for name, answer in told.items() if answer.generations}
    return all(_left_behind(told[name], log_id, through, log_ids) for name in services)


def all_at_rest(
    told: Mapping[str, pb.GetProgressResponse], services: frozenset[str], log_id: str, through: Mapping[int, int]
) -> bool:
    """True when every service has read all that is about to change, and builds nothing from it.

    A state that read a part before and a part after would tear people in two until the next one takes its place.
    """
    building = any(len(answer.generations) > 1 for answer in told.values())
    return not building and all_left_behind(told, services, log_id, through)


def _left_behind(
    answer: pb.GetProgressResponse, log_id: str, through: Mapping[int, int], log_ids: Mapping[str, str]
) -> bool:
    if answer.retired_generations or not answer.generations or not answer.generations[0].serving:
        return False
    for generation in answer.generations:
        reached = {}
        for followed in generation.followed:
            expected = log_id if followed.log == "events" else log_ids.get(MADE_FROM.get(followed.log, ""))
            if followed.log_id != expected:
                return False
            if followed.log == "events":
                reached[followed.partition] = followed.through_position
        if generation.serving and any(reached.get(partition, 0) < position for partition, position in through.items()):
            return False
    return True
