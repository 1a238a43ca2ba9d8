"""Who was exposed and what they bought: the same people whatever comes first, in whatever groups."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.identity.domain.nodes import node_of, pair_of
from services.identity.domain.people import hubs
from services.identity.domain.people import people as people_of
from services.identity.domain.rules import Rules
from services.kernel.identifiers import Identifier, Kind, identifier_key, kind_of_key
from services.reporting.domain.experiments.exposures import MOST_KEYS, Exposure, First, fold, read, unit_of
from services.reporting.domain.experiments.people import Person, Purchase, Unit, Who, buyers, people, shown
from services.reporting.domain.experiments.sums import Sums, contribution, count
from services.reporting.domain.experiments.sums import counted as summed
from tests.unit.test_experiment_statistics import DAY, experiment, history

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
        st.integers(0, 10**9).map(lambda micros: (("conversations", micros),)),
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
            if (unit := unit_of(exposure.identifiers)) is not None:
                groups.setdefault(str(unit), []).append(exposure)
        for key, group in groups.items():
            known[key] = fold(known.get(key, b""), group)
        start = end
    return known


def who_is_who(seen: list[tuple[Identifier, ...]], unlinked: list[frozenset[Identifier]] | None = None) -> Who:
    """The people of observations, as identity finds them; of whom only one was seen, nothing is told."""
    keys = {node_of(*one): identifier_key(one) for named in seen for one in named}
    observed = {tuple(sorted(node_of(*one) for one in named)) for named in seen}
    apart = {pair_of(*(node_of(*one) for one in pair)) for pair in unlinked or () if len(pair) == 2}
    hubs_found = hubs(observed, Rules(), apart)
    regions = people_of(observed, hubs_found, frozenset())
    meetings = Counter(regions[members[0]] for members in observed if members)
    judged = {regions[node] for pair in apart for node in pair if node in regions}
    persons = people_of(observed, hubs_found, apart)
    told = {node for node, region in regions.items() if meetings[region] > 1 or region in judged}
    return Who(
        persons={keys[node]: persons[node] for node in told},
        nobody=frozenset(keys[node] for node in hubs_found),
    )


def found_of(known: dict[str, bytes], orders: list[Purchase], who: Who) -> dict[int, Person | None]:
    units = []
    for name, state in known.items():
        exposed = read(state)
        person = shown(exposed.keys, who)
        units.append(Unit(int(name) if person is None else person, person is not None, exposed))
    bought = [(order, buyers(order.keys, who)) for order in orders]
    return people(units, bought, {unit.person for unit in units})


@settings(max_examples=60)
@given(
    told=exposures, orders=purchases, seen=st.lists(identifiers.filter(bool), max_size=5), seed=st.integers(0, 1_000)
)
def test_the_same_exposures_and_orders_make_the_same_people(told, orders, seen, seed):
    chance = random.Random(seed)
    known = states(told, chance)
    again = told + told[:3]
    chance.shuffle(again)
    assert known == states(again, chance)
    who = who_is_who([one.identifiers for one in told if one.identifiers] + seen)
    found = found_of(known, orders, who)
    names = list(known)
    chance.shuffle(names)
    shuffled = list(orders)
    chance.shuffle(shuffled)
    assert found_of({name: known[name] for name in names}, shuffled, who) == found
    everybody = [person for person in found.values() if person is not None]
    asked = experiment()
    counted = count(asked, everybody, "EUR", history([(0, asked)]))
    assert counted == count(asked, reversed(everybody), "EUR", history([(0, asked)]))
    # Everybody is in one variant, and no order is two people's.
    assert sum(sums.people for sums in counted.variants.values()) + counted.outside == len(everybody)
    bought = [one for person in everybody for one in person.purchases]
    assert len(bought) == len(set(bought))
    assert sum(sums.revenue for sums in counted.variants.values()) <= sum(one.gross_micros for one in orders)
    assert len(found) <= len(known)


@settings(max_examples=60)
@given(
    told=exposures, orders=purchases, seen=st.lists(identifiers.filter(bool), max_size=4), seed=st.integers(0, 1_000)
)
def test_a_link_that_was_taken_back_is_as_if_it_had_never_been(told, orders, seen, seed):
    known = states(told, random.Random(seed))
    every = [one.identifiers for one in told if one.identifiers] + seen
    visitor, email = Identifier(Kind.VISITOR, "a"), Identifier(Kind.EMAIL, "b")
    pair = frozenset((visitor, email))
    apart = [
        (visitor,),
        (email,),
        *(tuple(one for one in named if one != email) for named in every if pair <= {*named}),
    ]
    never = [named for named in every if not pair <= {*named}] + apart
    # Who is seen together with both is linked through it, and stays so.
    if any(len(named) > 2 and pair <= {*named} for named in every):
        return
    before = found_of(known, orders, who_is_who([*never, (visitor, email)], [pair]))
    assert found_of(known, orders, who_is_who([*never, (visitor,), (email,)], [pair])) == before


@settings(max_examples=40)
@given(told=exposures, orders=purchases)
def test_what_each_person_adds_can_be_taken_off_again(told, orders):
    known = states(told, random.Random(1))
    who = who_is_who([one.identifiers for one in told if one.identifiers])
    everybody = [person for person in found_of(known, orders, who).values() if person is not None]
    asked = experiment()
    since = history([(0, asked)])
    parts: Counter[tuple[str, str, str]] = Counter()
    for person in everybody:
        parts.update(contribution(asked, since, person, "EUR"))
    for person in everybody[1:]:
        parts.subtract(contribution(asked, since, person, "EUR"))
    assert summed(parts, since, "") == count(asked, everybody[:1], "EUR", since)


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
