"""Countings of a tenant's figures, and the rates by which orders in other currencies are converted."""

from alembic import op

revision = "0004"
down_revision = "0003"

# The first counting's books have the numbers of their editions: nothing that is stored changes.
_TENANT = (
    "ALTER TABLE tenant ADD counting bigint NOT NULL DEFAULT 0, ADD book bigint NOT NULL DEFAULT 0",
    "UPDATE tenant SET book = edition",
    "DROP INDEX tenant_outdated",
    "ALTER TABLE tenant RENAME cleared_edition TO cleared_book",
    "CREATE INDEX tenant_outdated ON tenant (partition_id) WHERE cleared_book < book",
    """CREATE TABLE coming_counting (
           tenant_id text COLLATE "C" PRIMARY KEY,
           partition_id int NOT NULL,
           counting bigint NOT NULL,
           time_zone text NOT NULL,
           currency_code text NOT NULL,
           settings bytea NOT NULL,
           edition bigint,
           source text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           activity_kind text COLLATE "C" NOT NULL,
           activity_key text COLLATE "C" NOT NULL)""",
    # What a coming counting will change of activity: of cells by how much, and of which facts what is shown or awaited.
    """CREATE TABLE coming_activity_cell (
           tenant_id text COLLATE "C" NOT NULL,
           figure text COLLATE "C" NOT NULL,
           day date NOT NULL,
           cut_name text COLLATE "C" NOT NULL,
           cut text NOT NULL,
           amount bigint NOT NULL,
           PRIMARY KEY (tenant_id, figure, day, cut_name))""",
    """CREATE TABLE coming_activity_fact (
           tenant_id text COLLATE "C" NOT NULL,
           kind text COLLATE "C" NOT NULL,
           key text COLLATE "C" NOT NULL,
           PRIMARY KEY (tenant_id, kind, key))""",
)

_RATES = (
    """CREATE TABLE exchange_rate (
           tenant_id text COLLATE "C" NOT NULL,
           base_currency_code text COLLATE "C" NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           day date NOT NULL,
           rate text NOT NULL,
           position bigint NOT NULL,
           PRIMARY KEY (tenant_id, base_currency_code, currency_code, day))""",
    # Every rate that was ever told, for those who ask why figures changed.
    """CREATE TABLE exchange_rate_told (
           tenant_id text COLLATE "C" NOT NULL,
           base_currency_code text COLLATE "C" NOT NULL,
           day date NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           position bigint NOT NULL,
           rate text NOT NULL,
           receive_micros bigint NOT NULL,
           PRIMARY KEY (tenant_id, base_currency_code, day, currency_code, position))""",
    """CREATE TABLE foreign_order (
           tenant_id text COLLATE "C" NOT NULL,
           book bigint NOT NULL,
           source text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           order_seconds bigint NOT NULL,
           rate text NOT NULL,
           rate_day date,
           counted jsonb,
           PRIMARY KEY (tenant_id, book, source, order_id))""",
    """CREATE INDEX foreign_order_by_time
           ON foreign_order (tenant_id, currency_code, order_seconds, book, source, order_id)""",
    """CREATE TABLE rate_waiting (
           tenant_id text COLLATE "C" NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           partition_id int NOT NULL,
           first_day date NOT NULL,
           last_day date NOT NULL,
           seconds bigint NOT NULL,
           book bigint NOT NULL,
           source text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           PRIMARY KEY (tenant_id, currency_code))""",
)


def upgrade() -> None:
    """Adds them."""
    for statement in (*_TENANT, *_RATES):
        op.execute(statement)
