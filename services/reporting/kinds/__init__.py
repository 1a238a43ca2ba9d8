"""The kinds of facts that are folded from events, one a module; all are registered here."""

from services.reporting.activities import Kind
from services.reporting.kinds import (
    conversations,
    experiences,
    exposures,
    journeys,
    product,
    production_hours,
    sessions,
)

_ALL: tuple[Kind, ...] = (
    exposures.EXPOSURES,
    conversations.CONVERSATIONS,
    experiences.EXPERIENCES,
    journeys.JOURNEYS,
    product.PRODUCT,
    product.PRODUCT_NAME,
    production_hours.PRODUCTION_HOURS,
    sessions.SESSIONS,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""Every kind, by name."""
