"""Computes orders' credits from all that is stored: the follower publishes what comes out, the servicer proves it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.domain.attribute import Attribution
from services.attribution.domain.decide import decide, open_to_people
from services.attribution.domain.orders import Told, known_order
from services.attribution.domain.rules import Rules
from services.attribution.domain.snapshot import snapshot
from services.attribution.store.cases import AS_FAR_AS_MODELS, Case, Reach, gather
from services.attribution.store.orders import OrderKey
from services.attribution.store.rules import read_rules
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import rules as rules_wire


class Recounted(NamedTuple):
    """What follows from all that is known: the case, each model's word, and the entry of the credit log."""

    case: Case
    attributions: tuple[Attribution, ...]
    entry: bytes
    open_to_people: bool


async def rules_of(connection: AsyncConnection, tenant_ids: set[str]) -> dict[str, Rules]:
    """The rules of these tenants."""
    documents = await read_rules(connection, tenant_ids)
    return {
        tenant_id: rules_wire.rules(document.settings, document.models) for tenant_id, document in documents.items()
    }


async def recount(
    connection: AsyncConnection,
    orders: Mapping[OrderKey, Sequence[Told]],
    rules: Mapping[str, Rules],
    reach: Reach = AS_FAR_AS_MODELS,
) -> dict[OrderKey, Recounted]:
    """What each order earns whom. Orders of which only notices were told are left out."""
    sales = {
        key: snapshot(key.source, key.order_id, known, rules[key.tenant_id].counted)
        for key, told in orders.items()
        if (known := known_order(told)) is not None
    }
    cases = await gather(connection, [(key.tenant_id, sale) for key, sale in sales.items()], rules, reach)
    return {key: _recounted(case, rules[key.tenant_id]) for key, case in zip(sales, cases, strict=True)}


def _recounted(case: Case, rules: Rules) -> Recounted:
    attributions = decide(case.order, case.touches, rules, case.people)
    return Recounted(
        case=case,
        attributions=attributions,
        entry=credits_wire.order_credits(case.tenant_id, case.order, attributions),
        open_to_people=open_to_people(case.order, attributions),
    )
