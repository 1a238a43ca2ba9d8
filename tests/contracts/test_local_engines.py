"""The embedded engines: they keep what they said yes to, and open to nobody without the password."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from deploy.local import engines, programs
from deploy.local.engines import Engine
from deploy.local.ports import free_ports

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="touchstone-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@contextmanager
def running(engine: Engine, log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    process = programs.start(engine.program, log)
    try:
        deadline = time.monotonic() + 20
        while not engine.ready():
            # An engine that was killed a moment ago may need a second try.
            if process.poll() is not None:
                process = programs.start(engine.program, log)
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        programs.stop(engine.program, process, patience=10)


def test_postgres_keeps_every_answered_commit_when_it_is_killed(root: Path) -> None:
    [port] = free_ports(1)
    engine = engines.postgres(root, port)
    with running(engine, root / "log") as process:
        engines.create_database(engine.url)
        with psycopg.connect(engine.url) as connection:
            connection.execute("CREATE TABLE kept (n int PRIMARY KEY)")
            connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    again = engines.postgres(root, port)
    with running(again, root / "log"):
        engines.create_database(again.url)
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_postgres_stops_fast_though_sessions_are_open(root: Path) -> None:
    [port] = free_ports(1)
    engine = engines.postgres(root, port)
    with running(engine, root / "log") as process:
        engines.create_database(engine.url)
        connection = psycopg.connect(engine.url)
        programs.stop(engine.program, process, patience=5)
        assert process.returncode == 0
        connection.close()


def test_a_start_that_was_cut_short_leaves_nothing_half_done(root: Path) -> None:
    half = root / f"postgres-{engines.postgres_major()}.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    [port] = free_ports(1)
    with running(engines.postgres(root, port), root / "log"):
        assert not half.exists()


def test_postgres_wants_its_password(postgres_url: str) -> None:
    stranger = postgres_url.replace(postgres_url.split(":")[2].split("@", maxsplit=1)[0], "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stranger, dbname="postgres")


def test_texts_compare_alike_whatever_locales_the_system_has(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        told = connection.execute(
            "SELECT datlocprovider, datlocale, datcollate FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert told == ("b", "C.UTF-8", "C")
        assert connection.execute("SELECT lower('ÀÉ'), 'Z' < 'a', 'z' < 'é'").fetchone() == ("àé", True, True)


def test_a_commit_is_on_disk_before_it_is_answered(root: Path) -> None:
    [port] = free_ports(1)
    engine = engines.postgres(root, port)
    with running(engine, root / "log"), psycopg.connect(engine.url, dbname="postgres") as connection:
        for setting in ("synchronous_commit", "fsync", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)


def test_statements_and_values_stay_out_of_the_log(root: Path) -> None:
    [port] = free_ports(1)
    engine = engines.postgres(root, port)
    with (
        running(engine, root / "log"),
        psycopg.connect(engine.url, dbname="postgres", autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE people (email text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES ('shopper@example.com')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO people VALUES ('shopper@example.com')")
    assert "duplicate key" in (root / "log").read_text()
    assert "shopper@example.com" not in (root / "log").read_text()


def test_valkey_keeps_its_data_over_a_restart_and_wants_its_password(root: Path) -> None:
    [port] = free_ports(1)
    engine = engines.valkey(root, port)
    with running(engine, root / "log"), redis.Redis.from_url(engine.url) as client:
        client.set("kept", "yes")
    with running(engine, root / "log"):
        with redis.Redis.from_url(engine.url) as client:
            assert client.get("kept") == b"yes"
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("kept")
    assert (root / "valkey" / "valkey.conf").stat().st_mode & 0o077 == 0


def test_passwords_are_for_their_owner_only(root: Path) -> None:
    [first, second] = free_ports(2)
    engines.postgres(root, first)
    engines.valkey(root, second)
    files = list(root.glob("*.password"))
    assert len(files) == 2
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
