"""Tenants, order facts, and the rollups that are summed from them."""

from alembic import op

from services.chassis import follow, log

revision = "0001"
down_revision = None

# Names are compared byte by byte: the same sequence on every machine, and the quickest. Room is left on the pages of
# what is updated in place.
_TABLES = (
    """CREATE TABLE tenant (
           tenant_id text COLLATE "C" PRIMARY KEY,
           partition_id int NOT NULL,
           time_zone text NOT NULL,
           currency_code text NOT NULL,
           settings_position bigint NOT NULL,
           models jsonb NOT NULL,
           models_position bigint NOT NULL)""",
    """CREATE TABLE order_fact (
           tenant_id text COLLATE "C" NOT NULL,
           source text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           credit_position bigint NOT NULL,
           payload bytea NOT NULL,
           PRIMARY KEY (tenant_id, source, order_id)) WITH (fillfactor = 80)""",
    """CREATE TABLE store_cell (
           tenant_id text COLLATE "C" NOT NULL,
           day date NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           counted boolean NOT NULL,
           orders bigint NOT NULL,
           gross_micros bigint NOT NULL,
           net_micros bigint NOT NULL,
           PRIMARY KEY (tenant_id, day, currency_code, counted)) WITH (fillfactor = 50)""",
    """CREATE TABLE product_cell (
           tenant_id text COLLATE "C" NOT NULL,
           model text COLLATE "C" NOT NULL,
           day date NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           sku text COLLATE "C" NOT NULL,
           units bigint NOT NULL,
           refunded_units bigint NOT NULL,
           gross_micros bigint NOT NULL,
           net_micros bigint NOT NULL,
           PRIMARY KEY (tenant_id, model, day, currency_code, sku)) WITH (fillfactor = 80)""",
    """CREATE TABLE outcome_cell (
           tenant_id text COLLATE "C" NOT NULL,
           model text COLLATE "C" NOT NULL,
           day date NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           outcome text COLLATE "C" NOT NULL,
           excluded_reason text COLLATE "C" NOT NULL,
           tier text COLLATE "C" NOT NULL,
           orders bigint NOT NULL,
           gross_micros bigint NOT NULL,
           net_micros bigint NOT NULL,
           PRIMARY KEY (tenant_id, model, day, currency_code, outcome, excluded_reason, tier))
           WITH (fillfactor = 50)""",
    """CREATE TABLE credit_cell (
           tenant_id text COLLATE "C" NOT NULL,
           model text COLLATE "C" NOT NULL,
           day date NOT NULL,
           currency_code text COLLATE "C" NOT NULL,
           tier text COLLATE "C" NOT NULL,
           contact_set text COLLATE "C" NOT NULL,
           place int NOT NULL,
           contacts int NOT NULL,
           channel text COLLATE "C" NOT NULL,
           touchpoint text COLLATE "C" NOT NULL,
           bot text COLLATE "C" NOT NULL,
           agent text COLLATE "C" NOT NULL,
           campaign text COLLATE "C" NOT NULL,
           orders bigint NOT NULL,
           gross_micros bigint NOT NULL,
           net_micros bigint NOT NULL,
           PRIMARY KEY (tenant_id, model, day, currency_code, tier, contact_set, place))
           WITH (fillfactor = 70)""",
)


def upgrade() -> None:
    """Creates every table of a generation."""
    for statement in (*log.TABLES, *follow.TABLES, *_TABLES):
        op.execute(statement)
