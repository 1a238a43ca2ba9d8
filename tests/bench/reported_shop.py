"""A shop of very many orders and conversations as reporting keeps it: facts as rows that SQL can sum, and their cells."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

from services.reporting.domain import purchases, sessions
from services.reporting.domain.catalogue import METRICS
from services.reporting.domain.cells import (
    MEASURES,
    ActivityCell,
    Cell,
    CreditCell,
    CreditSummary,
    Measures,
    ProductCell,
    ProductSummary,
    StoreCell,
    UniqueCell,
)
from services.reporting.domain.contributions import add, contributions
from services.reporting.domain.definitions import CHANNEL
from services.reporting.domain.facts import Attribution, Contact, Credit, Line, OrderFact
from services.reporting.domain.summaries import summaries
from services.reporting.domain.tenants import DEFAULT_MODELS
from services.reporting.store.tables import CELLS

FACTS: Final = "report_bench_facts"
LAST_DAY: Final = date(2026, 11, 21)
DAYS: Final = 365
SKUS: Final = 200
CONTACTS: Final = 8
LABELS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a shop is: a conversation for every second order."""

    tenant_id: str
    orders: int


_TABLES = f"""
    DROP SCHEMA IF EXISTS {FACTS} CASCADE;
    CREATE SCHEMA {FACTS};
    CREATE UNLOGGED TABLE {FACTS}.shop_order (
        tenant_id text COLLATE "C", day date, gross_micros bigint, net_micros bigint, counted boolean,
        sku text COLLATE "C", units bigint, tier text COLLATE "C", contact int, other int, customer int);
    CREATE UNLOGGED TABLE {FACTS}.visit (
        tenant_id text COLLATE "C", day date, personalized boolean, goal boolean, recommended boolean, viewed boolean,
        bought boolean);
    CREATE UNLOGGED TABLE {FACTS}.conversation (
        tenant_id text COLLATE "C", day date, contact int, origin_type text COLLATE "C", label text COLLATE "C");
    CREATE UNLOGGED TABLE {FACTS}.contact AS
        SELECT number AS contact, 'agent-' || number AS agent, 'bot-' || number % 3 AS bot,
               (ARRAY['CHAT', 'MESSAGING', 'FAQ', 'NUDGE'])[1 + number % 4] AS channel,
               (ARRAY['website', 'whatsapp', 'instagram'])[1 + number % 3] AS touchpoint
        FROM generate_series(0, {CONTACTS} - 1) AS number;
"""

# A third of the orders is credited, a tenth of these to two contacts; one order in fifty doesn't count.
_ORDERS = f"""
    INSERT INTO {FACTS}.shop_order
    SELECT %(tenant_id)s, DATE '{LAST_DAY}' - {DAYS - 1} + (number * {DAYS} / %(orders)s)::int, gross,
           CASE WHEN drawn < 0.05 THEN gross / 2 ELSE gross END, drawn < 0.98,
           'SKU-' || floor(pow(random(), 2) * {SKUS}), 1 + (random() < 0.2)::int,
           (ARRAY['SESSION', 'EMAIL', 'VISITOR', 'PERSON'])[1 + floor(random() * 4)::int],
           CASE WHEN credited < 0.33 THEN floor(random() * {CONTACTS})::int END,
           CASE WHEN credited < 0.033 THEN floor(random() * {CONTACTS})::int END,
           floor(random() * %(orders)s / 4)::int
    FROM (SELECT number, random() AS drawn, random() AS credited, (1000 + floor(random() * 20000))::bigint * 10000 AS gross
          FROM generate_series(0::bigint, %(orders)s - 1) AS number) AS made
"""

_CONVERSATIONS = f"""
    INSERT INTO {FACTS}.conversation
    SELECT %(tenant_id)s, DATE '{LAST_DAY}' - {DAYS - 1} + (number * {DAYS} / (%(orders)s / 2))::int,
           floor(random() * {CONTACTS})::int, (ARRAY['INBOUND', 'CAMPAIGN', 'AD'])[1 + floor(random() * 3)::int],
           'label ' || floor(random() * {LABELS})::int
    FROM generate_series(0::bigint, %(orders)s / 2 - 1) AS number
"""

_VISITS = f"""
    INSERT INTO {FACTS}.visit
    SELECT %(tenant_id)s, DATE '{LAST_DAY}' - {DAYS - 1} + (number * {DAYS} / (%(orders)s / 2))::int,
           random() < 0.4, random() < 0.1, random() < 0.3, random() < 0.5, random() < 0.1
    FROM generate_series(0::bigint, %(orders)s / 2 - 1) AS number
"""

