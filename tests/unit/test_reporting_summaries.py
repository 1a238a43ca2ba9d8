"""What cells are summed up to: an order once for each value, and the same however the cells come together."""

from collections import Counter
from datetime import date
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.reporting.domain.blocks import week_of
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import CreditSummary, ProductSummary
from services.reporting.domain.contributions import add, contributions
from services.reporting.domain.facts import Attribution, Contact, Credit, Line, OrderFact
from services.reporting.domain.summaries import summaries, summary

UTC = ZoneInfo("UTC")

contacts = st.builds(
    Contact,
    st.sampled_from(("CHAT", "FAQ")),
    st.sampled_from(("website", "whatsapp")),
    st.just(""),
    st.sampled_from(("", "ana")),
    st.just(""),
    st.just(""),
)
credits_ = st.builds(Credit, contacts, st.integers(0, 9), st.integers(0, 9))
lines = st.builds(Line, st.sampled_from("ab"), st.integers(1, 3), st.just(0), st.integers(0, 9), st.integers(0, 9))


@st.composite
def facts(draw: st.DrawFn) -> OrderFact:
    said = Attribution("contact", "SESSION", tuple(draw(st.lists(credits_, min_size=1, max_size=3))))
    seconds = 86_400 * draw(st.integers(0, 9))
    name = str(draw(st.integers(0, 10**9)))
    sold = tuple(draw(st.lists(lines, max_size=2)))
    return OrderFact("acme", 0, "shop", name, seconds, "EUR", 27, 27, "", sold, (said,))


@settings(max_examples=60)
@given(st.lists(facts(), max_size=6))
def test_a_summary_counts_an_order_once_for_each_value(told):
    cells: dict = {}
    for fact in told:
        add(cells, contributions(fact, UTC))
    found = {cell: measures for cell, measures in summaries(cells).items() if isinstance(cell, CreditSummary)}

    for cut in ("", "channel", "touchpoint", "agent"):
        expected: Counter[tuple[date, str]] = Counter()
        earned: Counter[tuple[date, str]] = Counter()
        for fact in told:
            day = date.fromordinal(date(1970, 1, 1).toordinal() + fact.order_seconds // 86_400)
            credited = fact.attributions[0].credits
            values = [getattr(credit.contact, cut) if cut else "" for credit in credited]
            expected.update((day, value) for value in set(values))
            for value, credit in zip(values, credited, strict=True):
                earned[day, value] += credit.gross_micros
        sums = {(cell.day, cell.value): measures for cell, measures in found.items() if cell.cut == cut}
        assert {key: orders for key, (orders, _, _) in sums.items()} == expected
        assert {key: gross for key, (_, gross, _) in sums.items() if gross} == +earned


@settings(max_examples=60)
@given(st.lists(facts(), max_size=6))
def test_summaries_of_parts_add_up_to_those_of_all(told):
    cells: dict = {}
    parts: dict = {}
    for fact in told:
        added = contributions(fact, UTC)
        add(cells, added)
        add(parts, summaries(added))

    assert summaries(cells) == {cell: measures for cell, measures in parts.items() if any(measures)}


def test_a_product_is_in_the_week_of_its_monday():
    line = Line("MUG", 2, 0, 5, 5)
    fact = OrderFact("acme", 0, "shop", "1", 1_795_219_200, "EUR", 5, 5, "", (line,), ())  # 2026-11-21, a Saturday

    found = summaries(contributions(fact, UTC))

    day, monday = date(2026, 11, 21), date(2026, 11, 16)
    assert found[ProductSummary("acme", 0, "", "week", monday, "EUR", "MUG")] == (2, 0, 5, 5)
    assert found[ProductSummary("acme", 0, "", "day", day, "EUR", "")] == (2, 0, 5, 5)
    assert week_of(date.min) == date.min


def test_a_filter_of_credits_that_is_no_column_is_answered_by_the_cells_themselves():
    [slice_] = METRICS["attributed_orders"].slices

    # Two channels share orders, so their sums can't be added up.
    assert summary(slice_, (), ("channel",)) is None
    assert summary(slice_, ("channel",), ("channel",)) == ("channel",)
    assert summary(slice_, ("day",), ()) == ()
    assert summary(slice_, ("channel", "agent"), ()) is None
