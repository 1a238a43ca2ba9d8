"""People are a pure function of the set of observations, decisions and rules, whatever their order."""

from itertools import combinations
from operator import attrgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.identity.domain.facts import Facts
from services.identity.domain.nodes import kind_of, naming_key, node_of, pair_of
from services.identity.domain.parting import Endings, Parting, endings
from services.identity.domain.people import hubs, people
from services.identity.domain.rules import Decision, Rules, newer_decisions, unlinked_pairs
from services.identity.domain.step import (
    Standing,
    Step,
    differences,
    hubs_in_question,
    name,
    place_if_known,
    regions_to_load,
    settle,
)
from services.kernel.identifiers import Kind

COUNTS = {Kind.SESSION: 6, Kind.VISITOR: 2, Kind.EMAIL: 6, Kind.PHONE: 2, Kind.CUSTOMER: 2, Kind.CONVERSATION: 3}
NODES = [node_of(kind, str(number)) for kind, count in COUNTS.items() for number in range(count)]

observations = st.lists(st.sampled_from(NODES), min_size=1, max_size=4, unique_by=kind_of).map(
    lambda nodes: tuple(sorted(nodes))
)
pairs = st.lists(st.sampled_from(NODES), min_size=2, max_size=2, unique=True).map(lambda nodes: pair_of(*nodes))
verdicts = st.builds(Decision, occur_nanos=st.integers(0, 3), event_id=st.sampled_from("ab"), linked=st.booleans())
rules = st.builds(
    Rules,
    limits=st.fixed_dictionaries({kind: st.integers(0, 4) for kind in (Kind.VISITOR, Kind.PHONE, Kind.CUSTOMER)}),
    blocked=st.frozensets(st.sampled_from(NODES), max_size=2),
)


def brute_force(observed, unlinked, rules):
    """Every pair written out; a person is what is reached from an identifier by repeated looking."""
    links = {pair for members in observed for pair in combinations(members, 2) if pair not in unlinked}
    nodes = {node for members in observed for node in members}

    def emails(node):
        return {other for pair in links if node in pair for other in pair if kind_of(other) is Kind.EMAIL}

    def names_nobody(node):
        return node in rules.blocked or len(emails(node)) > rules.limits.get(kind_of(node), len(nodes))

    nobody = {node for node in nodes if names_nobody(node)}
    links = {pair for pair in links if nobody.isdisjoint(pair)}
    reached = {node: {node} for node in nodes}
    for _ in nodes:
        for left, right in links:
            reached[left] = reached[right] = reached[left] | reached[right]
    return nobody, {node: min(reached[node], key=naming_key) for node in nodes}


@given(st.lists(observations, max_size=25), st.frozensets(pairs, max_size=6), rules)
@settings(max_examples=200, deadline=None)
def test_people_are_the_components_without_hubs(observed, unlinked, rules):
    nobody = hubs(observed, rules, unlinked)

    assert (nobody, people(observed, nobody, unlinked)) == brute_force(observed, unlinked, rules)


@given(st.data(), st.lists(observations, max_size=25), st.frozensets(pairs, max_size=6), rules)
@settings(max_examples=100, deadline=None)
def test_neither_order_nor_repetition_matters(data, observed, unlinked, rules):
    again = data.draw(st.permutations(observed + observed[:5]))

    nobody = hubs(observed, rules, unlinked)
    assert hubs(again, rules, unlinked) == nobody
    assert people(again, nobody, unlinked) == people(observed, nobody, unlinked)


@given(st.lists(st.tuples(pairs, verdicts), max_size=12), st.data())
@settings(max_examples=100)
def test_the_newest_decision_of_a_pair_holds_whenever_it_is_told(told, data):
    shuffled = data.draw(st.permutations(told))
    cut = data.draw(st.integers(0, len(told)))

    def holding(batches):
        kept = {}
        for batch in batches:
            facts = Facts()
            for pair, decision in batch:
                facts.decide(pair, decision)
            kept |= newer_decisions(kept, facts.decisions)
        return kept

    assert holding([told]) == holding([shuffled[:cut], shuffled[cut:]])


