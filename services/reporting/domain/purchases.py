"""Purchases: what an order means to visits and to customers, told by who earned its credit."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from services.reporting.domain.cells import Cell, Measures, MemberCell, TallyCell, VisitCell
from services.reporting.domain.facts import Credit, OrderFact

PERSONALIZATION = "personalization"
RECOMMENDATION_DIRECT = "recommendation_direct"
RECOMMENDATION_ASSISTED = "recommendation_assisted"
RECOMMENDATIONS = (RECOMMENDATION_DIRECT, RECOMMENDATION_ASSISTED)
"""The models of recommendations: an order is led to by one when either credits it."""

PURCHASES = "recommendation_purchases"
CUSTOMERS = "recommendation_customers"

_PLACED, _PERSONALIZED, _RECOMMENDED = range(3)


def purchases(fact: OrderFact, day: date) -> dict[Cell, Measures]:
    """The cells of visits and customers that an order, placed on a day, is part of.

    The models of recommendations and of personalised content decide what led to the order: their windows, and whose it
    is, are the models' own.
    """
    credits_ = {said.model: said.credits for said in fact.attributions if said.credits}
    direct, assisted = credits_.get(RECOMMENDATION_DIRECT, ()), credits_.get(RECOMMENDATION_ASSISTED, ())
    personalized = credits_.get(PERSONALIZATION, ())
    cells: dict[Cell, Measures] = {}
    if direct or assisted:
        cells[TallyCell(fact.tenant_id, fact.edition, PURCHASES, day)] = (1,)
        cells[MemberCell(fact.tenant_id, fact.edition, CUSTOMERS, _customer(fact), day)] = (1,)
    visits: dict[str, set[int]] = defaultdict(set)
    if not fact.excluded_reason:
        visits[fact.session_id].add(_PLACED)
    for credit in personalized:
        visits[credit.session_id].add(_PERSONALIZED)
    for credit in (*direct, *_of_products_bought(fact, assisted)):
        visits[credit.session_id].add(_RECOMMENDED)
    visits.pop("", None)
    for session_id, roles in visits.items():
        measures = tuple(int(role in roles) for role in (_PLACED, _PERSONALIZED, _RECOMMENDED))
        cells[VisitCell(fact.tenant_id, fact.edition, session_id)] = measures
    return cells


def _of_products_bought(fact: OrderFact, credits_: Iterable[Credit]) -> list[Credit]:
    names = {name for line in fact.lines for name in (line.sku, line.product_id)}
    return [credit for credit in credits_ if not names.isdisjoint(credit.product_ids)]


def _customer(fact: OrderFact) -> str:
    """The customer; of an order that names none, the order itself stands for one."""
    if fact.customer_key:
        return fact.customer_key
    return hashlib.sha256(json.dumps([fact.source, fact.order_id]).encode()).hexdigest()[:32]
