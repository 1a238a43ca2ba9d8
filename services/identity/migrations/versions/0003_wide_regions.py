"""Regions that are so large that what mentions an identifier is looked up in an index of its own."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Creates the table, and the index of those regions' observations."""
    op.execute(
        """CREATE TABLE wide_region (
               tenant_id text COLLATE "C" NOT NULL,
               region bigint NOT NULL,
               PRIMARY KEY (tenant_id, region))"""
    )
    # True for all observations of wide regions and of no others: most regions are small, and cost nothing here.
    op.execute("ALTER TABLE observation ADD wide boolean NOT NULL DEFAULT false")
    op.execute(
        """CREATE INDEX observation_by_mention ON observation USING gin (members)
           WITH (fastupdate = off) WHERE wide"""
    )
