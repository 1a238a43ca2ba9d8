"""Exchange rates."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Creates the table."""
    op.execute(
        """CREATE TABLE exchange_rate (
               tenant_id text COLLATE "C" NOT NULL,
               day date NOT NULL,
               currency_code text COLLATE "C" NOT NULL,
               base_currency_code text COLLATE "C" NOT NULL,
               rate text NOT NULL,
               PRIMARY KEY (tenant_id, day, currency_code, base_currency_code))"""
    )
