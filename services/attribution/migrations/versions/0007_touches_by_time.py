"""Touches by when they happened: what is new stands beside what is new, and a visit's touches beside each other."""

from alembic import op

revision = "0007"
down_revision = "0006"

_STATEMENTS = (
    "ALTER TABLE touch ADD COLUMN occur_micros bigint NOT NULL DEFAULT 0",
    # What has no identifiers is never found: any time is as good for it.
    """UPDATE touch SET occur_micros = named.occur_micros FROM touch_identifier AS named
       WHERE named.tenant_id = touch.tenant_id AND named.source = touch.source AND named.event_id = touch.event_id""",
    "ALTER TABLE touch ALTER COLUMN occur_micros DROP DEFAULT",
    # Ids of events come in no order: by them each new touch would change another page of the index, one of very many.
    "ALTER TABLE touch DROP CONSTRAINT touch_pkey",
    "ALTER TABLE touch ADD PRIMARY KEY (tenant_id, occur_micros, source, event_id)",
)


def upgrade() -> None:
    """Adds the time to touches, and to their key."""
    for statement in _STATEMENTS:
        op.execute(statement)
