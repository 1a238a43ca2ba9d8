"""Required fields: what is missing is named as JSON names it."""

import pytest
from touchstone.ingest.v1 import event_pb2, event_service_pb2, interaction_pb2, source_service_pb2, tenant_service_pb2
from touchstone.reporting.v1 import report_service_pb2

from services.chassis import required
from services.kernel.failures import InvalidArgumentError


def _missing(message) -> list[str]:
    return [violation.field for violation in required.missing(message)]


def test_fields_are_named_as_in_json():
    assert _missing(report_service_pb2.RunReportRequest()) == ["metrics", "startDate", "endDate"]


def test_an_unspecified_enum_is_no_value():
    assert _missing(source_service_pb2.CreateSourceRequest(source="woo", secret="s")) == ["kind"]


def test_elements_are_looked_into():
    request = report_service_pb2.RunReportRequest(
        metrics=["orders"],
        start_date="2026-11-01",
        end_date="2026-11-02",
        filters=[{"dimension": "channel", "values": ["CHAT"]}, {"dimension": "channel"}],
    )
    assert _missing(request) == ["filters[1].values"]


def test_an_empty_message_is_present_and_looked_into():
    event = event_pb2.Event(event_id="i-1", interaction=interaction_pb2.Interaction())
    assert _missing(event) == ["occurTime", "interaction.channel", "interaction.action"]


def test_an_absent_message_lacks_nothing_inside():
    assert _missing(event_pb2.Event(event_id="i-1", occur_time={"seconds": 1})) == []


def test_what_is_judged_alone_is_left_to_the_service():
    assert _missing(event_service_pb2.AppendEventsRequest(events=[event_pb2.Event()])) == []
    assert _missing(event_service_pb2.AppendEventsRequest()) == ["events"]
    delivery = event_service_pb2.Delivery(events=[event_pb2.Event()])
    assert _missing(event_service_pb2.AppendDeliveriesRequest(deliveries=[delivery])) == []


def test_every_missing_field_is_told_at_once():
    with pytest.raises(InvalidArgumentError) as caught:
        required.check(tenant_service_pb2.CreateTenantRequest())
    assert caught.value.message == "tenantId: is required"
    assert [violation.field for violation in caught.value.violations] == ["tenantId", "settings"]
