"""Requests about personal data, and the erasing that is under way."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates the tables."""
    # Whom a request names is sealed, and NULL once it is done. The fingerprint tells the same demand again.
    op.execute(
        """CREATE TABLE privacy_request (
               tenant_id text COLLATE "C" NOT NULL,
               request_id text COLLATE "C" NOT NULL,
               source text COLLATE "C" NOT NULL,
               kind int NOT NULL,
               state int NOT NULL,
               fingerprint bytea,
               position bigint NOT NULL,
               sealed_named bytea,
               create_time timestamptz NOT NULL,
               done_time timestamptz,
               due_time timestamptz NOT NULL,
               erased_identifiers int NOT NULL DEFAULT 0,
               rewritten_events bigint NOT NULL DEFAULT 0,
               forgotten_bodies int NOT NULL DEFAULT 0,
               PRIMARY KEY (tenant_id, request_id))"""
    )
    op.execute("CREATE INDEX privacy_request_again ON privacy_request (tenant_id, source, fingerprint)")
    op.execute("CREATE INDEX privacy_request_open ON privacy_request (state, kind) WHERE state < 3")
    # A tenant whose requests are RUNNING. The key makes tokens; with the row it is gone for ever.
    op.execute(
        """CREATE TABLE erasure (
               tenant_id text COLLATE "C" PRIMARY KEY,
               partition_id int NOT NULL,
               step int NOT NULL,
               position bigint NOT NULL,
               through_position bigint NOT NULL,
               sealed_key bytea NOT NULL)"""
    )
    # Whose values are replaced, sealed, in parts.
    op.execute(
        """CREATE TABLE erasure_plan (
               tenant_id text COLLATE "C" NOT NULL,
               part int NOT NULL,
               sealed_identifiers bytea NOT NULL,
               PRIMARY KEY (tenant_id, part))"""
    )
    # Keys of events under ids that named somebody, to be dropped at the end: by then nobody appends by them unawares.
    op.execute(
        """CREATE TABLE erasure_renamed (
               tenant_id text COLLATE "C" NOT NULL,
               source text COLLATE "C" NOT NULL,
               event_id text COLLATE "C" NOT NULL,
               PRIMARY KEY (tenant_id, source, event_id))"""
    )
    op.execute("ALTER TABLE tenant ADD COLUMN has_renamed_events boolean NOT NULL DEFAULT false")