_INDEXES = f"""
    CREATE INDEX ON {FACTS}.shop_order (tenant_id, day);
    CREATE INDEX ON {FACTS}.conversation (tenant_id, day);
    CREATE INDEX ON {FACTS}.visit (tenant_id, day);
    ANALYZE {FACTS}.shop_order;
    ANALYZE {FACTS}.visit;
    ANALYZE {FACTS}.conversation;
"""

MODELS: Final = tuple(DEFAULT_MODELS)
_MODELS = ", ".join(f"('{model}')" for model in MODELS)

# An order of two contacts is in a cell for each; what the first has too much by a cent is its own.
_CELLS = (
    f"""INSERT INTO store_cell (tenant_id, edition, day, currency_code, counted, orders, gross_micros, net_micros)
        SELECT tenant_id, 0, day, 'EUR', counted, count(*), sum(gross_micros), sum(net_micros)
        FROM {FACTS}.shop_order GROUP BY tenant_id, day, counted""",
    f"""INSERT INTO product_cell (
            tenant_id, edition, model, day, currency_code, sku, units, refunded_units, gross_micros, net_micros)
        SELECT tenant_id, 0, coalesce(model, ''), day, 'EUR', sku,
               sum(units), 0, sum(gross_micros), sum(net_micros)
        FROM (SELECT tenant_id, day, sku, contact IS NOT NULL AS credited, sum(units) AS units,
                     sum(gross_micros) AS gross_micros, sum(net_micros) AS net_micros
              FROM {FACTS}.shop_order WHERE counted GROUP BY tenant_id, day, sku, credited) AS sold,
             (VALUES (NULL), {_MODELS}) AS models (model)
        WHERE model IS NULL OR credited
        GROUP BY tenant_id, model, day, sku ORDER BY tenant_id, coalesce(model, ''), day, sku""",
    f"""INSERT INTO credit_cell (
            tenant_id, edition, model, day, currency_code, tier, contact_set, place, contacts,
            channel, touchpoint, bot, agent, campaign, orders, gross_micros, net_micros)
        SELECT tenant_id, 0, model, day, 'EUR', tier, contact_set, place, contacts,
               channel, touchpoint, bot, agent, '', orders, gross, net
        FROM (SELECT tenant_id, day, tier, md5(concat_ws(' ', least(contact, other), greatest(contact, other))) AS contact_set,
                     place, CASE WHEN contact = coalesce(other, contact) THEN 1 ELSE 2 END AS contacts,
                     CASE place WHEN 0 THEN least(contact, other) ELSE greatest(contact, other) END AS credited,
                     count(*) AS orders,
                     sum(CASE WHEN contact = coalesce(other, contact) THEN gross_micros
                              WHEN place = 0 THEN gross_micros - gross_micros / 2 ELSE gross_micros / 2 END) AS gross,
                     sum(CASE WHEN contact = coalesce(other, contact) THEN net_micros
                              WHEN place = 0 THEN net_micros - net_micros / 2 ELSE net_micros / 2 END) AS net
              FROM {FACTS}.shop_order, (VALUES (0), (1)) AS places (place)
              WHERE counted AND contact IS NOT NULL AND (place = 0 OR contact <> coalesce(other, contact))
              GROUP BY 1, 2, 3, 4, 5, 6, 7) AS earned
        JOIN {FACTS}.contact AS named ON named.contact = earned.credited, (VALUES {_MODELS}) AS models (model)
        ORDER BY tenant_id, model, day, tier, contact_set, place""",
    f"""INSERT INTO span_cell (
            tenant_id, edition, model, day, contact_name, channel, touchpoint, bot, agent, campaign, experience, orders, seconds)
        SELECT tenant_id, 0, 'contact', day, md5(CAST(contact AS text)), channel, touchpoint, bot, agent, '', '',
               count(*), sum(gross_micros / 1000000)
        FROM {FACTS}.shop_order JOIN {FACTS}.contact USING (contact) WHERE counted
        GROUP BY tenant_id, day, contact, channel, touchpoint, bot, agent""",
    f"""INSERT INTO tally_cell (tenant_id, edition, figure, day, amount)
        SELECT tenant_id, 0, '{purchases.PURCHASES}', day, count(*)
        FROM {FACTS}.shop_order WHERE counted AND contact IS NOT NULL GROUP BY tenant_id, day
      UNION ALL
        SELECT tenant_id, 0, figure, day, count(*) FILTER (WHERE counts)
        FROM {FACTS}.visit CROSS JOIN LATERAL (VALUES
            ('{sessions.PERSONALIZED_BUYS}', personalized AND bought AND NOT goal),
            ('{sessions.RECOMMENDED_BUYS}', recommended AND bought), ('{sessions.BUYS}', bought),
            ('{sessions.BUYS_RECOMMENDED}', recommended AND bought)) AS told (figure, counts)
        GROUP BY tenant_id, figure, day""",
    f"""INSERT INTO unique_cell (tenant_id, edition, figure, day, previous_day, people)
        SELECT tenant_id, 0, '{purchases.CUSTOMERS}', day, coalesce(previous_day, DATE '0001-01-01'), count(*)
        FROM (SELECT tenant_id, day, lag(day) OVER (PARTITION BY tenant_id, customer ORDER BY day) AS previous_day
              FROM (SELECT DISTINCT tenant_id, customer, day FROM {FACTS}.shop_order
                    WHERE counted AND contact IS NOT NULL) AS days) AS bought
        GROUP BY tenant_id, day, previous_day""",
    f"""INSERT INTO activity_cell (
            tenant_id, figure, day, cut_name, channel, touchpoint, bot, agent, campaign, origin_type, tag, classification,
            classification_type, step, experience, journey, notification_channel, variant, currency_code, label, amount)
        SELECT tenant_id, figure, day, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '',
               count(*) FILTER (WHERE counts)
        FROM {FACTS}.visit CROSS JOIN LATERAL (VALUES
            ('{sessions.SESSIONS}', true), ('{sessions.PERSONALIZED}', personalized),
            ('{sessions.PERSONALIZED_GOALS}', personalized AND goal), ('{sessions.RECOMMENDED}', recommended),
            ('{sessions.RECOMMENDED_VIEWS}', recommended AND viewed)) AS told (figure, counts)
        GROUP BY tenant_id, figure, day""",
)

