"""Whatever happens in a shop, and in whatever sequence it is told, the same follows, and it adds up."""

from collections import defaultdict
from collections.abc import Iterable

from hypothesis import event, given, settings
from hypothesis import strategies as st

from services.kernel.identifiers import Kind
from services.reporting.domain.cells import Cell, Measures, MemberCell, Outcome, OutcomeCell, StoreCell, VisitCell
from tests.attribution.shops import Events, erased, shops
from tests.attribution.whole import Whole, whole

FIELD = {
    Kind.SESSION: "session_id",
    Kind.VISITOR: "visitor_id",
    Kind.EMAIL: "email",
    Kind.PHONE: "phone",
    Kind.CUSTOMER: "customer_id",
    Kind.CONVERSATION: "conversation_id",
}


@st.composite
def retold(draw: st.DrawFn, events: Events) -> Events:
    """The same events in another sequence, some of them more than once."""
    again = draw(st.lists(st.sampled_from(events), max_size=5))
    return tuple(draw(st.permutations([*events, *again])))


@given(st.data())
@settings(max_examples=200)
def test_any_sequence_of_the_same_events_ends_in_the_same_and_adds_up(data: st.DataObject) -> None:
    events = data.draw(shops())
    first, again = whole(events), whole(data.draw(retold(events)))
    assert (again.persons, again.nobody) == (first.persons, first.nobody)
    assert again.entries == first.entries
    assert again.decided == first.decided
    assert again.cells == first.cells
    assert_adds_up(first)
    assert_refunds_explain_what_is_left(first)
    event(f"tiers: {sorted(set(tiers(first)))}")


def tiers(told: Whole) -> Iterable[str]:
    return (
        attribution.matched_by.name
        for _, attributions in told.decided.values()
        for attribution in attributions
        if attribution.matched_by
    )


def assert_adds_up(told: Whole) -> None:
    """Σ attributed + unattributed + excluded = store, for every model."""
    sales = [sale for sale, _ in told.decided.values()]
    models = {attribution.model for _, said in told.decided.values() for attribution in said}
    store = total(cell_measures for cell, cell_measures in told.cells.items() if isinstance(cell, StoreCell))
    assert store == total((1, sale.gross_micros, sale.net_micros) for sale in sales)
    outcomes = {cell: measures for cell, measures in told.cells.items() if isinstance(cell, OutcomeCell)}
    excluded = total(measures for cell, measures in outcomes.items() if cell.outcome is Outcome.EXCLUDED)
    assert excluded == total((1, sale.gross_micros, sale.net_micros) for sale in sales if sale.excluded is not None)
    for model in models:
        of_model = total(measures for cell, measures in outcomes.items() if cell.model == model)
        assert total([of_model, excluded]) == store


def total(measures: Iterable[Measures]) -> Measures:
    return tuple(sum(column) for column in zip((0, 0, 0), *measures, strict=True))


def assert_refunds_explain_what_is_left(told: Whole) -> None:
    """Whether booked on the order's day or on their own."""
    for sale, _ in told.decided.values():
        assert sum(one.amount_micros for one in sale.refunds) == sale.gross_micros - sale.net_micros
        assert all(one.amount_micros >= 0 for one in sale.refunds)
        times = [one.refund_time for one in sale.refunds]
        assert None not in times
        assert times == sorted(times)


@given(st.data())
@settings(max_examples=80)
def test_an_erasure_keeps_its_place_and_changes_no_figure(data: st.DataObject) -> None:
    """What came before is erased, whatever its sequence was; what comes after names somebody new."""
    events = data.draw(shops())
    cut = data.draw(st.integers(1, len(events)))
    before, after = events[:cut], events[cut:]
    told = whole(before)
    if not told.persons:
        return
    person = data.draw(st.sampled_from(sorted(set(told.persons.values()))))
    gone = {(FIELD[one.kind], one.value) for one, member in told.persons.items() if member == person}

    assert figures(whole(erased(before, gone))) == figures(told)
    one = whole((*erased(before, gone), *after))
    other = whole((*erased(data.draw(retold(before)), gone), *(data.draw(retold(after)) if after else ())))
    assert (one.persons, one.nobody, one.entries, one.cells) == (
        other.persons,
        other.nobody,
        other.entries,
        other.cells,
    )
    everything = {(FIELD[who.kind], who.value) for who in (*one.persons, *one.nobody) if who.kind in FIELD}
    named_after = (
        {(FIELD[who.kind], who.value) for who in [*whole(after).persons, *whole(after).nobody]} if after else set()
    )
    assert not (everything & gone) - named_after
    assert by_day_and_currency(one) == by_day_and_currency(whole(events))


def figures(told: Whole) -> dict[Cell, Measures]:
    """The cells that figures are read from; those of visits and members bear names, which an erasure replaces."""
    return {cell: sums for cell, sums in told.cells.items() if not isinstance(cell, VisitCell | MemberCell)}


def by_day_and_currency(told: Whole) -> dict[Cell, Measures]:
    """What the shop sold: erasing touches none of it."""
    sums: dict[Cell, Measures] = defaultdict(lambda: (0, 0, 0))
    for cell, measures in told.cells.items():
        if isinstance(cell, StoreCell):
            sums[cell] = total([sums[cell], measures])
    return dict(sums)
