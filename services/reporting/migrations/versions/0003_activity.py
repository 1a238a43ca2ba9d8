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
    """CREATE TABLE span_cell (
           tenant_id text COLLATE "C" NOT NULL,
           edition bigint NOT NULL,
           model text COLLATE "C" NOT NULL,
           day date NOT NULL,
           contact_name text COLLATE "C" NOT NULL,
           channel text COLLATE "C" NOT NULL,
           touchpoint text COLLATE "C" NOT NULL,
           bot text COLLATE "C" NOT NULL,
           agent text COLLATE "C" NOT NULL,
           campaign text COLLATE "C" NOT NULL,
           experience text COLLATE "C" NOT NULL,
           orders bigint NOT NULL,
           seconds bigint NOT NULL,
           PRIMARY KEY (tenant_id, edition, model, day, contact_name)) WITH (fillfactor = 70)""",
    """CREATE TABLE experiment_set (
           tenant_id text COLLATE "C" NOT NULL,
           position bigint NOT NULL,
           event_id text COLLATE "C" NOT NULL,
           occur_time bigint NOT NULL,
           document bytea NOT NULL,
           PRIMARY KEY (tenant_id, position))""",
    """CREATE TABLE order_identifier (
           tenant_id text COLLATE "C" NOT NULL,
           identifier_key bigint NOT NULL,
           source text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           PRIMARY KEY (tenant_id, identifier_key, source, order_id))""",
    # What records and exports show of an order, read without its payload; `models` is absent where none says more of it.
    """ALTER TABLE order_fact
           ADD order_seconds bigint,
           ADD display_number text COLLATE "C" NOT NULL DEFAULT '',
           ADD status text COLLATE "C" NOT NULL DEFAULT '',
           ADD currency_code text COLLATE "C" NOT NULL DEFAULT '',
           ADD excluded_reason text COLLATE "C" NOT NULL DEFAULT '',
           ADD gross_micros bigint NOT NULL DEFAULT 0,
           ADD net_micros bigint NOT NULL DEFAULT 0,
           ADD tax_micros bigint NOT NULL DEFAULT 0,
           ADD shipping_micros bigint NOT NULL DEFAULT 0,
           ADD models jsonb""",
    "CREATE INDEX order_fact_by_time ON order_fact (tenant_id, edition, order_seconds, source, order_id)",
    """CREATE TABLE tally_cell (
           tenant_id text COLLATE "C" NOT NULL,
           edition bigint NOT NULL,
           figure text COLLATE "C" NOT NULL,
           day date NOT NULL,
           amount bigint NOT NULL,
           PRIMARY KEY (tenant_id, edition, figure, day)) WITH (fillfactor = 50)""",
    """CREATE TABLE visit_cell (
           tenant_id text COLLATE "C" NOT NULL,
           edition bigint NOT NULL,
           session_id text COLLATE "C" NOT NULL,
           placed bigint NOT NULL,
           personalized bigint NOT NULL,
           recommended bigint NOT NULL,
           PRIMARY KEY (tenant_id, edition, session_id))""",
    """CREATE TABLE member_cell (
           tenant_id text COLLATE "C" NOT NULL,
           edition bigint NOT NULL,
           figure text COLLATE "C" NOT NULL,
           member text COLLATE "C" NOT NULL,
           day date NOT NULL,
           times bigint NOT NULL,
           PRIMARY KEY (tenant_id, edition, figure, member, day))""",
    """CREATE TABLE unique_cell (
           tenant_id text COLLATE "C" NOT NULL,
           edition bigint NOT NULL,
           figure text COLLATE "C" NOT NULL,
           day date NOT NULL,
           previous_day date NOT NULL,
           people bigint NOT NULL,
           PRIMARY KEY (tenant_id, edition, figure, day, previous_day)) WITH (fillfactor = 70)""",
    # What changed of orders after their day, what coming rules change of them, and which rules came when.
    """CREATE TABLE ledger_entry (
           tenant_id text COLLATE "C" NOT NULL,
           credit_position bigint NOT NULL,
           order_seconds bigint NOT NULL,
           edition bigint NOT NULL,
           source text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           cause smallint NOT NULL,
           cause_position bigint NOT NULL,
           cause_micros bigint NOT NULL,
           before jsonb,
           after jsonb,
           changed text[] COLLATE "C" NOT NULL,
           PRIMARY KEY (tenant_id, credit_position, order_seconds))""",
    "CREATE INDEX ledger_entry_by_time ON ledger_entry (tenant_id, cause_micros, credit_position)",
    """CREATE TABLE ledger_of_rules (
           tenant_id text COLLATE "C" NOT NULL,
           edition bigint NOT NULL,
           source text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           order_seconds bigint NOT NULL,
           before jsonb,
           after jsonb,
           changed text[] COLLATE "C" NOT NULL,
           PRIMARY KEY (tenant_id, edition, source, order_id, order_seconds))""",
    """CREATE TABLE rules_told (
           tenant_id text COLLATE "C" NOT NULL,
           position bigint NOT NULL,
           receive_micros bigint NOT NULL,
           is_models boolean NOT NULL,
           zone_before text NOT NULL,
           zone_after text NOT NULL,
           currency_before text NOT NULL,
           currency_after text NOT NULL,
           PRIMARY KEY (tenant_id, position))""",
    """CREATE TABLE edition_completed (
           tenant_id text COLLATE "C" NOT NULL,
           edition bigint NOT NULL,
           credit_position bigint NOT NULL,
           PRIMARY KEY (tenant_id, edition))""",
)


# Facts and rollups that are there tell nothing of activity, and would be taken off where they were never added: all
# that was followed is followed anew, from position 0 on.
_EMPTIED = (
    "TRUNCATE tenant, order_fact, store_cell, product_cell, outcome_cell, credit_cell, checkpoint",
    """ALTER TABLE credit_cell ADD experience text COLLATE "C" NOT NULL DEFAULT ''""",
)


def upgrade() -> None:
    """Adds the tables of activity, and starts over."""
    for statement in (*_EMPTIED, *_TABLES):
        op.execute(statement)
