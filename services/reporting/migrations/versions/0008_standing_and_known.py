"""What stands at a moment is summed by months too, and who had counted before by weeks: reports read fewer rows."""

from alembic import op

revision = "0008"
down_revision = "0007"

_TABLE = """CREATE TABLE unique_summary (
       tenant_id text COLLATE "C" NOT NULL,
       edition bigint NOT NULL,
       figure text COLLATE "C" NOT NULL,
       cut text COLLATE "C" NOT NULL,
       previous_day date NOT NULL,
       day date NOT NULL,
       people bigint NOT NULL,
       PRIMARY KEY (tenant_id, edition, figure, cut, previous_day, day)) WITH (fillfactor = 70)"""

SUMS = (
    """INSERT INTO unique_summary (tenant_id, edition, figure, cut, previous_day, day, people)
       SELECT tenant_id, edition, figure, cut, told.previous_day, told.day, sum(people)
       FROM (SELECT *, CAST(date_trunc('week', previous_day) AS date) AS week_before,
                    CAST(date_trunc('week', day) AS date) AS week_of_day
             FROM unique_cell WHERE previous_day <> DATE '0001-01-01') AS known
       CROSS JOIN LATERAL (VALUES
           ('weeks', week_before, week_of_day), ('week of day', previous_day, week_of_day),
           ('week before', week_before, day)) AS told (cut, previous_day, day)
       GROUP BY 1, 2, 3, 4, 5, 6""",
    """INSERT INTO activity_summary (tenant_id, figure, day, cut, name, currency_code, value, detail, amount)
       SELECT tenant_id, figure, CAST(date_trunc('month', day) AS date), 'month', name, currency_code, '', '', sum(amount)
       FROM activity_summary
       WHERE cut = '' AND figure IN ('active_experiences', 'active_ab_tests', 'active_journeys')
       GROUP BY 1, 2, 3, 5, 6""",
)


def upgrade() -> None:
    """Sums up what is there."""
    op.execute(_TABLE)
    for statement in SUMS:
        op.execute(statement)
