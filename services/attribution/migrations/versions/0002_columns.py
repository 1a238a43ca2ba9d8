"""Touches, orders and people as columns, for questions about all of them at once."""

from alembic import op

from services.attribution.store import blocks

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates the tables of blocks."""
    for layout in blocks.LAYOUTS:
        for statement in blocks.table_statements(layout):
            op.execute(statement)
