"""Popularity and social proof on a real Postgres, from what shops tell of products and orders."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2
from touchstone.reporting.v1 import product_service_pb2 as pb

from gateway.web.webhooks import shopify, woocommerce
from gateway.web.webhooks.translation import Reader
from services.chassis.callers import Caller, set_caller
from services.chassis.database import open_database
from services.chassis.follow import Entry
from services.chassis.migrations import migrate
from services.kernel.failures import InvalidArgumentError, NotFoundError
from services.reporting import follower
from services.reporting.product_servicer import ProductServicer
from services.reporting.store import products

MIGRATIONS = Path(follower.__file__).parent / "migrations"
RECORDED = Path(__file__).parents[1] / "recorded" / "woocommerce"
READER = Reader(id_prefix="_touchstone_")
DAY = "2026-11-20"


@pytest.fixture(scope="module")
async def engine(new_database: Callable[[], str]) -> AsyncEngine:
    url = new_database()
    await migrate(url, schema="reporting_1", scripts=MIGRATIONS)
    engine = open_database(url, schema="reporting_1")
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
async def nothing_told(engine):
    set_caller(Caller(subject="test", tenant_id="acme", scopes=frozenset({"reports:read"})))
    async with engine.begin() as connection:
        for table in (
            "tenant",
            "order_fact",
            "store_cell",
            "product_cell",
            "product_summary",
            "outcome_cell",
            "activity_fact",
        ):
            await connection.execute(text(f"DELETE FROM {table}"))


@pytest.fixture
def servicer(engine) -> ProductServicer:
    return ProductServicer(lambda: engine)


positions = count(1)


async def tell(engine, *events: dict, source: str = "shop") -> None:
    """Tells of products, or of settings."""
    logged = [
        event_pb2.LoggedEvent(tenant_id="acme", source=source, event=event_pb2.Event(**fields)) for fields in events
    ]
    async with engine.begin() as connection:
        await follower.apply_events(connection, 0, [Entry(next(positions), one) for one in logged])


def product(product_id: str, at: int = 1, **fields) -> dict:
    told = {"product_id": product_id, **fields}
    return {"event_id": f"{product_id}@{at}", "occur_time": {"seconds": at}, "product": told}


async def sell(engine, *sales: tuple[str, str, int], excluded: int = 0) -> None:
    """Each sale is a day, a SKU and so many units, of which one came back."""
    entries = []
    for day, sku, units in sales:
        position = next(positions)
        told = credit_pb2.OrderCredits(tenant_id="acme")
        told.order.source, told.order.order_id, told.order.currency_code = "shop", str(position), "EUR"
        told.order.order_time.FromDatetime(datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC))
        told.order.excluded_reason = excluded
        told.order.lines.add(sku=sku, quantity=units, refunded_quantity=1)
        entries.append(Entry(position, told))
    async with engine.begin() as connection:
        await follower.apply_credits(connection, 0, entries)


async def popular(servicer, **asked):
    return await servicer.ListPopularProducts(pb.ListPopularProductsRequest(**({"as_of": DAY} | asked)), None)


async def proof(servicer, sku: str, **asked):
    request = pb.GetSocialProofRequest(**({"sku": sku, "as_of": DAY} | asked))
    return (await servicer.GetSocialProof(request, None)).social_proof


def listed(answer):
    return [(one.sku, one.ranking.sold, one.ranking.rank, one.ranking.percentile) for one in answer.products]


async def test_units_are_counted_over_the_days_up_to_the_one_asked_about(engine, servicer):
    await sell(
        engine,
        ("2026-11-20", "a", 1),
        ("2026-11-14", "a", 2),
        ("2026-11-13", "a", 4),
        ("2026-10-22", "a", 8),
        ("2026-10-21", "a", 16),
        ("2026-08-23", "a", 32),
        ("2026-08-22", "a", 64),
        ("2026-11-21", "a", 128),
    )
    await sell(engine, ("2026-11-20", "a", 256), excluded=credit_pb2.Exclusion.CANCELLED)
    said = await proof(servicer, "a")
    assert (said.units_7_days, said.units_30_days, said.units_90_days) == (3, 15, 63)
    assert [(one.days, one.sold) for one in said.rankings] == [(7, 3), (30, 15), (90, 63)]
    assert not said.HasField("total_sales")
    later = await proof(servicer, "a", as_of="2026-11-21")
    # The first of the seven days is now the 15th.
    assert later.units_7_days == 1 + 128
    answer = await popular(servicer, days=7)
    assert (listed(answer), answer.days, answer.as_of) == ([("a", 3, 1, 0)], 7, DAY)
    assert not answer.products[0].ranking.HasField("percentile")


async def test_those_that_sold_as_many_share_a_rank_and_stand_by_name(engine, servicer):
    await sell(engine, *((DAY, sku, units) for sku, units in [("d", 2), ("b", 5), ("c", 5), ("e", 9), ("B", 5)]))
    await tell(engine, product("a", sku="never"))
    answer = await popular(servicer)
    assert listed(answer) == [
        ("e", 9, 1, 100),
        ("B", 5, 2, 40),
        ("b", 5, 2, 40),
        ("c", 5, 2, 40),
        ("d", 2, 5, 20),
        ("never", 0, 6, 0),
    ]
    assert (answer.total_size, {one.ranking.ranked for one in answer.products}) == (6, {6})
    first = await popular(servicer, page_size=4)
    rest = await popular(servicer, page_size=4, page_token=first.next_page_token)
    assert listed(first) + listed(rest) == listed(answer)
    assert not rest.next_page_token
    with pytest.raises(InvalidArgumentError):
        await popular(servicer, days=7, page_token=first.next_page_token)
    for sku, units, rank, percentile in listed(answer):
        (ranking,) = [one for one in (await proof(servicer, sku)).rankings if one.days == 30]
        assert (ranking.sold, ranking.rank, ranking.ranked, ranking.percentile) == (units, rank, 6, percentile)


async def test_total_sales_rank_where_the_shop_tells_them(engine, servicer):
    await sell(engine, (DAY, "tea", 1), (DAY, "cup", 3), (DAY, "untold", 7))
    assert (await popular(servicer)).by == 2
    await tell(
        engine,
        product("1", sku="tea", display_name="Tea", total_sales=40),
        product("2", sku="cup", display_name="Cup", total_sales=2),
        product("3", sku="new"),
    )
    answer = await popular(servicer)
    assert ([one[:3] for one in listed(answer)], answer.by, answer.days) == ([("tea", 40, 1), ("cup", 2, 2)], 1, 0)
    assert [one.display_name for one in answer.products] == ["Tea", "Cup"]
    assert listed(await popular(servicer, by=2))[0][:2] == ("untold", 7)
    said = await proof(servicer, "tea")
    assert [(one.by, one.days, one.sold, one.rank, one.ranked) for one in said.rankings] == [
        (1, 0, 40, 1, 2),
        (2, 7, 1, 3, 4),
        (2, 30, 1, 3, 4),
        (2, 90, 1, 3, 4),
    ]
    assert (said.best_seller, said.sentence, said.language_code) == (False, "40 units sold so far.", "en")
    # Another shop of the tenant's sells it too: the greater number holds; a deleted one is out.
    await tell(engine, product("x", sku="tea", total_sales=30), source="other")
    assert (await proof(servicer, "tea")).total_sales == 40
    await tell(engine, product("1", 2, deleted=True))
    assert (await proof(servicer, "tea")).total_sales == 30
    await tell(engine, product("x", 2, deleted=True), source="other")
    with pytest.raises(NotFoundError):
        await proof(servicer, "tea")
    assert "tea" not in {one.sku for one in (await popular(servicer, by=2)).products}


async def test_variations_are_sold_as_their_product(engine, servicer):
    body = (
        b'{"id":1,"title":"Tee","updated_at":"2026-11-01T00:00:00Z","variants":'
        b'[{"id":2,"sku":"T-S","title":"S"},{"id":3,"sku":"","title":"M"}]}'
    )
    await tell(engine, *shopify.translate("products/create", body, READER))
    await sell(engine, (DAY, "T-S", 3), (DAY, "1", 4), (DAY, "cup", 5))
    assert [one[:3] for one in listed(await popular(servicer, by=2))] == [("1", 7, 1), ("cup", 5, 2)]
    said = [await proof(servicer, name) for name in ("T-S", "1", "2", "3")]
    assert {(one.product_sku, one.display_name, one.units_7_days) for one in said} == {("1", "Tee", 7)}
    assert [one.sku for one in said] == ["T-S", "1", "2", "3"]
    async with engine.connect() as connection:
        names = await products.read_names(connection, "acme", ["T-S", "1", "cup"])
        assert names == {"T-S": "Tee - S", "1": "Tee"}
        assert await products.read_names(connection, "other", ["T-S"]) == {}


@pytest.mark.parametrize("seed", range(6))
async def test_every_rank_is_what_a_naive_count_says(engine, servicer, seed):
    dice = random.Random(seed)
    numbers = [str(number) for number in range(1, 13)]
    parent_of = {number: dice.choice(numbers[:4]) for number in numbers[4:] if dice.random() < 0.6}
    sku_of = {number: dice.choice(["", f"s{number}"]) for number in numbers}
    total_of = {number: dice.randrange(4) for number in numbers if dice.random() < 0.5}
    gone = {number for number in numbers if number not in parent_of.values() and dice.random() < 0.2}
    told = [
        product(
            number, sku=sku_of[number], parent_product_id=parent_of.get(number, ""), total_sales=total_of.get(number)
        )
        for number in numbers
    ]
    told += [product(number, 2, deleted=True) for number in gone]
    dice.shuffle(told)
    await tell(engine, *told)
    names = [*(sku_of[number] or number for number in numbers), "stray"]
    sales = [(dice.choice(["2026-11-20", "2026-11-02", "2026-10-01"]), dice.choice(names), 1) for _ in range(25)]
    await sell(engine, *sales)

    def whole(name):
        number = next((one for one in numbers if name in (sku_of[one], one)), name)
        number = parent_of.get(number, number)
        return sku_of.get(number) or number

    roots = [number for number in numbers if number not in parent_of]
    dead = {whole(number) for number in roots if number in gone}
    units = Counter({whole(number): 0 for number in roots})
    units.update(whole(name) for day, name, _ in sales if day > "2026-10-21")
    units.update({whole(name): 0 for _, name, _ in sales})
    totals = {whole(number): total_of[number] for number in roots if number in total_of}
    for by, sold in ((1, totals), (2, units)):
        alive = {name: count for name, count in sold.items() if name not in dead}
        ranked = sorted(
            (1 + sum(other > count for other in alive.values()), name, count) for name, count in alive.items()
        )
        answer = await popular(servicer, by=by, page_size=100)
        assert [(one.ranking.rank, one.sku, one.ranking.sold) for one in answer.products] == ranked
        below = [sum(other < count for other in alive.values()) for _, _, count in ranked]
        percentiles = [100 * count / max(len(ranked) - 1, 1) for count in below]
        assert [one.ranking.percentile for one in answer.products] == percentiles


async def test_a_recorded_shop(engine, servicer):
    deliveries = [json.loads(file.read_bytes()) for file in sorted(RECORDED.glob("delivery_*product*.json"))]
    for told in reversed(deliveries):
        headers = {name.lower(): value for name, value in told["headers"]}
        body = base64.b64decode(told["body_b64"])
        await tell(engine, *woocommerce.translate(headers["x-wc-webhook-topic"], body, READER), source="woo")
    answer = await popular(servicer)
    assert [one[:3] for one in listed(answer)] == [
        ("THE-SENCHA-100", 15, 1),
        ("17", 0, 2),
        ("KYUSU-01", 0, 2),
        ("TEE", 0, 2),
    ]
    assert (await proof(servicer, "TEE-S")).product_sku == "TEE"


async def test_a_best_seller_in_the_shops_language(engine, servicer):
    settings = settings_pb2.TenantSettings(time_zone="Europe/Madrid", currency_code="EUR", language_code="es")
    await tell(engine, {"settings": settings})
    await sell(engine, (DAY, "tea", 1200), *((DAY, f"{number}", number) for number in range(1, 10)))
    said = await proof(servicer, "tea")
    assert said.best_seller
    assert said.sentence == "Uno de nuestros productos más vendidos: 1.200 unidades vendidas en los últimos 30 días."
    assert said.language_code == "es"
    assert (await proof(servicer, "tea", language_code="de-CH")).sentence.startswith(
        "Einer unserer Bestseller: 1\u2019200"
    )
    other = await proof(servicer, "9")
    assert (other.best_seller, other.sentence) == (False, "9 unidades vendidas en los últimos 7 días.")
    assert (await proof(servicer, "4")).sentence == ""


async def test_what_is_not_known_and_what_is_not_a_day(servicer):
    assert listed(await popular(servicer)) == []
    with pytest.raises(NotFoundError):
        await proof(servicer, "nothing")
    for ask in (popular(servicer, as_of="2026-W47-5"), proof(servicer, "a", as_of="tomorrow")):
        with pytest.raises(InvalidArgumentError) as refused:
            await ask
        assert refused.value.violations[0].field == "asOf"
    # Without one it is today in the tenant's zone.
    assert (
        abs((datetime.now(UTC).date() - datetime.fromisoformat((await popular(servicer, as_of="")).as_of).date()).days)
        <= 1
    )
