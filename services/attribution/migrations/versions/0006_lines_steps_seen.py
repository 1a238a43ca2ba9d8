"""Lines of orders, products of touches, steps of conversations and products seen, as columns."""

from alembic import op

from services.attribution.store import blocks

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds what a state that was begun before doesn't have."""
    # What is stored already has no such columns, and would answer wrongly: questions that need them are answered order
    # by order, until the service is built again.
    op.execute(
        """CREATE TABLE column_gap AS
           SELECT true AS gap WHERE EXISTS (SELECT FROM touch) OR EXISTS (SELECT FROM known_order)"""
    )
    for layout in blocks.LAYOUTS:
        for statement in blocks.table_statements(layout):
            op.execute(statement)
        for column in layout.packed:
            op.execute(
                f"""ALTER TABLE {layout.table}
                    ADD COLUMN IF NOT EXISTS {column} bytea STORAGE EXTERNAL NOT NULL DEFAULT ''"""
            )
