"""The register of a service's generations."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the register."""
    op.execute(
        """CREATE TABLE generation (
               generation bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
               state text NOT NULL CHECK (state IN ('building', 'serving', 'retired')),
               retire_time timestamptz)"""
    )
    op.execute("CREATE UNIQUE INDEX generation_serving ON generation (state) WHERE state = 'serving'")
