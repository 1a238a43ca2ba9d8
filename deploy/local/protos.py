"""Generates the Python of the contracts into protos/gen, and gathers what `buf` needs to read them."""

import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "protos"
GENERATED = CONTRACTS / "gen"
IMPORTED = (
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
    "google/api/field_behavior.proto",
)


def gather_imports(to: Path) -> None:
    """Copies the contracts of others that ours import to where `buf` looks for them."""
    for name in IMPORTED:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((files("google.api") / Path(name).name).read_bytes())


def generate(contracts: Path, imports: Path, to: Path) -> int:
    """Writes messages, stubs and their types under `to`; answers protoc's exit code."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    sources = sorted(str(path) for path in (contracts / "touchstone").rglob("*.proto"))
    well_known = files("grpc_tools") / "_proto"
    return int(
        protoc.main(
            [
                "protoc",
                f"-I{contracts}",
                f"-I{imports}",
                f"-I{well_known}",
                f"--python_out={to}",
                f"--grpc_python_out={to}",
                f"--mypy_out=quiet:{to}",
                f"--mypy_grpc_out=quiet:{to}",
                *sources,
            ]
        )
    )


def main() -> int:
    """Runs the generation; the protoc plugins are found beside the interpreter."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    imports = ROOT / "build" / "proto-deps"
    gather_imports(imports)
    return generate(CONTRACTS, imports, GENERATED)


if __name__ == "__main__":
    sys.exit(main())
