"""The table of figures in the docs: each names a metric as it is, and comes out as counted by hand on a real Postgres."""

import re
from datetime import UTC, datetime

import pytest
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import report_service_pb2 as pb
from touchstone.type.v1 import money_pb2

from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.named_reports import REPORTS
from services.reporting.servicer import ReportServicer
from tests.contracts import test_reporting_overview as overview
from tests.contracts.test_reporting_overview import EUR, Told, engine, event, plain, tell
from tests.mesh.running import ROOT

__all__ = ["engine"]

NOW = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
PERIOD = {"start_date": "2026-11-01", "end_date": "2026-11-04"}

_ROW = re.compile(
    r"^\| (?P<page>[^|]+) \| (?P<formula>[^|]+) \| `(?P<metric>\w+)` \| (?P<label>[^|]+) \| (?P<unit>\w+) \|$"
)
LISTED = [match for line in (ROOT / "docs" / "figures.md").read_text().splitlines() if (match := _ROW.match(line))]


def settings() -> event_pb2.LoggedEvent:
    told = settings_pb2.TenantSettings(
        time_zone="Europe/Madrid",
        currency_code="EUR",
        assistant_monthly_cost=money_pb2.Money(currency_code="EUR", micros=300 * EUR),
    )
    told.classifications.add(name="bought", type="Sale")
    return event_pb2.LoggedEvent(tenant_id="acme", event=event_pb2.Event(settings=told))


def said(number: int, conversation: str, step: str, actor: str = "ACTOR_UNSPECIFIED", **more) -> event_pb2.LoggedEvent:
    told = {"conversation_id": conversation, "step": step, "actor": actor, "touchpoint": "website", **more}
    return event(f"said {number}", f"2026-11-02T10:{number:02}:00", conversation=told)


def worked() -> event_pb2.LoggedEvent:
    told = event("worked", "2026-11-02T12:00:00", production_hours={"agent_id": "ana"})
    told.event.production_hours.start_time.FromDatetime(datetime(2026, 11, 2, 9, tzinfo=UTC))
    told.event.production_hours.worked.seconds = 7200
    return told


CONVERSATIONS = (
    # Sold by an agent.
    said(1, "c1", "MESSAGE", "VISITOR"),
    said(2, "c1", "MESSAGE", "BOT"),
    said(3, "c1", "OPTION_CHOSEN", "VISITOR", label="Sizes", flow_step="menu"),
    said(4, "c1", "ASSIGNED", agent_id="ana"),
    said(5, "c1", "CLASSIFIED", "AGENT", label="bought"),
    # Answered by the bot, which closed it.
    said(6, "c2", "MESSAGE", "VISITOR"),
    said(7, "c2", "MESSAGE", "BOT"),
    said(8, "c2", "TAGGED", "BOT", label="vip"),
    said(9, "c2", "CLOSED", "BOT"),
    # Not answered: abandoned a day later.
    said(10, "c3", "MESSAGE", "VISITOR"),
    # Answered and closed by an agent to whom it was never given.
    said(11, "c4", "MESSAGE", "VISITOR"),
    said(12, "c4", "MESSAGE", "AGENT"),
    said(13, "c4", "CLOSED", "AGENT"),
    worked(),
)


def exposed(name: str, visitor: str, variant: str, hour: int) -> event_pb2.LoggedEvent:
    told = event(name, f"2026-11-02T{hour:02}:00:00", exposure={"experiment_id": "banner", "variant": variant})
    told.event.identifiers.visitor_id = visitor
    return told


EXPOSURES = (exposed("x1", "v1", "plain", 9), exposed("x2", "v1", "bright", 10), exposed("x3", "v2", "bright", 9))

ANA = {"channel": "CHAT", "touchpoint": "website", "agent_id": "ana"}
LEO = {"channel": "MESSAGING", "touchpoint": "whatsapp", "agent_id": "leo"}


def sale(order_id: str, gross: int, net: int, **credited: dict) -> credit_pb2.OrderCredits:
    """An order of two mugs at 11 on 2 November; each model named credits it to a touch with the fields given."""
    told = overview.order(order_id, "2026-11-02T11:00:00", "", "")
    told.order.gross_micros, told.order.net_micros = gross * EUR, net * EUR
    told.order.ClearField("lines")
    told.order.lines.add(sku="MUG", quantity=2, gross_micros=gross * EUR, net_micros=net * EUR)
    for model, touched in credited.items():
        one = told.attributions.add(model=model, model_version=1, matched_by=credit_pb2.MatchBasis.SESSION)
        touch = credit_pb2.Touch(event_id="t", **touched)
        # Half an hour before the order.
        touch.visitor_time.FromDatetime(datetime(2026, 11, 2, 10, 30, tzinfo=UTC))
        one.credits.add(touch=touch, gross_micros=gross * EUR, net_micros=net * EUR)
    return told


def whole(told: credit_pb2.OrderCredits) -> credit_pb2.OrderCredits:
    """The order with what every model says of it."""
    known = {one.model for one in told.attributions}
    for model in {"contact", "conversations"} - known:
        told.attributions.add(model=model, model_version=1, excluded_reason=told.order.excluded_reason)
    return told


