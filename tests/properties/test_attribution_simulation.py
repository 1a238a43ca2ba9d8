"""By columns, a model says of every order what it says of each order by itself."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.attribution.domain.attribute import Around, People, consider, judge
from services.attribution.domain.baskets import Seen
from services.attribution.domain.conversations import Stage, Step
from services.attribution.domain.decide import decide
from services.attribution.domain.models import DEFAULT_MODELS, HOUR, Anchor, Basis, Model, Rule, TouchFilter
from services.attribution.domain.orders import NO_VERSION, Line, Notice, Platform, Refund, State, Told, known_order
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import COUNTED, snapshot
from services.attribution.domain.touches import Action, Answer, Channel, Touch
from services.attribution.simulation import lookup
from services.attribution.simulation.asking import Learning, Trial
from services.attribution.simulation.eligible import counted_orders, looked_at
from services.attribution.simulation.evaluate import evaluate
from services.attribution.simulation.loading import complete, load
from services.attribution.simulation.moves import moves, reason
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import event_names
from services.attribution.simulation.totals import sums
from services.attribution.simulation.trying import loading, try_on
from services.attribution.store.blocks import IDENTIFIERS, ORDERS, SEEN, STEPS, TOUCHES
from services.attribution.store.facts import identifier_row, order_row, seen_row, step_row, touch_row
from services.kernel.identifiers import Identifier, Kind
from tests.attribution.columns import InMemory

NOW = 1_790_000_000 * 1_000_000_000


@pytest.fixture(scope="module", autouse=True)
def _parts_of_few_rows():
    """What is worked on in parts is, though a shop is small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_PART", 7)
        yield


