"""By columns, a model says of every order what it says of each order by itself."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from services.attribution.domain.attribute import People, attribute
from services.attribution.domain.models import HOUR, Model, Rule
from services.attribution.domain.orders import NO_VERSION, Notice, Platform, State, Told, known_order
from services.attribution.domain.snapshot import COUNTED, snapshot
from services.attribution.domain.touches import Action, Answer, Channel, Touch
from services.attribution.simulation.evaluate import counted_orders, evaluate
from services.attribution.simulation.loading import Loading, load
from services.attribution.simulation.moves import moves, reason
from services.attribution.simulation.totals import sums
from services.attribution.store.blocks import IDENTIFIERS, ORDERS, TOUCHES
from services.attribution.store.facts import identifier_number, identifier_row, order_row, touch_row
from services.kernel.identifiers import Identifier, Kind
from tests.attribution.columns import InMemory

NOW = 1_790_000_000 * 1_000_000_000
MOMENTS = st.one_of(
    st.sampled_from([0, HOUR, 2 * HOUR, 24 * HOUR, 24 * HOUR + 1, 48 * HOUR]), st.integers(0, 60 * HOUR)
)


@st.composite
def identifiers(draw, kinds):
    chosen = draw(st.lists(st.sampled_from(kinds), max_size=3, unique=True))
    return tuple(Identifier(kind, draw(st.sampled_from("abc"))) for kind in sorted(chosen))


@st.composite
def touches(draw):
    return Touch(
        source=draw(st.sampled_from(["api", "shop"])),
        event_id=str(draw(st.integers(0, 99))),
        occur_time=NOW - draw(MOMENTS),
        channel=draw(st.sampled_from(Channel)),
        action=draw(st.sampled_from(Action)),
        answer=draw(st.sampled_from(Answer)),
        touchpoint=draw(st.sampled_from(["", "website"])),
        conversation_id="",
        bot_name="",
        agent_id="",
        campaign="",
        crawler=draw(st.integers(0, 9)) == 0,
        identifiers=draw(identifiers(list(Kind))),
    )


@st.composite
def orders(draw):
    """What was told of an order, and the sale that it is."""
    gross = draw(st.one_of(st.integers(-100, 10**4).map(lambda cents: cents * 10_000), st.integers(0, 10**18)))
    state = State(
        platform=draw(st.sampled_from(Platform)),
        order_time=NOW - draw(MOMENTS) // 4,
        status=draw(st.sampled_from(["processing", "paid", "paid", "completed", "pending", "cancelled"])),
        test=draw(st.integers(0, 9)) == 0,
        cancelled=draw(st.integers(0, 9)) == 0,
        formerly_trashed=False,
        currency_code=draw(st.sampled_from(["EUR", "JPY", "KWD"])),
        total_micros=gross,
        tax_micros=0,
        shipping_micros=0,
        fee_micros=0,
        lines=(),
        refunds=(),
        display_number="",
        identifiers=draw(identifiers([kind for kind in Kind if kind is not Kind.CONVERSATION])),
    )
    notices = (
        draw(st.lists(st.sampled_from([Notice.DELETED, Notice.TRASHED]), max_size=1)) if draw(st.booleans()) else []
    )
    told = (Told(Notice.STATE, NO_VERSION, state, (), b""), *(Told(one, NO_VERSION, None, (), b"") for one in notices))
    order_id = str(draw(st.integers(0, 99)))
    return told, snapshot("shop", order_id, known_order(told), COUNTED)


@st.composite
def people(draw):
    every = [Identifier(kind, value) for kind in Kind for value in "abc"]
    persons = draw(st.dictionaries(st.sampled_from(every), st.integers(-3, 3), max_size=12))
    hubs = draw(st.frozensets(st.sampled_from(every), max_size=2))
    blocked = draw(st.frozensets(st.sampled_from(every), max_size=1))
    return persons, hubs, blocked


@st.composite
def models(draw):
    return Model(
        name="tried",
        version=0,
        channels=draw(st.frozensets(st.sampled_from(Channel), max_size=5)),
        window=draw(st.sampled_from([0, HOUR, 24 * HOUR, 72 * HOUR])),
        rule=draw(st.sampled_from(Rule)),
        helpful_only=draw(st.booleans()),
        half_life=draw(st.sampled_from([0, 1, HOUR, 7 * 24 * HOUR])),
        weights=draw(
            st.dictionaries(
                st.sampled_from(Channel),
                st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 10)).map(Fraction),
                max_size=7,
            )
        ),
    )


def cases_of(told_touches, told_orders, who, through=NOW):
    persons, hubs, blocked = who
    known = [identifier_row(one, persons.get(one), hub=one in hubs) for one in sorted(persons.keys() | hubs)]
    source = InMemory(
        {
            TOUCHES: [touch_row(touch) for touch in told_touches],
            ORDERS: [order_row(told, sale) for told, sale in told_orders],
            # What was said before is forgotten.
            IDENTIFIERS: [identifier_row(one, 77, hub=True) for one in sorted(persons)] + known,
        }
    )
    wanted = Loading(NOW - 60 * HOUR, through, 72 * HOUR, frozenset(map(identifier_number, blocked)))
    return load(source, wanted, lambda _engine: None), source


def one_by_one(told_touches, told_orders, who, model):
    persons, hubs, blocked = who
    nobody = hubs | blocked
    known = People({one: person for one, person in persons.items() if one not in hubs}, nobody)
    return [attribute(sale, told_touches, model, known) for _, sale in told_orders]


@settings(max_examples=300)
@given(
    st.lists(touches(), max_size=12, unique_by=lambda touch: (touch.source, touch.event_id)),
    st.lists(orders(), max_size=6, unique_by=lambda order: order[1].order_id),
    people(),
    models(),
    models(),
)
def test_by_columns_and_one_by_one(told_touches, told_orders, who, model, other):
    cases, _ = cases_of(told_touches, told_orders, who)
    counted = counted_orders(cases, COUNTED)
    sales = [told_orders[row][1] for row in cases.orders.row.tolist()]
    assert [sale.excluded is None for sale in sales] == counted.tolist()
    outcomes = []
    for tried in (model, other):
        outcome = evaluate(cases, tried, counted)
        outcomes.append(outcome)
        expected = one_by_one(told_touches, told_orders, who, tried)
        assert [one.matched_by or 0 for one in expected] == outcome.tier.tolist()
        rows = [
            (order, touch, part, gross, net)
            for order, one in enumerate(expected)
            for touch, part, gross, net in one.credits
        ]
        columns = (outcome.order, outcome.touch, outcome.millionths, outcome.gross_micros, outcome.net_micros)
        found = [
            (order, told_touches[cases.touches.row[touch]], part, gross, net)
            for order, touch, part, gross, net in zip(*(column.tolist() for column in columns), strict=True)
        ]
        assert found == rows
        for currency, told in sums(cases, outcome).items():
            mine = [one for one, sale in zip(expected, sales, strict=True) if sale.currency_code == currency]
            assert told.all.gross_micros == sum(credit.gross_micros for one in mine for credit in one.credits)
            assert told.all.orders == sum(bool(one.credits) for one in mine)
            assert told.by_channel.keys() == {credit.touch.channel for one in mine for credit in one.credits}
            for channel, part in told.by_channel.items():
                credited = [[credit for credit in one.credits if credit.touch.channel == channel] for one in mine]
                assert part.orders == sum(map(bool, credited))
                assert part.net_micros == sum(credit.net_micros for one in credited for credit in one)
    pairs = zip(*(one_by_one(told_touches, told_orders, who, tried) for tried in (model, other)), strict=True)
    expected_moves = {order: why for order, pair in enumerate(pairs) if (why := reason(*pair))}
    found_moves = moves(*outcomes)
    assert dict(zip(found_moves.order.tolist(), found_moves.reason.tolist(), strict=True)) == expected_moves


def test_nothing_at_all():
    cases, _ = cases_of([], [], ({}, frozenset(), frozenset()))
    outcome = evaluate(cases, Model(name="tried", version=0, window=HOUR), counted_orders(cases, COUNTED))
    assert (len(outcome.order), sums(cases, outcome), len(moves(outcome, outcome).order)) == (0, {}, 0)