# Each figure of activity counts the conversations: it has a cell for each of their cuts by which it can be told apart.
_ACTIVITY = f"""
    INSERT INTO activity_cell (tenant_id, figure, day, cut_name, {{columns}}, amount)
    SELECT tenant_id, figure, day, md5(concat_ws(' ', contact, origin_type, label)), {{values}}, amount
    FROM (SELECT tenant_id, figure, day, name, CASE WHEN conversed THEN contact END AS contact,
                 CASE WHEN conversed THEN origin_type ELSE '' END AS origin_type,
                 CASE WHEN name <> '' THEN label ELSE '' END AS label, sum(amount) AS amount
          FROM (SELECT tenant_id, day, contact, origin_type, label, count(*) AS amount
                FROM {FACTS}.conversation GROUP BY 1, 2, 3, 4, 5) AS conversations,
               unnest(CAST(%(figures)s AS text[]), CAST(%(names)s AS text[]), CAST(%(conversed)s AS boolean[]))
                   AS figures (figure, name, conversed)
          GROUP BY 1, 2, 3, 4, 5, 6, 7) AS counted
    LEFT JOIN {FACTS}.contact USING (contact)
    ORDER BY tenant_id, figure, day
"""


def fill(database_url: str, schema: str, sizes: list[Size]) -> None:
    """Fills the tables of `schema`, which is migrated and empty, and those of the facts beside it."""
    with psycopg.connect(database_url, autocommit=True, options=f"-c search_path={schema}") as connection:
        connection.execute("SET work_mem = '256MB'")
        connection.execute(_TABLES)
        connection.execute("SELECT setseed(0.5)")
        for size in sizes:
            told: dict[str, Any] = {"tenant_id": size.tenant_id, "orders": size.orders}
            connection.execute(_ORDERS, told)
            connection.execute(_CONVERSATIONS, told)
            connection.execute(_VISITS, told)
            connection.execute(
                """INSERT INTO tenant (tenant_id, partition_id, time_zone, currency_code, settings_position, models, edition)
                   VALUES (%s, 0, 'Europe/Madrid', 'EUR', 1, %s, 0)""",
                (size.tenant_id, json.dumps(dict.fromkeys(MODELS, 1))),
            )
        connection.execute(_INDEXES)
        for statement in _CELLS:
            connection.execute(statement)
        figures = _figures()
        cut = ActivityCell._fields[4:]
        own = {"channel", "touchpoint", "bot", "agent", "origin_type"}
        values = [
            f"coalesce({name}, '')" if name in own else f"CASE name WHEN '{name}' THEN label ELSE '' END"
            for name in cut
        ]
        connection.execute(
            _ACTIVITY.format(columns=", ".join(cut), values=", ".join(values)),
            {
                "figures": list(figures),
                "names": [name for name, _ in figures.values()],
                "conversed": [conversed for _, conversed in figures.values()],
            },
        )
        for size in sizes:
            _summarize(connection, size.tenant_id)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _summarize(connection: "psycopg.Connection[Any]", tenant_id: str) -> None:
    """Writes what the cells sum up to, as it is written with them."""
    for family, part in (
        (CreditCell, "model"),
        (ProductCell, "model"),
        (ActivityCell, "figure"),
        (UniqueCell, "figure"),
    ):
        table = CELLS[family].name
        columns = ", ".join((*family._fields, *MEASURES[family]))
        parts = connection.execute(f"SELECT DISTINCT {part} FROM {table} WHERE tenant_id = %s", [tenant_id]).fetchall()
        for [name] in parts:
            statement = f"SELECT {columns} FROM {table} WHERE tenant_id = %s AND {part} = %s"
            rows = connection.execute(statement, [tenant_id, name]).fetchall()
            keys = len(family._fields)
            _write(connection, summaries({family(*row[:keys]): row[keys:] for row in rows}))


