"""Identifiers, what was observed and decided about them, and the people log."""

from alembic import op

from services.chassis import follow, log

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables."""
    for statement in (*log.TABLES, *follow.TABLES):
        op.execute(statement)
    # A node is a number made of an identifier's kind and value; its last three bits are the kind. Room is left on each
    # page: who is met again changes region and person, and a row that stays on its page stays in the index as it is.
    op.execute(
        """CREATE TABLE identifier (
               tenant_id text COLLATE "C" NOT NULL,
               node bigint NOT NULL,
               value text COLLATE "C" NOT NULL,
               region bigint NOT NULL,
               person bigint NOT NULL,
               published boolean NOT NULL,
               hub boolean NOT NULL,
               emails bigint[] NOT NULL,
               PRIMARY KEY (tenant_id, node)) WITH (fillfactor = 85)"""
    )
    # Each different set of identifiers that was observed, under the region of its members and under each hub in it. By
    # the digest, which two sets in a region share as seldom as two values share a node, the index is half as large.
    op.execute(
        """CREATE TABLE observation (
               tenant_id text COLLATE "C" NOT NULL,
               region bigint NOT NULL,
               members bigint[] NOT NULL,
               digest bigint NOT NULL GENERATED ALWAYS AS (hash_array_extended(members, 0)) STORED,
               PRIMARY KEY (tenant_id, region, digest))"""
    )
    # The decision that holds for a pair, once under each of the two.
    op.execute(
        """CREATE TABLE decision (
               tenant_id text COLLATE "C" NOT NULL,
               node bigint NOT NULL,
               other bigint NOT NULL,
               occur_nanos bigint NOT NULL,
               event_id text COLLATE "C" NOT NULL,
               linked boolean NOT NULL,
               PRIMARY KEY (tenant_id, node, other))"""
    )
    # From the tenant's settings at a position of the event log; limits count e-mail addresses.
    op.execute(
        """CREATE TABLE rules (
               tenant_id text COLLATE "C" PRIMARY KEY,
               position bigint NOT NULL,
               visitor_limit int NOT NULL,
               phone_limit int NOT NULL,
               customer_limit int NOT NULL,
               blocked bigint[] NOT NULL)"""
    )
