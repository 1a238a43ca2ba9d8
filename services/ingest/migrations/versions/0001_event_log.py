"""The event log with the keys of its events; tenants, sources, parked deliveries."""

from alembic import op

from services.chassis import log

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables."""
    for statement in log.TABLES:
        op.execute(statement)
    op.execute(
        """CREATE TABLE event_key (
               tenant_id text NOT NULL,
               source text NOT NULL,
               event_id text NOT NULL,
               content_hash bytea NOT NULL,
               position bigint NOT NULL,
               PRIMARY KEY (tenant_id, source, event_id))"""
    )
    op.execute(
        """CREATE TABLE tenant (
               tenant_id text PRIMARY KEY,
               partition_id int NOT NULL,
               sealed_hash_key bytea NOT NULL,
               create_fingerprint bytea NOT NULL,
               settings bytea NOT NULL,
               revision bigint NOT NULL,
               max_age_nanos bigint NOT NULL,
               max_lead_nanos bigint NOT NULL,
               create_time timestamptz NOT NULL)"""
    )
    op.execute(
        """CREATE TABLE source (
               tenant_id text NOT NULL,
               source text NOT NULL,
               kind int NOT NULL,
               id_prefix text NOT NULL,
               require_signed_ids boolean NOT NULL,
               secrets bytea[] NOT NULL,
               create_time timestamptz NOT NULL,
               PRIMARY KEY (tenant_id, source))"""
    )
    # Apart from the sources, because it is written with every transaction; room on the page keeps its index still.
    op.execute(
        """CREATE TABLE source_health (
               tenant_id text NOT NULL,
               source text NOT NULL,
               delivered_count bigint NOT NULL,
               uncounted_topic_count bigint NOT NULL,
               last_delivery_time timestamptz NOT NULL,
               PRIMARY KEY (tenant_id, source)) WITH (fillfactor = 10)"""
    )
    op.execute(
        """CREATE TABLE parked_delivery (
               tenant_id text NOT NULL,
               parked_id text NOT NULL,
               source text NOT NULL,
               topic text NOT NULL,
               fingerprint bytea NOT NULL,
               reason text NOT NULL,
               receive_time timestamptz NOT NULL,
               expire_time timestamptz NOT NULL,
               body_bytes bigint NOT NULL,
               sealed_body bytea NOT NULL,
               sealed_headers bytea NOT NULL,
               PRIMARY KEY (tenant_id, parked_id),
               UNIQUE (tenant_id, source, topic, fingerprint))"""
    )
    op.execute("CREATE INDEX parked_delivery_of_source ON parked_delivery (tenant_id, source, parked_id)")
    op.execute("CREATE INDEX parked_delivery_expire_time ON parked_delivery (expire_time)")