def _write(connection: "psycopg.Connection[Any]", cells: Mapping[Cell, Measures]) -> None:
    families: dict[type[Cell], list[Cell]] = defaultdict(list)
    for cell in cells:
        families[type(cell)].append(cell)
    for family, found in families.items():
        columns = ", ".join((*family._fields, *MEASURES[family]))
        with connection.cursor().copy(f"COPY {CELLS[family].name} ({columns}) FROM STDIN") as copy:
            for cell in sorted(found):
                copy.write_row((*cell, *cells[cell]))


def check(database_url: str, schema: str, size: Size) -> None:
    """Fails unless a shop's cells of orders are what the product's own code makes of the same facts."""
    with psycopg.connect(database_url, options=f"-c search_path={schema}") as connection:
        contacts: dict[int | None, Contact] = {
            row[0]: Contact(row[3], row[4], row[2], row[1], "", "")
            for row in connection.execute(f"SELECT contact, agent, bot, channel, touchpoint FROM {FACTS}.contact")
        }
        expected: dict[Cell, Measures] = {}
        facts = f"""SELECT day, gross_micros, net_micros, counted, sku, units, tier, contact, other
                    FROM {FACTS}.shop_order WHERE tenant_id = %s"""
        for number, row in enumerate(connection.execute(facts, [size.tenant_id])):
            add(expected, contributions(_fact(size.tenant_id, str(number), row, contacts), ZoneInfo("Europe/Madrid")))
        add(expected, summaries(expected))
        for family in (StoreCell, ProductCell, CreditCell, ProductSummary, CreditSummary):
            columns = ", ".join((*family._fields, *MEASURES[family]))
            statement = f"SELECT {columns} FROM {CELLS[family].name} WHERE tenant_id = %s"
            keys = len(family._fields)
            rows = connection.execute(statement, [size.tenant_id]).fetchall()
            found = {family(*row[:keys]): row[keys:] for row in rows}
            ours = {cell: measures for cell, measures in expected.items() if type(cell) is family}
            if _comparable(found) != _comparable(ours):
                raise AssertionError(f"{CELLS[family].name}: not what the facts come to")


def _comparable(cells: Mapping[Any, Measures]) -> Counter[tuple[Any, ...]]:
    """Cells by what they say: the names of sets of contacts, and places in them, are told in another way here."""
    return Counter(
        (*(cell._replace(contact_set="", place=0) if isinstance(cell, CreditCell) else cell), *measures)
        for cell, measures in cells.items()
        if any(measures)
    )


def _fact(tenant_id: str, order_id: str, row: Sequence[Any], contacts: Mapping[int | None, Contact]) -> OrderFact:
    day, gross, net, counted, sku, units, tier, contact, other = row
    credits_: list[Credit] = []
    if counted and contact is not None:
        first, second = sorted((contact, contact if other is None else other))
        halves = (gross - gross // 2, net - net // 2), (gross // 2, net // 2)
        credits_ = [Credit(contacts[first], gross, net)]
        if first != second:
            credits_ = [Credit(contacts[one], *half) for one, half in zip((first, second), halves, strict=True)]
    reason = "" if counted else "CANCELLED"
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    said = tuple(Attribution(model, tier if credits_ else "", tuple(credits_), reason) for model in MODELS)
    lines = (Line(sku, units, 0, gross, net),)
    return OrderFact(tenant_id, 0, "shop", order_id, noon, "EUR", gross, net, reason, lines, said)


def _figures() -> dict[str, tuple[str, bool]]:
    """The figures of activity: one field that their cells have beside contact and origin, and whether they have those."""
    besides = {"tag", "classification", "step", "experience", "journey", "notification_channel", "variant"}
    found: dict[str, tuple[str, bool]] = {}
    of_visits = {
        sessions.SESSIONS,
        sessions.PERSONALIZED,
        sessions.PERSONALIZED_GOALS,
        sessions.RECOMMENDED,
        sessions.RECOMMENDED_VIEWS,
    }
    for metric in METRICS.values():
        for slice_ in metric.slices:
            if slice_.family is ActivityCell and dict(slice_.where)["figure"] not in of_visits:
                named = next((name for name in slice_.dimensions if name in besides), "")
                found[str(dict(slice_.where)["figure"])] = (named, CHANNEL in slice_.dimensions)
    return found
