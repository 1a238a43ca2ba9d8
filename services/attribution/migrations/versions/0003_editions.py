"""Editions of credits, orders that wait to be computed anew, and what the check that never ends has found."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    # Credits of up to two editions: the one in force and the coming one. Which is which, the tenant's rules say, so
    # that nothing is moved when the coming one comes into force.
    """ALTER TABLE known_order
           ADD edition bigint NOT NULL DEFAULT 0,
           ADD next_edition bigint,
           ADD next_credits bytea,
           ADD next_open boolean NOT NULL DEFAULT false""",
    # The edition is that of the documents as they were last told. While it is coming, the one in force is held, with
    # its documents; `after_…` is how far its orders were decided, and `done` how many.
    """ALTER TABLE tenant_rules
           ADD partition_id int NOT NULL DEFAULT 0,
           ADD edition bigint NOT NULL DEFAULT 0,
           ADD held_edition bigint,
           ADD held_settings bytea,
           ADD held_models bytea,
           ADD after_order_id text COLLATE "C" NOT NULL DEFAULT '',
           ADD after_source text COLLATE "C" NOT NULL DEFAULT '',
           ADD done bigint NOT NULL DEFAULT 0""",
    "CREATE INDEX tenant_rules_coming ON tenant_rules (partition_id) WHERE held_edition IS NOT NULL",
    # Every set of models that was told, with the versions that it was given.
    """CREATE TABLE model_set (
           tenant_id text COLLATE "C" NOT NULL,
           position bigint NOT NULL,
           event_id text NOT NULL,
           models bytea NOT NULL,
           PRIMARY KEY (tenant_id, position))""",
    """CREATE TABLE reopened_order (
           tenant_id text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           source text COLLATE "C" NOT NULL,
           partition_id int NOT NULL,
           cause smallint NOT NULL,
           position bigint NOT NULL,
           PRIMARY KEY (tenant_id, order_id, source))""",
    "CREATE INDEX reopened_order_by_partition ON reopened_order (partition_id, tenant_id, order_id, source)",
    # One row: the order that was checked last.
    """CREATE TABLE agreement (
           tenant_id text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           source text COLLATE "C" NOT NULL)""",
    "INSERT INTO agreement VALUES ('', '', '')",
    """CREATE TABLE disagreement (
           tenant_id text COLLATE "C" NOT NULL,
           order_id text COLLATE "C" NOT NULL,
           source text COLLATE "C" NOT NULL,
           find_time timestamptz NOT NULL DEFAULT now(),
           PRIMARY KEY (tenant_id, order_id, source))""",
)


def upgrade() -> None:
    """Adds columns and tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
