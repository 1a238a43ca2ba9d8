"""The services that reporting answers, as a gRPC server is told of them."""

from typing import Final

import grpc
from touchstone.ingest.v1 import event_service_pb2_grpc
from touchstone.mesh.v1 import maintenance_service_pb2, maintenance_service_pb2_grpc
from touchstone.reporting.v1 import (
    experiment_service_pb2,
    experiment_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    live_service_pb2,
    live_service_pb2_grpc,
    product_service_pb2,
    product_service_pb2_grpc,
    record_service_pb2,
    record_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
)

from services.chassis.generations import FollowingService
from services.chassis.maintenance import MaintenanceServicer
from services.reporting.experiment_servicer import ExperimentServicer
from services.reporting.ledger_servicer import LedgerServicer
from services.reporting.live import Live
from services.reporting.live_servicer import LiveServicer
from services.reporting.product_servicer import ProductServicer
from services.reporting.record_servicer import RecordServicer
from services.reporting.servicer import ReportServicer
from services.reporting.sources import Sources

NAMES: Final = [
    experiment_service_pb2.DESCRIPTOR.services_by_name["ExperimentService"].full_name,
    report_service_pb2.DESCRIPTOR.services_by_name["ReportService"].full_name,
    ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name,
    live_service_pb2.DESCRIPTOR.services_by_name["LiveService"].full_name,
    product_service_pb2.DESCRIPTOR.services_by_name["ProductService"].full_name,
    record_service_pb2.DESCRIPTOR.services_by_name["RecordService"].full_name,
    maintenance_service_pb2.DESCRIPTOR.services_by_name["MaintenanceService"].full_name,
]
"""Their full names."""


def register(server: grpc.aio.Server, service: FollowingService, ingest: grpc.aio.Channel, live: Live) -> None:
    """Has a server answer them from what `service` serves; `ingest` is a channel to it."""
    serving, parked_of = service.serving, Sources(ingest).parked
    tried = ExperimentServicer(serving, event_service_pb2_grpc.EventServiceStub(ingest))
    experiment_service_pb2_grpc.add_ExperimentServiceServicer_to_server(tried, server)
    record_service_pb2_grpc.add_RecordServiceServicer_to_server(RecordServicer(serving), server)
    report_service_pb2_grpc.add_ReportServiceServicer_to_server(ReportServicer(serving, parked_of), server)
    ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(LedgerServicer(serving), server)
    live_service_pb2_grpc.add_LiveServiceServicer_to_server(LiveServicer(serving, parked_of, live), server)
    product_service_pb2_grpc.add_ProductServiceServicer_to_server(ProductServicer(serving), server)
    maintenance_service_pb2_grpc.add_MaintenanceServiceServicer_to_server(MaintenanceServicer(service), server)
