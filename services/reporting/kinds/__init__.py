"""The kinds of facts that are folded from events, one a module; all are registered here."""

from services.reporting.activities import Kind
from services.reporting.kinds import product

_ALL: tuple[Kind, ...] = (product.PRODUCT, product.PRODUCT_NAME)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""Every kind, by name."""