class Shop:
    """A shop that a seed makes: few people with much in common, so that ties, tiers and conflicts all occur."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        every = [Identifier(kind, value) for kind in Kind for value in "abc"]
        self.persons = {one: self._random.choice([-2, -1, 2, 3, 2**63 - 1]) for one in self._some(every, 10)}
        self.hubs = frozenset(self._some(every, self._random.randint(0, 2)))
        self.blocked = frozenset(self._some(every, self._random.randint(0, 1)))
        self.count_tests, self.count_crawlers = (self._random.random() < 0.2 for _ in range(2))
        self.touches = [self._touch(number) for number in range(self._random.choice([0, 10, 50]))]
        self.steps = [self._step(number) for number in range(self._random.choice([0, 5, 15]))]
        self.seen = [self._seen(number) for number in range(self._random.choice([0, 20, 60]))]
        self.orders = [self._order(number) for number in range(self._random.choice([0, 6, 12]))]

    def _some(self, values, most):
        return self._random.sample(list(values), self._random.randint(0, most))

    def _ago(self):
        exact = [0, HOUR, 2 * HOUR, 24 * HOUR, 24 * HOUR + 1, 48 * HOUR]
        return self._random.choice([*exact, self._random.randint(0, 60 * HOUR)])

    def _identifiers(self, kinds):
        return tuple(Identifier(kind, self._random.choice("abc")) for kind in sorted(self._some(kinds, 4)))

    def _named(self, conversation_id):
        """As events are read: whoever is in a conversation is named by it."""
        known = self._identifiers([kind for kind in Kind if kind is not Kind.CONVERSATION])
        return (*known, Identifier(Kind.CONVERSATION, conversation_id)) if conversation_id else known

    def _step(self, number):
        conversation_id = self._random.choice("abc")
        return Step(
            source=self._random.choice(["api", "shop"]),
            event_id=f"s{self._random.randint(0, 9) * 100 + number}",
            occur_time=NOW - self._ago(),
            stage=self._random.choice([*Stage, Stage.MESSAGE]),
            by_agent=self._random.random() < 0.3,
            conversation_id=conversation_id,
            touchpoint=self._random.choice(["", "website", "whatsapp"]),
            bot_name=self._random.choice(["", "one", "other"]),
            agent_id=self._random.choice(["", "", "one", "other"]),
            campaign=self._random.choice(["", "one", "other"]),
            identifiers=self._named(conversation_id),
        )

    def _seen(self, number):
        return Seen(
            source="shop",
            event_id=f"v{number}",
            occur_time=NOW - self._ago() // 8,
            added=self._random.random() < 0.5,
            product_ids=self._products(5),
            crawler=self._random.random() < 0.05,
            identifiers=self._named(""),
        )

    def _products(self, most):
        return tuple(self._some(["shoe", "shoe", "shoe-42", "SH42", "sock", "sock", "hat", "tie"], most))

    def _lines(self):
        """Orders of one line, of several, and of none; amounts that divide evenly, and some that don't."""
        products = [("shoe", "SH42", "shoe-42"), ("sock", "", ""), ("hat", "hat", ""), ("", "", ""), ("tie", "tie", "")]
        amounts = [0, 10_000_000, 30_000_000, 2_500_000, self._random.randint(0, 10**8), 2**45 + 1, 10**17 + 7]
        chosen = self._random.choices(products, k=self._random.choice([0, 1, 1, 2, 3, 5]))
        return tuple(
            Line(
                str(number),
                *product[:2],
                1,
                self._random.choice(amounts),
                self._random.choice([0, 200_000]),
                product[2],
            )
            for number, product in enumerate(chosen)
        )

    def _touch(self, number):
        conversation_id = self._random.choice(["", "", "", *"abc"])
        return Touch(
            source=self._random.choice(["api", "shop"]),
            event_id=str(self._random.randint(0, 9) * 100 + number),
            occur_time=NOW - self._ago(),
            channel=self._random.choice(list(Channel)),
            action=self._random.choice([*Action, Action.MESSAGE, Action.CLICK]),
            answer=self._random.choice([*Answer, Answer.HELPFUL, Answer.HELPFUL]),
            touchpoint=self._random.choice(["", "website", "whatsapp"]),
            conversation_id=conversation_id,
            bot_name=self._random.choice(["", "one", "other"]),
            agent_id=self._random.choice(["", "one", "other"]),
            campaign=self._random.choice(["", "one", "other"]),
            crawler=self._random.random() < 0.05,
            identifiers=self._named(conversation_id),
            product_ids=self._products(5),
            experience_id=self._random.choice(["", "one", "other"]),
        )

    def _order(self, number):
        """What was told of an order, and the sale that it is."""
        state = State(
            platform=self._random.choice(list(Platform)),
            order_time=NOW - self._ago() // 4,
            status=self._random.choice(["processing", "paid", "paid", "paid", "completed", "completed", "pending"]),
            test=self._random.random() < 0.05,
            cancelled=self._random.random() < 0.05,
            formerly_trashed=False,
            currency_code=self._random.choice(["EUR", "JPY", "KWD"]),
            total_micros=self._random.choice(
                [self._random.randint(-100, 10_000) * 10_000, self._random.randint(0, 10**7), 10**18 - 7, 0]
            ),
            tax_micros=self._random.choice([0, 210_000]),
            shipping_micros=self._random.choice([0, 990_000]),
            fee_micros=self._random.choice([0, 10_000]),
            lines=self._lines(),
            refunds=(Refund("r", self._random.randint(1, 10**7), None, ()),) if self._random.random() < 0.3 else (),
            display_number="",
            identifiers=self._identifiers([kind for kind in Kind if kind is not Kind.CONVERSATION]),
        )
        notices = [Notice.DELETED, Notice.TRASHED] if self._random.random() < 0.05 else []
        told = (
            Told(Notice.STATE, NO_VERSION, state, (), b""),
            *(Told(one, NO_VERSION, None, (), b"") for one in notices),
        )
        return told, snapshot("shop", str(number), known_order(told), COUNTED, count_tests=self.count_tests)

    def _filter(self, *, by_line):
        def values(*known):
            return frozenset(self._some(known, 2)) if self._random.random() < 0.06 else frozenset()

        return TouchFilter(
            actions=values(*Action),
            touchpoints=values("website", "whatsapp", ""),
            bot_names=values("one", "nobody"),
            agent_ids=values("one", "other"),
            campaigns=values("one", ""),
            experience_ids=values("one", "other"),
            handled_only=self._random.random() < 0.2,
            through_cart=by_line and self._random.random() < 0.5,
        )

    def model(self):
        anchors = [Anchor.TOUCH, Anchor.TOUCH, Anchor.CLICK, Anchor.SESSION, Anchor.CONVERSATION]
        by_line = self._random.random() < 0.4
        weights = [0.0, 0.25, 0.5, 1.0, self._random.random(), self._random.random() * 1e-9]
        return Model(
            name="tried",
            version=0,
            channels=frozenset(self._some(Channel, 6)) if self._random.random() < 0.3 else frozenset(),
            window=self._random.choice([0, HOUR, 24 * HOUR, 72 * HOUR, 72 * HOUR, 72 * HOUR, 72 * HOUR]),
            rule=self._random.choice(list(Rule)),
            anchor=self._random.choice(anchors),
            basis=self._random.choice(list(Basis)),
            filter=self._filter(by_line=by_line),
            by_line=by_line,
            counted={Platform.SHOPIFY: frozenset({"pending"})} if self._random.random() < 0.2 else {},
            helpful_only=self._random.random() < 0.15,
            half_life=self._random.choice([0, HOUR // 60, HOUR, 7 * 24 * HOUR]),
            weights={channel: Fraction(self._random.choice(weights)) for channel in self._some(Channel, 7)},
        )


def cases_of(shop):
    persons, hubs = shop.persons, shop.hubs
    known = [identifier_row(one, persons.get(one), hub=one in hubs) for one in sorted(persons.keys() | hubs)]
    source = InMemory(
        {
            TOUCHES: [touch_row(touch) for touch in shop.touches],
            STEPS: [step_row(step) for step in shop.steps],
            SEEN: [seen_row(seen) for seen in shop.seen],
            ORDERS: [order_row(told, sale) for told, sale in shop.orders],
            # What was said before is forgotten.
            IDENTIFIERS: [identifier_row(one, 77, hub=True) for one in sorted(persons)] + known,
        }
    )
    models = [shop.model() for _ in range(10)]
    trials = [
        Trial(
            simulated=model,
            compared=models[0],
            learning=Learning.NONE,
            from_time=NOW - 60 * HOUR,
            through_time=NOW,
            moved_order_count=5,
            rules=Rules(blocked=shop.blocked, count_tests=shop.count_tests, count_crawlers=shop.count_crawlers),
        )
        for model in models
    ]
    cases = load(source, loading(trials[0]), Stop())
    for trial in trials:
        cases = complete(source, cases, loading(trial), Stop())
    return cases, source, trials


def one_by_one(shop, model):
    persons = {one: person for one, person in shop.persons.items() if one not in shop.hubs}
    known = People(persons, shop.hubs | shop.blocked)
    considering = [
        consider(sale, Around(shop.touches, shop.steps, shop.seen), known, [model], count_crawlers=shop.count_crawlers)
        for _, sale in shop.orders
    ]
    return [judge(one, model) for one in considering]


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_by_columns_and_one_by_one(seed):
    shop = Shop(seed)
    cases, source, trials = cases_of(shop)
    sales = [shop.orders[row][1] for row in cases.orders.row.tolist()]
    expectations = [one_by_one(shop, trial.simulated) for trial in trials]
    outcomes = []
    for trial, expected in zip(trials, expectations, strict=True):
        statuses = {**COUNTED, **trial.simulated.counted}
        counted = counted_orders(cases, statuses, count_tests=shop.count_tests)
        assert [one.excluded is None for one in expected] == counted.tolist()
        looked = looked_at(cases, trial.simulated)
        outcome = evaluate(looked, trial.simulated, counted, count_crawlers=shop.count_crawlers)
        outcomes.append(outcome)
        assert [one.matched_by or 0 for one in expected] == outcome.tier.tolist()
        rows = [
            (order, touch.source, touch.event_id, touch.channel, part, gross, net)
            for order, one in enumerate(expected)
            for touch, part, gross, net, _ in one.credits
        ]
        names = event_names(source, outcome.touch)
        columns = (outcome.channel, outcome.millionths, outcome.gross_micros, outcome.net_micros)
        found = [
            (order, *names[touch], *told)
            for order, touch, *told in zip(
                outcome.order.tolist(), outcome.touch.tolist(), *(column.tolist() for column in columns), strict=True
            )
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
    for one, other in pairwise(range(len(outcomes))):
        pairs = zip(expectations[one], expectations[other], strict=True)
        expected_moves = {order: why for order, pair in enumerate(pairs) if (why := reason(*pair))}
        found = moves(outcomes[one], outcomes[other])
        assert dict(zip(found.order.tolist(), found.reason.tolist(), strict=True)) == expected_moves


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_credits_are_the_same_where_nobody_asks_why(seed):
    shop = Shop(seed)
    persons = {one: person for one, person in shop.persons.items() if one not in shop.hubs}
    known = People(persons, shop.hubs | shop.blocked)
    around = Around(shop.touches, shop.steps, shop.seen)
    for models in (DEFAULT_MODELS, tuple(replace(shop.model(), name=str(number)) for number in range(4))):
        rules = Rules(blocked=shop.blocked, count_crawlers=shop.count_crawlers, models=models)
        for _, sale in shop.orders:
            explained = decide(sale, around, rules, known)
            without = tuple(one._replace(considered=()) for one in explained)
            assert decide(sale, around, rules, known, verdicts=False) == without


@settings(max_examples=6)
@given(st.integers(0, 2**32))
def test_a_trial_as_a_whole(seed):
    shop = Shop(seed)
    cases, source, trials = cases_of(shop)
    for trial in trials[1:]:
        told = []
        result = try_on(cases, trial, source, Stop(), lambda *progress, told=told: told.append(progress))
        assert told[-1] == (len(shop.orders), len(shop.orders))
        pairs = list(zip(*(one_by_one(shop, model) for model in (trial.simulated, trial.compared)), strict=True))
        moved = sorted(
            (-sale.gross_micros, sale.source, sale.order_id, why, [earners(one) for one in pair])
            for (_, sale), pair in zip(shop.orders, pairs, strict=True)
            if (why := reason(*pair))
        )
        assert result.orders == sum(now.excluded is None for now, _ in pairs)
        assert result.moved == len(moved)
        found = [
            (-one.gross_micros, one.source, one.order_id, one.reason, [list(one.simulated), list(one.compared)])
            for one in result.moved_orders
        ]
        assert found == moved[:5]
    same = try_on(cases, trials[0], source, Stop(), lambda *_: None)
    assert (same.moved, same.simulated) == (0, same.compared)


def earners(attribution):
    named = dict.fromkeys((credit.touch.source, credit.touch.event_id) for credit in attribution.credits)
    return [event_id for _, event_id in named]


def test_nothing_at_all():
    shop = Shop(0)
    shop.touches, shop.steps, shop.seen, shop.orders, shop.persons = [], [], [], [], {}
    cases, _, _ = cases_of(shop)
    outcome = evaluate(cases, Model(name="tried", version=0, window=HOUR), counted_orders(cases, COUNTED))
    assert (len(outcome.order), sums(cases, outcome), len(moves(outcome, outcome).order)) == (0, {}, 0)


def test_what_decayed_to_nothing_earns_nothing():
    shop = Shop(1)
    [told, _] = shop.orders[0]
    me = (Identifier(Kind.EMAIL, "me"),)
    state = told[0].state._replace(order_time=NOW, status="paid", platform=Platform.SHOPIFY, identifiers=me)
    told = (Told(Notice.STATE, NO_VERSION, state._replace(test=False, cancelled=False), (), b""),)
    shop.orders = [(told, snapshot("shop", "1", known_order(told), COUNTED))]
    # After 200 half-lives nothing is left.
    ages = (0, 50, 200, 201)
    shop.touches = [
        shop.touches[0]._replace(
            conversation_id="",
            event_id=str(age),
            occur_time=NOW - age,
            identifiers=me,
            crawler=False,
            action=Action.VIEW,
        )
        for age in ages
    ]
    model = Model(name="tried", version=0, window=HOUR, rule=Rule.TIME_DECAY, half_life=1)
    [expected] = one_by_one(shop, model)
    cases, _, _ = cases_of(shop)
    outcome = evaluate(cases, model, counted_orders(cases, COUNTED))
    assert outcome.gross_micros.tolist() == [credit.gross_micros for credit in expected.credits]
    assert len(outcome.gross_micros) == 3
