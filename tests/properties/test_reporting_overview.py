"""Sessions, runs and switches are the same however they are told; unique figures count nobody twice in any period."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone.ingest.v1 import event_pb2

from services.reporting.activities import Kind
from services.reporting.domain import switches
from services.reporting.domain.cells import Cell, Measures, MemberCell, UniqueCell, VisitCell
from services.reporting.domain.contributions import add
from services.reporting.domain.fingerprints import fingerprint, together
from services.reporting.domain.switches import Switch
from services.reporting.domain.tenants import Tenant
from services.reporting.domain.uniques import unique_cells
from services.reporting.kinds.experiences import EXPERIENCES
from services.reporting.kinds.journeys import JOURNEYS
from services.reporting.kinds.sessions import SESSIONS

TENANT = Tenant(tenant_id="acme", partition=0, time_zone="America/St_Johns")
KINDS = (SESSIONS, JOURNEYS, EXPERIENCES)
FIRST = 1_793_000_000
PRODUCTS = st.lists(st.sampled_from(["p", "q", 'a "b"']), max_size=2)


def _one_of(names: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(names)


@st.composite
def events(draw: st.DrawFn) -> event_pb2.LoggedEvent:
    event = event_pb2.Event(event_id=draw(st.sampled_from(["1", "2", "3"])))
    event.occur_time.seconds = FIRST + draw(st.integers(0, 4)) * 20_000
    event.identifiers.session_id = draw(st.sampled_from(["s", "t"]))
    payload = draw(st.sampled_from(["storefront", "interaction", "journey", "experience"]))
    if payload == "storefront":
        event.storefront.action = draw(_one_of(["SESSION_STARTED", "PRODUCT_VIEWED", "ADDED_TO_CART"]))
        event.storefront.product_ids.extend(draw(PRODUCTS))
        event.storefront.experience_ids.extend(draw(st.lists(st.just("e"), max_size=1)))
    elif payload == "interaction":
        event.interaction.channel = draw(_one_of(["RECOMMENDATION", "PERSONALIZATION", "CHAT"]))
        event.interaction.action = draw(_one_of(["VIEW", "CLICK", "NOTIFICATION"]))
        event.interaction.product_ids.extend(draw(PRODUCTS))
    elif payload == "journey":
        event.journey.journey_id = draw(st.sampled_from(["j", "j2"]))
        event.journey.run_id = "r"
        event.journey.step = draw(_one_of(["STARTED", "NOTIFIED", "GOAL_MET", "COMPLETED", "CANCELLED"]))
        event.journey.notification_channel = draw(st.sampled_from(["email", "sms"]))
    else:
        event.experience.experience_id = "e"
        event.experience.kind = draw(_one_of(["EXPERIENCE", "AB_TEST"]))
        event.experience.active = draw(st.booleans())
    return event_pb2.LoggedEvent(tenant_id="acme", source="api", event=event)


def fold(kind: Kind, log: Sequence[event_pb2.LoggedEvent], sizes: Sequence[int]) -> dict[str, bytes]:
    """The states that a kind folds from a log that is told in groups."""
    states: dict[str, bytes] = {}
    start, turn = 0, 0
    while start < len(log):
        group = log[start : start + sizes[turn % len(sizes)]]
        start, turn = start + len(group), turn + 1
        for key in sorted({key for event in group for key in kind.keys_of(event)}):
            told = [event for event in group if key in kind.keys_of(event)]
            states[key] = kind.fold(states.get(key, b""), told)
    return states


@given(
    log=st.lists(events(), max_size=12),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    shuffle=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_what_is_known_does_not_tell_how_it_was_told(
    log: list[event_pb2.LoggedEvent], sizes: list[int], shuffle: Random
):
    again = [*log, *log[::2]]
    shuffle.shuffle(again)

    for kind in KINDS:
        once, other = fold(kind, log, [len(log) or 1]), fold(kind, again, sizes)
        assert once == other
        for key, state in once.items():
            assert kind.contributions(TENANT, key, state) == kind.contributions(TENANT, key, other[key])


@given(
    told=st.lists(
        st.builds(
            Switch,
            st.integers(0, 6).map(lambda at: (FIRST + at * 40_000) * 10**9),
            st.just("api"),
            st.sampled_from("abc"),
            st.booleans(),
        ),
        unique_by=lambda switch: (switch.nanos, switch.event_id),
        max_size=8,
    )
)
def test_all_days_up_to_one_tell_whether_it_is_on_at_its_end(told: list[Switch]):
    zone = ZoneInfo("America/St_Johns")
    cells = switches.contributions("acme", zone, "active_experiences", told)

    for day in {cell.day for cell in cells} | {date(2026, 10, 26), date(2026, 10, 28)}:
        end = int(date_start(day + timedelta(days=1), zone)) * 10**9
        before = [switch for switch in sorted(told) if switch.nanos < end]
        assert sum(change for cell, (change,) in cells.items() if cell.day <= day) == bool(before and before[-1].active)


def date_start(day: date, zone: ZoneInfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


DAYS = [date(2026, 10, 30) + timedelta(days=number) for number in range(6)]


@given(
    counted=st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from(DAYS))),
    start=st.sampled_from(DAYS),
    days=st.integers(1, 6),
)
def test_a_unique_figure_counts_everybody_once_in_any_period(counted: set[tuple[str, date]], start: date, days: int):
    cells = unique_cells(MemberCell("acme", 0, "customers", member, day) for member, day in counted)
    end = start + timedelta(days=days - 1)

    read = sum(
        people
        for cell, (people,) in cells.items()
        if isinstance(cell, UniqueCell) and start <= cell.day <= end and cell.previous_day < start
    )

    assert read == len({member for member, day in counted if start <= day <= end})
    by_day = Counter(day for _, day in counted)
    assert {day: sum(people for cell, (people,) in cells.items() if cell.day == day) for day in by_day} == by_day


visits = st.dictionaries(
    st.builds(VisitCell, st.just("acme"), st.integers(0, 1), st.sampled_from("st")),
    st.tuples(st.integers(-1, 2), st.integers(0, 1), st.integers(0, 1)),
    max_size=4,
)


@given(parts=st.lists(visits, max_size=4), other=visits)
def test_a_fingerprint_is_that_of_the_sums_and_of_nothing_else(
    parts: list[dict[Cell, Measures]], other: dict[Cell, Measures]
):
    sums: dict[Cell, Measures] = {}
    for part in parts:
        add(sums, part)

    assert together(*map(fingerprint, parts)) == fingerprint(sums)
    present = {cell: measures for cell, measures in sums.items() if any(measures)}
    assert (fingerprint(other) == fingerprint(sums)) == (
        {cell: measures for cell, measures in other.items() if any(measures)} == present
    )