def orders() -> list[credit_pb2.OrderCredits]:
    mugs = (
        sale("m1", 100, 100, contact=ANA, conversations=ANA),
        sale("m2", 50, 20, contact=LEO, conversations=LEO),
        sale("m3", 30, 30, contact=ANA),
        sale("m4", 70, 70),
    )
    of_overview = (credit_pb2.OrderCredits.FromString(one.SerializeToString()) for one in overview.ORDERS)
    return [whole(one) for one in (*of_overview, *mugs)]


# Of the overview five orders of 100 count, and one is cancelled; the mugs are four more, of 250 and net 220.
COUNTED = overview.FIGURES | {
    "contacts_handled": 3,
    "conversion_rate_after_contact": 3 / 3,
    "turnover_after_contact": 100 + 50 + 30,
    "net_turnover_after_contact": 100 + 20 + 30,
    "website_turnover": 750,
    "transactions_after_contact": 3,
    "website_transactions": 9,
    "average_order_value_after_contact": 60,
    "website_average_order_value": 83.333333,
    "time_before_purchase": 1800,
    "turnover_per_contact": 60,
    "turnover_per_hour": 90,
    "production_seconds": 7200,
    "attributed_revenue": 150,
    "attributed_net_revenue": 120,
    "attributed_orders": 2,
    "attributed_average_order_value": 75,
    "store_revenue": 750,
    "store_net_revenue": 720,
    "store_orders": 9,
    "average_order_value": 83.333333,
    "share_of_store_revenue": 0.2,
    "share_of_store_orders": 2 / 9,
    "refunded_amount": 30,
    "assistant_cost": 40,
    "attributed_revenue_after_cost": 110,
    "roi": 2.75,
    "assisted_units": 4,
    "assisted_revenue": 150,
    "assisted_net_revenue": 120,
    "units": 5 + 8,
    "refunded_units": 0,
    "product_revenue": 750,
    "product_net_revenue": 720,
    "assisted_share_of_units": 4 / 13,
    "conversations_started": 4,
    "assigned_to_agent": 1,
    "classified_sales": 1,
    "classified_conversations": 1,
    "first_options": 1,
    "options_chosen": 1,
    "conversation_completions": 4,
    "completed_automatically": 1,
    "closed_by_agent": 1,
    "abandoned_conversations": 1,
    "classification_journeys": 1,
    "tag_journeys": 1,
    "tags_set": 1,
    "tagged_conversations": 1,
    "personalization_revenue": 200,
    "personalization_orders": 2,
    "personalization_average_order_value": 100,
    "direct_revenue": 100,
    "recommendation_assisted_revenue": 200,
    "journeys_with_goal": 2,
    "unattributed_orders": 7,
    "unattributed_revenue": 600,
    "excluded_orders": 1,
    "excluded_amount": 100,
    "personalized_sessions_with_goal": 2,
    "personalized_sessions_with_order": 1,
    "purchasing_sessions": 4,
    "purchasing_sessions_with_recommendation": 2,
    "recommendation_sessions_with_purchase": 1,
    "recommendation_sessions_with_view": 1,
    "seconds_before_purchase": 3 * 1800,
    "timed_purchases": 3,
    "exposed_visitors": 2,
}


@pytest.fixture
async def servicer(engine) -> ReportServicer:
    told: list[Told] = [settings(), *CONVERSATIONS, *EXPOSURES, *overview.EVENTS, *orders()]
    await tell(engine, told, size=100)

    async def parked_of(_: str) -> int:
        return 0

    return ReportServicer(lambda: engine, parked_of, lambda: NOW)


def test_the_docs_name_every_metric_as_it_is():
    for row in LISTED:
        metric = METRICS[row["metric"]]
        assert (row["label"], row["unit"]) == (metric.label, metric.unit.name), row["page"]
    assert {row["metric"] for row in LISTED} == METRICS.keys()


async def test_every_figure_of_the_docs_is_as_counted_by_hand(servicer):
    names = [row["metric"] for row in LISTED]
    read: dict[str, float] = {}
    for start in range(0, len(names), 20):
        asked = list(dict.fromkeys(names[start : start + 20]))
        overview.set_caller(overview.Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))
        answer = await servicer.RunReport(pb.RunReportRequest(metrics=asked, **PERIOD), None)
        read |= plain(answer.totals.metrics)

    assert read == pytest.approx({name: COUNTED[name] for name in names})


@pytest.mark.parametrize("name", sorted(REPORTS))
async def test_every_page_tells_the_same_figures(servicer, name):
    overview.set_caller(overview.Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))

    answer = await servicer.GetReport(pb.GetReportRequest(report=name, **PERIOD), None)

    totals = plain(answer.totals.metrics)
    assert totals == pytest.approx({metric: COUNTED[metric] for metric in REPORTS[name].totals})
    for metric in REPORTS[name].totals:
        if METRICS[metric].by_days and not METRICS[metric].formula.operands:
            days = [plain(row.metrics)[metric] for row in answer.daily.rows]
            assert sum(days) == pytest.approx(COUNTED[metric])
    for table in answer.tables:
        assert table.rows, table.name
