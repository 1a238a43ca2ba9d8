"""How far a tenant's figures are counted anew."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds what was gone through, and how much there is, which is not known at first."""
    op.execute("ALTER TABLE coming_counting ADD done bigint NOT NULL DEFAULT 0, ADD total bigint")
