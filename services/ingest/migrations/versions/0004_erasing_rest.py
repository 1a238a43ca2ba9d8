"""Until when nothing is erased, so that one erasing does not follow another at once."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Creates the table, of one row, and notes when erasings begin."""
    op.execute("CREATE TABLE erasing_rest (until_time timestamptz NOT NULL)")
    op.execute("INSERT INTO erasing_rest VALUES ('epoch')")
    op.execute("ALTER TABLE erasure ADD COLUMN begin_time timestamptz NOT NULL DEFAULT now()")
