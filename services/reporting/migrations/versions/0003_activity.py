"""What is not an order: facts folded from events, and their rollups."""

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = (
    "ALTER TABLE tenant ADD settings bytea NOT NULL DEFAULT ''",
    """CREATE TABLE activity_fact (
           tenant_id text COLLATE "C" NOT NULL,
           kind text COLLATE "C" NOT NULL,
           key text COLLATE "C" NOT NULL,
           state bytea NOT NULL,
           PRIMARY KEY (tenant_id, kind, key)) WITH (fillfactor = 80)""",
    """CREATE TABLE activity_cell (
           tenant_id text COLLATE "C" NOT NULL,
           figure text COLLATE "C" NOT NULL,
           day date NOT NULL,
           cut_name text COLLATE "C" NOT NULL,
           channel text COLLATE "C" NOT NULL,
           touchpoint text COLLATE "C" NOT NULL,
           bot text COLLATE "C" NOT NULL,
           agent text COLLATE "C" NOT NULL,
           campaign text COLLATE "C" NOT NULL,
           origin_type text COLLATE "C" NOT NULL,
           tag text COLLATE "C" NOT NULL,
           classification text COLLATE "C" NOT NULL,
           classification_type text COLLATE "C" NOT NULL,
           step text COLLATE "C" NOT NULL,
           experience text COLLATE "C" NOT NULL,
           journey text COLLATE "C" NOT NULL,
           notification_channel text COLLATE "C" NOT NULL,
           variant text COLLATE "C" NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           label text COLLATE "C" NOT NULL,
           amount bigint NOT NULL,
           PRIMARY KEY (tenant_id, figure, day, cut_name)) WITH (fillfactor = 70)""",
    # What an activity cell counts before its moment has come: reports take off what is not due when they are asked.
    """CREATE TABLE activity_pending (
           tenant_id text COLLATE "C" NOT NULL,
           kind text COLLATE "C" NOT NULL,
           key text COLLATE "C" NOT NULL,
           figure text COLLATE "C" NOT NULL,
           due_nanos bigint NOT NULL,
           day date NOT NULL,
           cut_name text COLLATE "C" NOT NULL,
           channel text COLLATE "C" NOT NULL,
           touchpoint text COLLATE "C" NOT NULL,
           bot text COLLATE "C" NOT NULL,
           agent text COLLATE "C" NOT NULL,
           campaign text COLLATE "C" NOT NULL,
           origin_type text COLLATE "C" NOT NULL,
           tag text COLLATE "C" NOT NULL,
           classification text COLLATE "C" NOT NULL,
           classification_type text COLLATE "C" NOT NULL,
           step text COLLATE "C" NOT NULL,
           experience text COLLATE "C" NOT NULL,
           journey text COLLATE "C" NOT NULL,
           notification_channel text COLLATE "C" NOT NULL,
           variant text COLLATE "C" NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           label text COLLATE "C" NOT NULL,
           amount bigint NOT NULL,
           PRIMARY KEY (tenant_id, kind, key, figure)) WITH (fillfactor = 70)""",
    "CREATE INDEX activity_pending_by_due ON activity_pending (tenant_id, figure, due_nanos)",
)


def upgrade() -> None:
    """Adds the tables of activity."""
    for statement in _TABLES:
        op.execute(statement)
