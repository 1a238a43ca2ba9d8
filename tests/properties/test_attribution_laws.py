"""Laws that hold for any orders, touches and models."""

from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from touchstone.ingest.v1 import event_pb2

from services.attribution.domain.attribute import People, attribute
from services.attribution.domain.models import HOUR, Model, Rule
from services.attribution.domain.orders import Told, fold, known_order
from services.attribution.domain.snapshot import COUNTED, snapshot
from services.attribution.domain.touches import Channel
from services.attribution.wire import events as wire
from services.kernel.identifiers import Identifier, Kind
from services.kernel.money import minor_unit
from tests.attribution.telling import CENT, EUR, NOON, interaction, line, notice, order, refund

MINUTES = st.integers(0, 3).map(lambda count: NOON + timedelta(minutes=count))
REFUNDS = st.lists(
    st.builds(refund, st.sampled_from("rs"), st.sampled_from([EUR, 2 * EUR])),
    max_size=2,
    unique_by=lambda one: one.refund_id,
)
LINES = st.lists(
    st.builds(lambda name, sku: line(name, EUR, sku=sku), st.sampled_from("ab"), st.sampled_from(["", "X", "Y"])),
    max_size=2,
    unique_by=lambda one: one.line_id,
)
STATES = st.builds(
    lambda updated, status, lines, refunds, binned: order(
        "1", updated=updated, status=status, lines=lines, refunds=refunds, formerly_trashed=binned
    ),
    MINUTES,
    st.sampled_from(["pending", "processing", "completed"]),
    LINES,
    REFUNDS,
    st.booleans(),
)
NOTICES = st.one_of(
    st.builds(lambda kind, when: notice("1", kind, when), st.sampled_from(["TRASHED", "RESTORED", "DELETED"]), MINUTES),
    st.builds(lambda when, refunds: notice("1", "REFUND", when, refunds=refunds), MINUTES, REFUNDS),
)
TOLD = st.lists(st.one_of(STATES, NOTICES).map(wire.told), max_size=5)


@given(TOLD, TOLD, TOLD)
def test_folding_is_commutative_associative_and_idempotent(one: list[Told], two: list[Told], three: list[Told]) -> None:
    assert fold(one, two) == fold(two, one)
    assert fold(fold(one, two), three) == fold(one, fold(two, three)) == fold(one, two, three)
    assert fold(fold(one)) == fold(one, one) == fold(one)


@given(TOLD)
def test_what_folding_leaves_out_does_not_matter(told: list[Told]) -> None:
    newest_first = sorted(told, key=lambda one: (one.state is not None, one.version), reverse=True)
    assert known_order(fold(told)) == known_order(_without_stale_refunds(newest_first))


def _without_stale_refunds(newest_first: list[Told]) -> list[Told]:
    newest = next((one.version.update_time for one in newest_first if one.state), None)
    return [
        one
        for one in newest_first
        if one.state or newest is None or not one.refunds or one.version.update_time > newest
    ]


@given(TOLD)
def test_what_is_stored_is_read_again(told: list[Told]) -> None:
    assert wire.told_again(wire.stored(fold(told))) == fold(told)


CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "XXX"])
MODELS = st.builds(
    lambda rule, half_life, weights: Model(
        name="m", version=1, window=24 * HOUR, rule=rule, half_life=half_life * HOUR, weights=weights
    ),
    st.sampled_from(Rule),
    st.integers(0, 30),
    st.dictionaries(st.sampled_from(Channel), st.integers(0, 5).map(Fraction)),
)
TOUCHES = st.lists(
    st.tuples(
        st.integers(0, 26 * 60),
        st.sampled_from(["s", "other"]),
        st.sampled_from(["CHAT", "FAQ", "NUDGE"]),
    ),
    max_size=6,
)


def _touch(number: int, minutes: int, session: str, channel: str) -> event_pb2.Event:
    return interaction(f"t{number}", NOON - timedelta(minutes=minutes), {"session_id": session}, channel=channel)


@given(st.integers(0, 10**7), st.integers(0, 10**7), CURRENCIES, MODELS, TOUCHES)
def test_the_credits_of_any_model_add_up_to_the_order(
    cents: int, refunded: int, currency: str, model: Model, touched: list[tuple[int, str, str]]
) -> None:
    told = order(
        "1",
        {"session_id": "s"},
        currency_code=currency,
        total_micros=cents * CENT,
        refunds=[refund("r", min(refunded, cents) * CENT)],
    )
    known = known_order(fold([wire.told(told)]))
    assert known is not None
    sale = snapshot("shop", "1", known, COUNTED)
    touches = [wire.touch("shop", _touch(number, *what)) for number, what in enumerate(touched)]
    attribution = attribute(sale, touches, model, People({}, frozenset()))

    eligible = [touch for touch in touches if Identifier(Kind.SESSION, "s") in touch.identifiers]
    within = [touch for touch in eligible if sale.order_time - touch.occur_time <= model.window]
    assert bool(attribution.credits) == bool(within)
    assert len(attribution.considered) == len(eligible)
    if within:
        assert sum(one.fraction_millionths for one in attribution.credits) == 1_000_000
        assert sum(one.gross_micros for one in attribution.credits) == sale.gross_micros
        assert sum(one.net_micros for one in attribution.credits) == sale.net_micros
        assert sum(one.gross_micros % minor_unit(currency) != 0 for one in attribution.credits) <= 1


@given(TOUCHES, st.randoms(use_true_random=False), MODELS)
def test_the_sequence_of_touches_does_not_matter(touched: list, random: object, model: Model) -> None:
    known = known_order(fold([wire.told(order("1", {"session_id": "s"}))]))
    assert known is not None
    sale = snapshot("shop", "1", known, COUNTED)
    touches = [wire.touch("shop", _touch(number, *what)) for number, what in enumerate(touched)]
    shuffled = random.sample(touches, len(touches))
    nobody = People({}, frozenset())
    assert attribute(sale, shuffled, model, nobody) == attribute(sale, touches, model, nobody)
