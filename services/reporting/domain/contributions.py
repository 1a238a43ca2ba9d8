"""What a fact adds to the rollups: the only place where orders become sums."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.reporting.domain.cells import (
    Cell,
    CreditCell,
    Measures,
    Outcome,
    OutcomeCell,
    ProductCell,
    SpanCell,
    StoreCell,
)
from services.reporting.domain.facts import Attribution, Contact, Credit, Line, OrderFact
from services.reporting.domain.periods import day_of
from services.reporting.domain.purchases import purchases


def contributions(fact: OrderFact, zone: ZoneInfo) -> dict[Cell, Measures]:
    """The cells that an order is part of, and what it adds to each; `zone` is the tenant's, which dates it.

    An order without a time is in none. What a model attributes may be a part of the amount only; the rest is
    unattributed, but the order counts once, as attributed. What the tenant excludes is so under every model at once; a
    model that counts it all the same takes it out of the excluded ones again.
    """
    if fact.order_seconds is None:
        return {}
    tenant_id, edition, currency = fact.tenant_id, fact.edition, fact.currency_code
    day = day_of(fact.order_seconds, zone)
    order = (1, fact.gross_micros, fact.net_micros)
    reason = fact.excluded_reason
    cells: dict[Cell, Measures] = {StoreCell(tenant_id, edition, day, currency, not reason): order}
    products = _by_sku(fact.lines)
    if reason:
        cells[OutcomeCell(tenant_id, edition, "", day, currency, Outcome.EXCLUDED, reason, "")] = order
    else:
        for sku, measures in products.items():
            cells[ProductCell(tenant_id, edition, "", day, currency, sku)] = measures
    for attribution in fact.attributions:
        model, own_reason = attribution.model, attribution.excluded_reason
        if own_reason != reason:
            _exclude_otherwise(cells, fact, attribution, day)
        if own_reason:
            continue
        if not attribution.credits:
            cells[OutcomeCell(tenant_id, edition, model, day, currency, Outcome.UNATTRIBUTED, "", "")] = order
            continue
        _add_credits(cells, fact, attribution, day)
        _add_spans(cells, fact, attribution, day)
        for sku, measures in products.items():
            cells[ProductCell(tenant_id, edition, model, day, currency, sku)] = measures
    cells.update(purchases(fact, day))
    return cells


def _exclude_otherwise(cells: dict[Cell, Measures], fact: OrderFact, attribution: Attribution, day: date) -> None:
    """Where a model excludes the order for another reason than the tenant, or only one of the two does."""
    key = (fact.tenant_id, fact.edition, attribution.model, day, fact.currency_code, Outcome.EXCLUDED)
    if fact.excluded_reason:
        cells[OutcomeCell(*key, fact.excluded_reason, "")] = (-1, -fact.gross_micros, -fact.net_micros)
    if attribution.excluded_reason:
        cells[OutcomeCell(*key, attribution.excluded_reason, "")] = (1, fact.gross_micros, fact.net_micros)


def _add_credits(cells: dict[Cell, Measures], fact: OrderFact, attribution: Attribution, day: date) -> None:
    tenant_id, edition, currency = fact.tenant_id, fact.edition, fact.currency_code
    model, tier, credits_, _ = attribution
    earned = _by_contact(credits_)
    contacts = tuple(sorted(earned))
    contact_set = name_of_set(contacts)
    gross = net = 0
    for place, contact in enumerate(contacts):
        contact_gross, contact_net = earned[contact]
        cell = CreditCell(tenant_id, edition, model, day, currency, tier, contact_set, place, len(contacts), *contact)
        cells[cell] = (1, contact_gross, contact_net)
        gross += contact_gross
        net += contact_net
    cells[OutcomeCell(tenant_id, edition, model, day, currency, Outcome.ATTRIBUTED, "", tier)] = (1, gross, net)
    if gross != fact.gross_micros or net != fact.net_micros:
        rest = (0, fact.gross_micros - gross, fact.net_micros - net)
        cells[OutcomeCell(tenant_id, edition, model, day, currency, Outcome.UNATTRIBUTED, "", "")] = rest


def _add_spans(cells: dict[Cell, Measures], fact: OrderFact, attribution: Attribution, day: date) -> None:
    """How long it took from the visitor's first message in the credited conversation, where that was before the order."""
    for credit in attribution.credits:
        asked = credit.visitor_seconds
        if asked is None or fact.order_seconds is None or asked > fact.order_seconds:
            continue
        name = name_of_set((credit.contact,))
        cell = SpanCell(fact.tenant_id, fact.edition, attribution.model, day, name, *credit.contact)
        add(cells, {cell: (1, fact.order_seconds - asked)})


def _by_contact(credits_: tuple[Credit, ...]) -> dict[Contact, tuple[int, int]]:
    earned: dict[Contact, tuple[int, int]] = {}
    for credit in credits_:
        before = earned.get(credit.contact, (0, 0))
        earned[credit.contact] = (before[0] + credit.gross_micros, before[1] + credit.net_micros)
    return earned


def _by_sku(lines: tuple[Line, ...]) -> dict[str, Measures]:
    products: dict[str, Measures] = {}
    for sku, units, refunded_units, gross, net, _ in lines:
        before = products.get(sku)
        measures = (units, refunded_units, gross, net)
        products[sku] = _added(before, measures) if before else measures
    return products


@lru_cache(maxsize=65_536)
def name_of_set(contacts: tuple[Contact, ...]) -> str:
    """A short name for some kinds of contacts, given in sequence: the same for the same kinds, in every process."""
    return hashlib.sha256(json.dumps(contacts, ensure_ascii=False).encode()).hexdigest()[:32]


def differences(
    changes: Iterable[tuple[OrderFact | None, OrderFact]], zones: Mapping[str, ZoneInfo]
) -> dict[Cell, Measures]:
    """What replacing facts by newer ones adds to the rollups; cells that stay as they are are left out.

    Each change is a fact as it was, None when it is new, and as it is; `zones` are the tenants'.
    """
    sums: dict[Cell, Measures] = {}
    for old, new in changes:
        if old == new:
            continue
        zone = zones[new.tenant_id]
        add(sums, contributions(new, zone))
        if old is not None:
            add(sums, {cell: tuple(-measure for measure in was) for cell, was in contributions(old, zone).items()})
    return {cell: measures for cell, measures in sums.items() if any(measures)}


def add(sums: dict[Cell, Measures], more: Mapping[Cell, Measures]) -> None:
    """Adds to sums, in place."""
    for cell, measures in more.items():
        before = sums.get(cell)
        sums[cell] = _added(before, measures) if before else measures


def _added(left: Measures, right: Measures) -> Measures:
    return tuple(map(int.__add__, left, right))
