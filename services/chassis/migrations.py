"""Brings a schema's tables to the newest version, with Alembic."""

import asyncio
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text


async def migrate(url: str, *, schema: str, scripts: Path) -> None:
    """Creates `schema` if it is missing and runs the versions under `scripts` that it has not seen.

    Versions name tables without a schema: each runs with `schema` first in the search path, so that a service's
    tables can be built several times side by side. Replicas that start together wait for each other.
    """
    await asyncio.to_thread(_migrate, url, schema, scripts)


def _migrate(url: str, schema: str, scripts: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts))
    script = ScriptDirectory.from_config(config)

    def upgrade(revision: str, _context: object) -> list[RevisionStep]:
        return list(script._upgrade_revs("head", revision))  # noqa: SLF001 - as alembic.command itself does

    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            # One lock for all schemas: they are created in the same catalogue.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('touchstone migrations'))"))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            connection.execute(text(f"SET LOCAL search_path = {schema}"))
            with EnvironmentContext(config, script, fn=upgrade) as environment:
                environment.configure(connection=connection, version_table_schema=schema, transactional_ddl=True)
                environment.run_migrations()
    finally:
        engine.dispose()
