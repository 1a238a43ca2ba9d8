"""Ingest, identity and attribution as processes on a database of their own, and how long they take for a log."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from deploy.local.ports import free_ports
from services.chassis import keys
from tests.mesh.running import ROOT, until

_START_SECONDS = 120
_LOOK_SECONDS = 0.1
_NAMES = ("ingest", "identity", "attribution")

_HEADS = "SELECT partition_id, position FROM {schema}.log_head WHERE position > 0"
_APPLIED = "SELECT partition_id, position FROM {schema}.checkpoint WHERE log = %s"


class Append(NamedTuple):
    """Entries for one partition of the event log."""

    partition: int
    payloads: Sequence[bytes]


class Followers:
    """The three, and the database on which they run."""

    def __init__(self, database_url: str, addresses: Mapping[str, str], pids: Mapping[str, int]) -> None:
        self.database_url = database_url
        self.addresses = addresses
        self.pids = pids

    def append(self, appends: Sequence[Append]) -> None:
        """Adds entries to the event log in one transaction, as if ingest had: it tells followers within half a second."""
        with psycopg.connect(self.database_url) as connection, connection.cursor() as cursor:
            for partition, payloads in appends:
                row = cursor.execute(
                    "SELECT position FROM ingest.log_head WHERE partition_id = %s FOR UPDATE", [partition]
                ).fetchone()
                assert row is not None
                with cursor.copy("COPY ingest.log_entry FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(["int4", "int8", "bytea"])
                    for position, payload in enumerate(payloads, start=row[0] + 1):
                        copy.write_row((partition, position, payload))
                cursor.execute(
                    "UPDATE ingest.log_head SET position = position + %s WHERE partition_id = %s",
                    [len(payloads), partition],
                )

    def wait(self, seconds: float) -> float:
        """Waits until attribution has taken in all events and all people; answers when that was (monotonic)."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            until("all is followed", lambda: self._all_followed(connection), seconds, _LOOK_SECONDS)
        return time.monotonic()

    def _all_followed(self, connection: "psycopg.Connection[Any]") -> bool:
        """True when nothing is left: identity is looked at first, so that what it publishes meanwhile is seen."""

        def read(statement: str, schema: str, *bound: str) -> dict[int, int]:
            return dict(connection.execute(statement.format(schema=schema), bound).fetchall())

        events = read(_HEADS, "ingest")
        if not _reach(read(_APPLIED, "identity_1", "events"), events):
            return False
        people = read(_HEADS, "identity_1")
        return _reach(read(_APPLIED, "attribution_1", "events"), events) and _reach(
            read(_APPLIED, "attribution_1", "people"), people
        )


def _reach(applied: Mapping[int, int], heads: Mapping[int, int]) -> bool:
    return all(applied.get(partition, 0) >= head for partition, head in heads.items())


@contextmanager
def followers(database_url: str, directory: Path) -> Iterator[Followers]:
    """Runs them until the block ends; `directory` is for their keys and logs."""
    if not (directory / keys.JWKS).exists():
        keys.create_installation(directory)
    addresses = {name: f"127.0.0.1:{port}" for name, port in zip(_NAMES, free_ports(len(_NAMES)), strict=True)}
    environment = {
        **os.environ,
        **{f"TOUCHSTONE_{name.upper()}_ADDRESS": address for name, address in addresses.items()},
        "DATABASE_URL": database_url,
        "TOUCHSTONE_JWKS_FILE": str(directory / keys.JWKS),
        "TOUCHSTONE_SERVICE_TOKEN_FILE": str(directory / keys.SERVICE_TOKEN),
        "TOUCHSTONE_SECRETS_KEY_FILE": str(directory / keys.SECRETS_KEY),
    }
    with ExitStack() as stack:
        pids = {}
        for name in _NAMES:
            output = stack.enter_context((directory / f"{name}.log").open("ab"))
            process = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}"],
                cwd=ROOT,
                env={**environment, "TOUCHSTONE_LISTEN": addresses[name]},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            pids[name] = process.pid
        found = Followers(database_url, addresses, pids)
        until("the services follow", lambda: _follow(database_url), _START_SECONDS)
        yield found


def _follow(database_url: str) -> bool:
    """True when the schemas are there: whoever has them follows a moment later."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute("SELECT to_regclass('attribution_1.checkpoint'), to_regclass('identity_1.checkpoint')")
        return None not in (row.fetchone() or (None,))
