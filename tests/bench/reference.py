"""The reference that webhooks are measured beside: one process behind a bare Envoy, on the same Postgres."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import httpx
import psycopg

from deploy.local import engines, layout
from deploy.local.ports import free_ports
from tests.bench.orders import HERE, SECRET
from tests.mesh.running import RunningSystem, until


class Reference(NamedTuple):
    """Where it answers, and where it writes."""

    url: str
    database_url: str

    def committed(self) -> int:
        """Orders in its table."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM reference_log").fetchone()
            assert row is not None
            return int(row[0])


@contextmanager
def reference(running: RunningSystem) -> Iterator[Reference]:
    """Runs it until the block ends, with an empty database of its own on the Postgres of the system."""
    edge_port, process_port = free_ports(2)
    database_url = f"{running.state()['database_url'].rpartition('/')[0]}/reference_{uuid4().hex}"
    engines.create_database(database_url)
    configuration = running.data_dir / "reference.yaml"
    text = (HERE / "edge.yaml").read_text().replace("18080", str(edge_port)).replace("18081", str(process_port))
    configuration.write_text(text)
    uvicorn = [
        *(sys.executable, "-m", "uvicorn", "single_process:app", "--port", str(process_port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
    ]
    envoy = [
        *(str(layout._envoy()), "-c", str(configuration), "--concurrency", "1"),
        *("--disable-hot-restart", "--log-level", "warning"),
    ]
    environment = {**os.environ, "DATABASE_URL": database_url, "SECRET": SECRET}
    with _process(uvicorn, HERE, environment), _process(envoy, HERE, environment):
        url = f"http://127.0.0.1:{edge_port}"
        until("the reference answers", lambda: _answers(url), 30)
        yield Reference(url, database_url)


@contextmanager
def _process(command: list[str], directory: Path, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=directory, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.post(url, content=b"{}", timeout=2, trust_env=False).status_code == 401
    except httpx.TransportError:
        return False
