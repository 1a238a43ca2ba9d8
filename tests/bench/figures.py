"""What a benchmark found, on paper and on the screen."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.mesh.running import ROOT

PAPER = ROOT / "build" / "bench.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured figure; `reference` and `ratio` where there is something to compare with, `target` as people read it."""

    value: float
    unit: str
    target: str
    met: bool
    reference: float | None = None
    ratio: float | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)


def write(found: dict[str, Figure], paper: Path = PAPER) -> None:
    """Writes figures by name; those of other benchmarks stay as they were."""
    known: dict[str, Any] = json.loads(paper.read_text()) if paper.exists() else {}
    known |= {name: asdict(figure) for name, figure in found.items()}
    paper.parent.mkdir(parents=True, exist_ok=True)
    paper.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")


def show(found: dict[str, Figure]) -> None:
    """Prints figures as a table, and under it what each run found."""
    console = Console()
    table = Table(box=None, header_style="bold")
    table.add_column("figure", no_wrap=True)
    for name in ("value", "reference", "ratio"):
        table.add_column(name, justify="right")
    table.add_column("wanted")
    for name, figure in found.items():
        table.add_row(
            name,
            f"{figure.value:,.1f} {figure.unit}",
            "" if figure.reference is None else f"{figure.reference:,.1f}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            f"[{'green' if figure.met else 'red'}]{figure.target}",
        )
    console.print(table)
    for name, figure in found.items():
        for run in figure.runs:
            console.print(f"[dim]{name}: {_short(run)}", highlight=False)


def _short(run: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in run.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"({_short(value)})"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
