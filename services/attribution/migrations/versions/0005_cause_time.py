"""When what lets an order wait to be decided anew was received."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the time; what waits already has none."""
    op.execute("ALTER TABLE reopened_order ADD receive_micros bigint NOT NULL DEFAULT 0")
