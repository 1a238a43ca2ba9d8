"""The kinds of facts that are folded from events, one a module; all are registered here."""

from services.reporting.activities import Kind
from services.reporting.kinds import conversations, product, production_hours

_ALL: tuple[Kind, ...] = (
    conversations.CONVERSATIONS,
    product.PRODUCT,
    product.PRODUCT_NAME,
    production_hours.PRODUCTION_HOURS,
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""Every kind, by name."""
