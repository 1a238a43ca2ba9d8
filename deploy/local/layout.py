"""What `make up` starts and with which settings: programs as values, nothing is run here."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deploy.local.engines import HOST, EngineError
from deploy.local.programs import Program
from gateway.edge import template
from services.chassis import keys
from services.chassis.tls import TlsFiles

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 8080

# Webhooks must be accepted first, and figures may lag: what follows the log makes room for what writes it.
SERVICES: Mapping[str, int] = {"ingest": 0, "identity": 10, "attribution": 10, "reporting": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where an installation lives: `host` and `port` of the edge, and the directory of its data."""

    host: str
    port: int
    data: Path

    @property
    def url(self) -> str:
        """The address for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def keys(self) -> Path:
        """The directory of keys and tokens."""
        return self.data / "keys"

    @property
    def run(self) -> Path:
        """The directory of what is only true while it runs."""
        return self.data / "run"

    def log(self, name: str) -> Path:
        """The log of a program."""
        return self.data / "logs" / f"{name}.log"


def named_by_environment(environment: Mapping[str, str]) -> Installation:
    """The installation that TOUCHSTONE_HOST, TOUCHSTONE_PORT and TOUCHSTONE_DATA_DIR name. Raises ValueError."""
    port = environment.get("TOUCHSTONE_PORT") or str(DEFAULT_PORT)
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"TOUCHSTONE_PORT is {port!r}: it must be a port between 1 and 65535.")
    return Installation(
        # Only this machine, unless told otherwise: the operator's token opens everything.
        host=environment.get("TOUCHSTONE_HOST") or HOST,
        port=int(port),
        data=ROOT / (environment.get("TOUCHSTONE_DATA_DIR") or ".data"),
    )


TLS_VARIABLES = {
    "certificate": "TOUCHSTONE_TLS_CERTIFICATE_FILE",
    "key": "TOUCHSTONE_TLS_KEY_FILE",
    "authority": "TOUCHSTONE_TLS_CA_FILE",
}


def tls_named_by_environment(environment: Mapping[str, str]) -> TlsFiles | None:
    """What processes show to each other; None where they speak in the clear. Raises ValueError."""
    named = {part: environment[name] for part, name in TLS_VARIABLES.items() if environment.get(name)}
    if not named:
        return None
    if len(named) < len(TLS_VARIABLES):
        raise ValueError(f"{', '.join(TLS_VARIABLES.values())} are given together, or none of them.")
    return TlsFiles(**{part: ROOT / path for part, path in named.items()})


def processes(
    installation: Installation,
    addresses: Mapping[str, str],
    *,
    database_url: str,
    redis_url: str,
    tls_files: TlsFiles | None = None,
) -> list[Program]:
    """Services, web server and edge, which may start in any order."""
    shared = {
        **{f"TOUCHSTONE_{name.upper()}_ADDRESS": addresses[name] for name in SERVICES},
        "REDIS_URL": redis_url,
        "TOUCHSTONE_JWKS_FILE": str(installation.keys / keys.JWKS),
        "TOUCHSTONE_SERVICE_TOKEN_FILE": str(installation.keys / keys.SERVICE_TOKEN),
        **({name: str(getattr(tls_files, part)) for part, name in TLS_VARIABLES.items()} if tls_files else {}),
    }
    issuer = {
        "TOUCHSTONE_SIGNING_KEY_FILE": str(installation.keys / keys.SIGNING_KEY),
        "TOUCHSTONE_SECRETS_KEY_FILE": str(installation.keys / keys.SECRETS_KEY),
    }
    services = [
        Program(
            name=name,
            command=(sys.executable, "-m", f"services.{name}"),
            directory=ROOT,
            environment={
                **shared,
                **(issuer if name == "ingest" else {}),
                "DATABASE_URL": database_url,
                "TOUCHSTONE_LISTEN": addresses[name],
            },
            niceness=niceness,
        )
        for name, niceness in SERVICES.items()
    ]
    web = Program(
        name="web",
        command=(sys.executable, "-m", "gateway.web"),
        directory=ROOT,
        environment={**shared, "TOUCHSTONE_LISTEN": addresses["web"]},
    )
    return [*services, web, edge(installation, addresses, tls_files)]


def edge(installation: Installation, addresses: Mapping[str, str], tls_files: TlsFiles | None = None) -> Program:
    """Envoy, with its configuration written to the run directory."""
    configuration = installation.run / "envoy.yaml"
    if tls_files is not None:
        told = template.secrets(tls_files.certificate, tls_files.key, tls_files.authority)
        for name, secret in told.items():
            (installation.run / name).write_text(secret, encoding="utf-8")
    filled = template.fill(
        f"{installation.host}:{installation.port}",
        addresses,
        installation.keys / keys.JWKS,
        secrets_in=installation.run if tls_files else None,
    )
    configuration.write_text(filled, encoding="utf-8")
    return Program(
        name="edge",
        command=(
            str(_envoy()),
            *("--config-path", str(configuration)),
            *("--log-level", "warning"),
            # One thread serves more than the processes behind it can take, and leaves them the processors.
            *("--concurrency", "1"),
            "--disable-hot-restart",
        ),
        directory=installation.run,
    )


def _envoy() -> Path:
    spec = find_spec("envoy")
    if spec is None or spec.origin is None:
        raise EngineError("The wheel with Envoy is missing: `make setup` installs it.")
    return Path(spec.origin).parent / "_bin" / "envoy"
