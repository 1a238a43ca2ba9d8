"""Which identifiers the events of each conversation named, by which a conversation is found as a whole."""

from alembic import op

revision = "0004"
down_revision = "0003"

_TABLES = (
    """CREATE TABLE conversation_identifier (
           tenant_id text COLLATE "C" NOT NULL,
           conversation_id text COLLATE "C" NOT NULL,
           kind smallint NOT NULL,
           value text COLLATE "C" NOT NULL,
           PRIMARY KEY (tenant_id, conversation_id, kind, value))""",
    """CREATE INDEX conversation_identifier_by_value
       ON conversation_identifier (tenant_id, hashtextextended(value, kind))""",
)


def upgrade() -> None:
    """Creates the tables."""
    for statement in _TABLES:
        op.execute(statement)