@given(st.lists(observations, max_size=15), pairs, st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_an_unlinked_pair_is_as_if_never_seen_together(observed, pair, limit):
    rules = Rules(limits=dict.fromkeys((Kind.VISITOR, Kind.PHONE, Kind.CUSTOMER), limit))
    apart, together = [*observed, pair[:1], pair[1:]], [*observed, pair]
    unlinked = unlinked_pairs({pair: Decision(occur_nanos=1, event_id="u", linked=False)})

    nobody = hubs(together, rules, unlinked)
    assert nobody == hubs(apart, rules, unlinked)
    assert people(together, nobody, unlinked) == people(apart, nobody, unlinked)


@given(st.lists(observations, min_size=1, max_size=15), st.data())
@settings(max_examples=100, deadline=None)
def test_nobody_who_has_more_than_a_session_is_named_anew_by_another(observed, data):
    before = people(observed, frozenset(), frozenset())
    back = data.draw(st.sampled_from(sorted(before)))

    after = people([*observed, tuple(sorted((back, node_of(Kind.SESSION, "later"))))], frozenset(), frozenset())
    kept = {node: person for node, person in before.items() if kind_of(person) is not Kind.SESSION}
    assert {node: after[node] for node in kept} == kept


def test_a_kiosk_of_many_stays_one_by_what_is_kept_of_it_however_many_it_was_seen_with():
    kiosk, limit = node_of(Kind.VISITOR, "kiosk"), Rules().limits[Kind.VISITOR]
    seen = {pair_of(kiosk, node_of(Kind.EMAIL, str(number))) for number in range(5_000)}
    naming = name({}, seen, {}, Rules(), frozenset())
    emails = naming.emails[kiosk]
    assert kiosk in naming.hubs
    assert len(emails) < 100

    standings = {kiosk: Standing("kiosk", kiosk, kiosk, True, True, emails)}
    other = pair_of(kiosk, node_of(Kind.EMAIL, "other"))
    assert name(standings, {other}, {}, Rules(), frozenset()).emails[kiosk] == tuple(
        sorted({*emails, node_of(Kind.EMAIL, "other")})[: len(emails)]
    )
    pairs_kept = [pair_of(kiosk, email) for email in emails]
    for apart in ([other], pairs_kept[limit + 1 :]):
        assert hubs_in_question(standings, Rules(), Rules(), apart, frozenset(apart)) == set()
    few = pairs_kept[limit:]
    assert hubs_in_question(standings, Rules(), Rules(), few, frozenset(few)) == {kiosk}


@given(st.lists(st.lists(observations, max_size=6), max_size=6))
@settings(max_examples=150, deadline=None)
def test_steps_lead_where_everything_at_once_does(batches):
    kept: dict[int, Standing] = {}
    seen = set()
    for batch in batches:
        new = {one for one in batch if place_if_known(one, kept) is None or one not in seen}
        naming = name(kept, new, {}, Rules(), frozenset())
        torn = endings(kept, naming.hubs, ()).keys()
        again = {one for one in seen if any(kept[node].region in torn for node in one)}
        step = Step.of(
            standings=kept, links=new | again, unlinked=frozenset(), naming=naming, torn=torn, freed=frozenset()
        )
        settled = settle(step)
        assert all(region in {one.region for one in kept.values()} for region in regions_to_load(step, settled))
        changes = differences(step, settled, dict.fromkeys(NODES, ""), {})
        assert kept.keys().isdisjoint(changes.added)
        assert changes.changed.keys() <= kept.keys()
        kept = kept | changes.added | changes.changed
        seen |= new

    nobody = hubs(seen, Rules(), frozenset())
    assert {node for node, standing in kept.items() if standing.hub} == nobody
    assert {node: standing.person for node, standing in kept.items()} == people(seen, nobody, frozenset())


def walked(observed, standings, walk, unlinked):
    """Lets a walk go on until it asks for nobody; answers how many observations it was told of."""
    told = 0
    while walk.asked:
        found = {node: [one for one in observed if node in one][:most] for node, most in walk.asked.items()}
        told += sum(map(len, found.values()))
        walk.take(found, standings, unlinked)
    return told


def standing_of(observed, unlinked):
    regions, persons = people(observed, frozenset(), frozenset()), people(observed, frozenset(), unlinked)
    return {node: Standing("", regions[node], persons[node], True, False, ()) for node in regions}


@given(st.data(), st.lists(observations, min_size=1, max_size=25), st.frozensets(pairs, max_size=3))
@settings(max_examples=150, deadline=None)
def test_all_parts_of_a_person_but_one_are_found_where_links_end(data, observed, unlinked):
    before = standing_of(observed, unlinked)
    region = before[observed[0][0]].region
    mine = sorted({members for members in observed if before[members[0]].region == region})
    inside = sorted({node for members in mine for node in members})
    leaving = data.draw(st.sets(st.sampled_from(inside), max_size=3))
    seen_together = sorted({pair for members in mine for pair in combinations(members, 2)})
    parted = data.draw(st.sets(st.sampled_from(seen_together), max_size=3)) if seen_together else set()

    torn = endings(before, leaving, parted).get(region, Endings(set(), set(), {}))
    clear = [tuple(node for node in members if node not in leaving) for members in mine]
    for known_by, ends, apart in (
        (attrgetter("person"), torn.persons, unlinked | torn.unlinked),
        (attrgetter("region"), dict.fromkeys(leaving, region), frozenset()),
    ):
        walk = Parting(ends, leaving, known_by)
        walked(mine, before, walk, apart)
        after = people(clear, frozenset(), apart)
        parts: dict[int, dict[int, set[int]]] = {}
        for node, person in after.items():
            parts.setdefault(known_by(before[node]), {}).setdefault(person, set()).add(node)
        left = walk.parted()
        if left is None:
            # A part took the name with it by which others are known.
            assert any(was in leaving or len(of_one) > 1 for was, of_one in parts.items())
            continue
        assert all(
            part <= left.nodes or part.isdisjoint(left.nodes) for of_one in parts.values() for part in of_one.values()
        )
        for was, of_one in parts.items():
            rest = [part for part in of_one.values() if part.isdisjoint(left.nodes)]
            assert len(rest) <= 1
            assert not rest or was in rest[0]
        assert {members for members in mine if not left.nodes.isdisjoint(members)} <= left.seen


@pytest.mark.parametrize(("small", "kiosks"), [(0, 0), (3, 1), (40, 3), (200, 0)])
def test_a_walk_takes_as_long_as_what_falls_off_is_large(small, kiosks):
    """Of a shop with a kiosk of 3,000 addresses, each seen in five visits, somebody with a few is unlinked."""
    node = {(kind, number): node_of(kind, f"{number}") for kind in Kind for number in range(16_000)}
    desk = node[Kind.SESSION, 15_999]
    observed = {pair_of(desk, node[Kind.EMAIL, number]) for number in range(3_000)}
    observed |= {pair_of(node[Kind.EMAIL, visit // 5], node[Kind.VISITOR, visit]) for visit in range(15_000)}
    hers, her_visitor = node[Kind.EMAIL, 15_998], node[Kind.VISITOR, 15_998]
    observed |= {pair_of(hers, her_visitor), pair_of(desk, hers)}
    observed |= {pair_of(her_visitor, node[Kind.SESSION, number]) for number in range(small)}
    observed |= {pair_of(hers, node[Kind.CONVERSATION, number]) for number in range(kiosks)}
    mentioning: dict[int, list[tuple[int, ...]]] = {}
    for members in sorted(observed):
        for one in members:
            mentioning.setdefault(one, []).append(members)
    standings = standing_of(observed, frozenset())
    torn = endings(standings, frozenset(), [pair_of(desk, hers)])[standings[hers].region]

    walk, told = Parting(torn.persons, torn.hubs, attrgetter("person")), 0
    while walk.asked:
        found = {one: mentioning[one][:most] for one, most in walk.asked.items()}
        told += sum(map(len, found.values()))
        walk.take(found, standings, torn.unlinked)

    parted = walk.parted()
    assert parted is None or len(parted.nodes) == 2 + small + kiosks
    assert told < 400 + 10 * small
