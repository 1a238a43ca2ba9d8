"""Evidence is never endless, and what is credited is always in it."""

from datetime import timedelta

from touchstone.attribution.v1 import credit_pb2

from services.attribution.domain.attribute import People, attribute
from services.attribution.domain.models import DAY, Model, Rule
from services.attribution.domain.orders import fold, known_order
from services.attribution.domain.snapshot import COUNTED, Snapshot, snapshot
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import events as events_wire
from tests.attribution.telling import NOON, interaction, order

SESSION = {"session_id": "s"}
NOBODY = People({}, frozenset())


def sale(identifiers: dict[str, str] = SESSION) -> Snapshot:
    known = known_order(fold([events_wire.told(order("1", identifiers))]))
    assert known is not None
    return snapshot("shop", "1", known, COUNTED)


def test_of_very_many_touches_the_credited_and_the_latest_are_listed() -> None:
    touches = [
        events_wire.touch("shop", interaction(f"t{number:04}", NOON - timedelta(seconds=2000 - number), SESSION))
        for number in range(1500)
    ]
    first = Model(name="first", version=1, window=DAY, rule=Rule.FIRST_TOUCH)
    attribution = attribute(sale(), touches, first, NOBODY)
    told = credits_wire.evidence(sale(), attribution, agrees=True)
    listed = [one.event_id for one in told.touches]
    assert told.touch_count == 1500
    assert listed == ["t0000", *(f"t{number:04}" for number in range(501, 1500))]
    assert [one.touch.event_id for one in told.credits] == ["t0000"]


def test_few_touches_are_all_listed() -> None:
    touches = [events_wire.touch("shop", interaction("t", NOON, SESSION))]
    told = credits_wire.evidence(
        sale(), attribute(sale(), touches, Model(name="m", version=1, window=DAY), NOBODY), agrees=True
    )
    assert (told.touch_count, len(told.touches)) == (1, 1)


def test_credit_tells_the_visit_of_its_touch_and_an_order_its_own() -> None:
    earlier, later = ({"session_id": name, "visitor_id": "v"} for name in ("earlier", "later"))
    touches = [events_wire.touch("shop", interaction("t", NOON - timedelta(hours=1), earlier))]
    bought = sale(later)
    attribution = attribute(bought, touches, Model(name="m", version=1, window=DAY), NOBODY)
    told = credit_pb2.OrderCredits.FromString(credits_wire.order_credits("acme", bought, [attribution]))
    assert told.order.session_id == "later"
    assert [credit.session_id for said in told.attributions for credit in said.credits] == ["earlier"]
