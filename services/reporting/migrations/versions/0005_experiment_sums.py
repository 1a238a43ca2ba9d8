"""Experiments: who is who, whose each exposure is, and what everybody comes to."""

from alembic import op

revision = "0005"
down_revision = "0004"

_TABLES = (
    """CREATE TABLE person_key (
           tenant_id text COLLATE "C" NOT NULL,
           identifier_key bigint NOT NULL,
           person_id bigint,
           hub boolean NOT NULL,
           person_position bigint NOT NULL,
           hub_position bigint NOT NULL,
           PRIMARY KEY (tenant_id, identifier_key)) WITH (fillfactor = 80)""",
    "CREATE INDEX person_key_by_person ON person_key (tenant_id, person_id) WHERE person_id IS NOT NULL",
    """CREATE TABLE exposure_unit (
           tenant_id text COLLATE "C" NOT NULL,
           experiment_id text COLLATE "C" NOT NULL,
           unit bigint NOT NULL,
           person bigint NOT NULL,
           is_named boolean NOT NULL,
           state bytea NOT NULL,
           PRIMARY KEY (tenant_id, experiment_id, unit)) WITH (fillfactor = 80)""",
    "CREATE INDEX exposure_unit_by_person ON exposure_unit (tenant_id, person, experiment_id)",
    """CREATE TABLE exposure_key (
           tenant_id text COLLATE "C" NOT NULL,
           identifier_key bigint NOT NULL,
           experiment_id text COLLATE "C" NOT NULL,
           unit bigint NOT NULL,
           PRIMARY KEY (tenant_id, identifier_key, experiment_id, unit))""",
    """CREATE TABLE experiment_sum (
           tenant_id text COLLATE "C" NOT NULL,
           experiment_id text COLLATE "C" NOT NULL,
           partition_id int NOT NULL,
           rules text COLLATE "C" NOT NULL,
           run bigint NOT NULL,
           reached bigint,
           PRIMARY KEY (tenant_id, experiment_id)) WITH (fillfactor = 50)""",
    """CREATE INDEX experiment_sum_unfinished ON experiment_sum (partition_id, tenant_id, experiment_id)
           WHERE reached IS NOT NULL""",
    """CREATE TABLE experiment_due (
           tenant_id text COLLATE "C" NOT NULL,
           partition_id int NOT NULL,
           PRIMARY KEY (tenant_id))""",
    """CREATE TABLE experiment_member (
           tenant_id text COLLATE "C" NOT NULL,
           experiment_id text COLLATE "C" NOT NULL,
           person bigint NOT NULL,
           run bigint NOT NULL,
           amounts bytea NOT NULL,
           PRIMARY KEY (tenant_id, experiment_id, person)) WITH (fillfactor = 70)""",
    """CREATE TABLE experiment_cell (
           tenant_id text COLLATE "C" NOT NULL,
           experiment_id text COLLATE "C" NOT NULL,
           day date NOT NULL,
           name text COLLATE "C" NOT NULL,
           variant text COLLATE "C" NOT NULL,
           cut text COLLATE "C" NOT NULL,
           amount numeric NOT NULL,
           PRIMARY KEY (tenant_id, experiment_id, day, name, variant, cut)) WITH (fillfactor = 50)""",
)

# Exposures were kept by visitor. The events are followed once more: what they told of else is known, and stays.
_FOLLOWED_AGAIN = "UPDATE checkpoint SET position = 0 WHERE log = 'events'"


def upgrade() -> None:
    """Adds the tables, and has the exposures told again."""
    for statement in (*_TABLES, _FOLLOWED_AGAIN):
        op.execute(statement)
