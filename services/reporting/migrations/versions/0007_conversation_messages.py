"""How many messages conversations have, and what they are found by when tags are asked for."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds them to what records show."""
    op.execute(
        """ALTER TABLE conversation_record
               ADD messages bigint NOT NULL DEFAULT 0, ADD tag_names text COLLATE "C" NOT NULL DEFAULT ''"""
    )
