"""Facts and rollups of several editions of credits side by side."""

from alembic import op

revision = "0002"
down_revision = "0001"

_KEYS = {
    "order_fact": "source, order_id",
    "store_cell": "day, currency_code, counted",
    "product_cell": "model, day, currency_code, sku",
    "outcome_cell": "model, day, currency_code, outcome, excluded_reason, tier",
    "credit_cell": "model, day, currency_code, tier, contact_set, place",
}

# The position of the models was that of their event; they now come with the edition that is in force.
_TENANT = (
    "ALTER TABLE tenant RENAME models_position TO edition",
    "UPDATE tenant SET edition = 0",
    "ALTER TABLE tenant ADD cleared_edition bigint NOT NULL DEFAULT 0",
    "CREATE INDEX tenant_outdated ON tenant (partition_id) WHERE cleared_edition < edition",
)


def upgrade() -> None:
    """Adds the edition to every key."""
    for statement in _TENANT:
        op.execute(statement)
    for table, key in _KEYS.items():
        op.execute(
            f"""ALTER TABLE {table} ADD edition bigint NOT NULL DEFAULT 0, DROP CONSTRAINT {table}_pkey,
                    ADD PRIMARY KEY (tenant_id, edition, {key})"""
        )
