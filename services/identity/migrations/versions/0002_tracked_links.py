"""Tracked links, and the hosts that a tenant's may lead to."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates the tables."""
    op.execute(
        """CREATE TABLE tracked_link (
               tenant_id text NOT NULL,
               link_id text NOT NULL,
               conversation_id text NOT NULL,
               destination text NOT NULL,
               expire_nanos bigint NOT NULL,
               PRIMARY KEY (tenant_id, link_id))"""
    )
    # Whoever follows a link knows nothing but its id, not even the tenant.
    op.execute("CREATE INDEX tracked_link_by_id ON tracked_link (link_id)")
    # From the tenant's settings at a position of the event log.
    op.execute(
        """CREATE TABLE link_host (
               tenant_id text PRIMARY KEY,
               position bigint NOT NULL,
               hosts text[] NOT NULL)"""
    )
