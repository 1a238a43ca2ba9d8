"""Who was exposed and what they bought: the same people whatever comes first, in whatever groups."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.kernel.identifiers import Identifier, Kind, identifier_key, kind_of_key
from services.reporting.domain.experiments.exposures import MOST_KEYS, Exposure, First, fact_key, fold, read
from services.reporting.domain.experiments.people import Purchase, population
from services.reporting.domain.experiments.sums import Sums, count
from tests.unit.test_experiment_statistics import DAY, experiment, history

LIMITS = dict.fromkeys((Kind.VISITOR, Kind.PHONE, Kind.CUSTOMER), 2)
identifiers = st.lists(
    st.builds(
        Identifier,
        st.sampled_from([Kind.SESSION, Kind.VISITOR, Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER]),
        st.sampled_from("abcde"),
    ),
    max_size=3,
    unique_by=lambda one: one.kind,
).map(tuple)
exposures = st.lists(
    st.builds(
        Exposure,
        st.sampled_from(["a", "b", "c"]),
        st.builds(First, st.integers(0, 20).map(lambda day: day * DAY), st.just("api"), st.sampled_from("1234")),
        identifiers,
    ),
    max_size=12,
)
purchases = st.lists(
    st.builds(
        Purchase,
        st.just("shop"),
        st.sampled_from("123456"),
        st.integers(0, 30).map(lambda day: day * DAY),
        st.sampled_from(["EUR", "USD"]),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        identifiers.map(lambda named: tuple(sorted(map(identifier_key, named)))),
    ),
    max_size=8,
    unique_by=lambda one: one.order_id,
)


def states(told: list[Exposure], sizes: random.Random) -> dict[str, bytes]:
    """The facts of exposures that are told in groups of these sizes."""
    known: dict[str, bytes] = {}
    start = 0
    while start < len(told):
        end = start + sizes.randint(1, 4)
        groups: dict[str, list[Exposure]] = {}
        for exposure in told[start:end]:
            if (key := fact_key("exp", exposure.identifiers)) is not None:
                groups.setdefault(key, []).append(exposure)
        for key, group in groups.items():
            known[key] = fold(known.get(key, b""), group)
        start = end
    return known


@settings(max_examples=60)
@given(told=exposures, orders=purchases, seed=st.integers(0, 1_000))
def test_the_same_exposures_and_orders_make_the_same_people(told, orders, seed):
    chance = random.Random(seed)
    known = states(told, chance)
    again = told + told[:3]
    chance.shuffle(again)
    other = states(again, chance)
    assert known == other
    shuffled = list(orders)
    chance.shuffle(shuffled)
    exposed = [read(state) for state in known.values()]
    found = population(exposed, orders, LIMITS)
    chance.shuffle(exposed)
    assert population(exposed, shuffled, LIMITS) == found
    asked = experiment()
    counted = count(asked, found.people, "EUR", history([(0, asked)]))
    backwards = count(asked, reversed(found.people), "EUR", history([(0, asked)]))
    assert counted == backwards
    # Everybody is in one variant, and no order is two people's.
    assert sum(sums.people for sums in counted.variants.values()) + counted.outside == len(found.people)
    bought = [one for person in found.people for one in person.purchases]
    assert len(bought) == len(set(bought))
    assert sum(sums.revenue for sums in counted.variants.values()) <= sum(one.gross_micros for one in orders)
    assert len(found.people) + found.unidentified <= len(exposed)


@settings(max_examples=60)
@given(kinds=st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=5), value=st.text(min_size=1, max_size=20))
def test_a_key_tells_its_kind_and_fits_into_a_row(kinds, value):
    for kind in kinds:
        key = identifier_key(Identifier(kind, value))
        assert kind_of_key(key) is kind
        assert -(2**63) <= key < 2**63


def test_of_very_many_keys_the_same_are_kept_whatever_comes_first():
    told = [
        Exposure(
            "a", First(DAY, "api", "1"), (Identifier(Kind.VISITOR, "kiosk"), Identifier(Kind.EMAIL, f"{n}@x.example"))
        )
        for n in range(3 * MOST_KEYS)
    ]
    one = fold(b"", told)
    other = b""
    for exposure in reversed(told):
        other = fold(other, [exposure])
    assert one == other
    assert len(read(one).keys) == MOST_KEYS + 1


def test_sums_are_added_field_by_field():
    assert Sums(1, 2, 3).plus(Sums(10, 20, 30)) == Sums(11, 22, 33)
