"""The engines of the tests: real ones, started once in each lane, in a directory that is thrown away."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings

from deploy.local import engines, programs
from deploy.local.ports import free_ports
from tests.lanes import FAULTS, Lanes, in_sequence

# A slow machine is no defect; and what runs unattended tries the same examples each time, what runs by hand new ones.
settings.register_profile("by hand", deadline=None)
settings.register_profile("unattended", deadline=None, derandomize=True)
settings.load_profile("unattended" if os.environ.get("CI") else "by hand")

# Quick, and honest about what tests can see: a commit still reaches the operating system before it is answered, so
# that killing Postgres loses nothing. Only the power may not fail.
QUICK = {
    **engines.POSTGRES_SETTINGS,
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "fsync": "off",
    "full_page_writes": "off",
}


# Before tests are chosen by their marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(FAULTS):
            item.add_marker("faults")
    items[:] = in_sequence(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    config.option.loadscopereorder = False
    return Lanes(config, log)


def _run(engine: engines.Engine, log: Path) -> Iterator[str]:
    process = programs.start(engine.program, log)
    try:
        deadline = time.monotonic() + 30
        while not engine.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{engine.program.name} does not start: {log.read_text()[-2000:]}", pytrace=False)
            time.sleep(0.05)
        yield engine.url
    finally:
        programs.stop(engine.program, process, patience=10)


@pytest.fixture(scope="session")
def engine_directory() -> Iterator[Path]:
    """A directory with a short path that other users can enter: Postgres may run as one."""
    directory = Path(tempfile.mkdtemp(prefix="touchstone-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres_url(engine_directory: Path) -> Iterator[str]:
    """A Postgres for the whole run; the URL names a database that doesn't exist: see `database_url`."""
    [port] = free_ports(1)
    yield from _run(engines.postgres(engine_directory, port, QUICK), engine_directory / "postgres.log")


@pytest.fixture(scope="session")
def redis_url(engine_directory: Path) -> Iterator[str]:
    """A Valkey for the whole run: tests choose names of their own in it."""
    [port] = free_ports(1)
    yield from _run(engines.valkey(engine_directory, port), engine_directory / "valkey.log")


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Callable[[], str]:
    """Makes an empty database and answers its URL: for fixtures that live longer than a test."""

    def make() -> str:
        url = f"{postgres_url.rpartition('/')[0]}/test_{uuid4().hex}"
        engines.create_database(url)
        return url

    return make


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> Iterator[str]:
    """An empty database for one test."""
    url = new_database()
    yield url
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")
