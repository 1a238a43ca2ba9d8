"""The editions of tenants' rules, read from what is stored of their documents."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.domain.editions import Edition, Editions
from services.attribution.store.rules import RuleDocuments, read_rules
from services.attribution.wire.rules import rules


def editions(documents: RuleDocuments) -> Editions:
    """What the documents make of the rules."""
    newest = Edition(documents.edition, rules(documents.settings, documents.models))
    if documents.held_edition is None:
        return Editions(newest)
    return Editions(Edition(documents.held_edition, rules(documents.held_settings, documents.held_models)), newest)


async def editions_of(connection: AsyncConnection, tenant_ids: Iterable[str]) -> dict[str, Editions]:
    """The editions of these tenants."""
    documents = await read_rules(connection, tenant_ids)
    return {tenant_id: editions(document) for tenant_id, document in documents.items()}
