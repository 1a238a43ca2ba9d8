"""All that is kept of an identifier in one table and one index, which had one each."""

from alembic import op

from services.attribution.store.mentions import INDEX

revision = "0008"
down_revision = "0007"

_STATEMENTS = (
    # The person and all that follows only where it is told who an identifier belongs to: NULL or 0 for anything else.
    """CREATE TABLE mention (
           tenant_id text COLLATE "C" NOT NULL,
           what smallint NOT NULL,
           kind smallint NOT NULL,
           value text COLLATE "C" NOT NULL,
           micros bigint NOT NULL DEFAULT 0,
           source text COLLATE "C" NOT NULL DEFAULT '',
           id text COLLATE "C" NOT NULL DEFAULT '',
           hub boolean NOT NULL DEFAULT false,
           person_id bigint,
           person_position bigint,
           hub_position bigint)""",
    """INSERT INTO mention (tenant_id, what, kind, value, micros, source, id)
       SELECT tenant_id, 2, kind, value, occur_micros, source, event_id FROM touch_identifier""",
    """INSERT INTO mention (tenant_id, what, kind, value, micros, source, id)
       SELECT tenant_id, 1, kind, value, order_micros, source, order_id FROM order_identifier""",
    """INSERT INTO mention (tenant_id, what, kind, value, id)
       SELECT tenant_id, 3, kind, value, conversation_id FROM conversation_identifier""",
    """INSERT INTO mention (tenant_id, what, kind, value, hub, person_id, person_position, hub_position)
       SELECT tenant_id, 0, kind, value, hub, person_id, person_position, hub_position FROM person_identifier""",
    INDEX,
    "CREATE INDEX mention_by_person ON mention (tenant_id, person_id) WHERE person_id IS NOT NULL",
    "DROP TABLE touch_identifier, order_identifier, person_identifier",
    "DROP INDEX conversation_identifier_by_value",
)


def upgrade() -> None:
    """Moves what there is: the more, the longer it takes."""
    for statement in _STATEMENTS:
        op.execute(statement)
