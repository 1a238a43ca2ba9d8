"""Orders, touches, people and rules, the log that is published, and how far the others were followed."""

from alembic import op

from services.chassis import follow, log

revision = "0001"
down_revision = None

_TABLES = (
    # What was told of an order and can still matter, with its credits as last published; NULL for one that only
    # notices told of. Found by the shop's own id first: that is how people ask.
    """CREATE TABLE known_order (
           tenant_id text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           source text COLLATE "C" NOT NULL,
           told bytea NOT NULL,
           credits bytea,
           open_to_people boolean NOT NULL,
           PRIMARY KEY (tenant_id, order_id, source))""",
    # The identifiers of each order's newest state.
    """CREATE TABLE order_identifier (
           tenant_id text COLLATE "C" NOT NULL,
           kind smallint NOT NULL,
           value text COLLATE "C" NOT NULL,
           order_micros bigint NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           source text COLLATE "C" NOT NULL)""",
    # Values are long: by their hashes an index is a third as large, and as much quicker to add to.
    """CREATE INDEX order_identifier_by_value
       ON order_identifier (tenant_id, hashtextextended(value, kind), order_micros)""",
    """CREATE TABLE touch (
           tenant_id text COLLATE "C" NOT NULL,
           source text COLLATE "C" NOT NULL,
           event_id text COLLATE "C" NOT NULL,
           event bytea NOT NULL,
           PRIMARY KEY (tenant_id, source, event_id))""",
    """CREATE TABLE touch_identifier (
           tenant_id text COLLATE "C" NOT NULL,
           kind smallint NOT NULL,
           value text COLLATE "C" NOT NULL,
           occur_micros bigint NOT NULL,
           source text COLLATE "C" NOT NULL,
           event_id text COLLATE "C" NOT NULL)""",
    """CREATE INDEX touch_identifier_by_value
       ON touch_identifier (tenant_id, hashtextextended(value, kind), occur_micros)""",
    # Who an identifier belongs to, as the people log last said; NULL when it said only that it names nobody. The
    # positions are those that said so: an entry that was parked comes after newer ones.
    """CREATE TABLE person_identifier (
           tenant_id text COLLATE "C" NOT NULL,
           kind smallint NOT NULL,
           value text COLLATE "C" NOT NULL,
           person_id bigint,
           person_position bigint NOT NULL,
           hub boolean NOT NULL,
           hub_position bigint NOT NULL,
           PRIMARY KEY (tenant_id, kind, value))""",
    "CREATE INDEX person_identifier_by_person ON person_identifier (tenant_id, person_id)",
    # The documents as they stand in the log; NULL before the first.
    """CREATE TABLE tenant_rules (
           tenant_id text COLLATE "C" PRIMARY KEY,
           settings bytea,
           settings_position bigint NOT NULL,
           models bytea,
           models_position bigint NOT NULL)""",
)


def upgrade() -> None:
    """Creates the tables."""
    for statement in (*log.TABLES, *follow.TABLES, *_TABLES):
        op.execute(statement)
