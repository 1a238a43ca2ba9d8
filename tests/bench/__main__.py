"""`make bench`: measures the running system as users reach it, prints a table and writes build/bench.json."""

import sys
from collections.abc import Callable

import click

from tests.bench.erasing import erasing
from tests.bench.exporting import export_csv, export_xlsx
from tests.bench.figures import PAPER, Figure, show, write
from tests.bench.identity_resolve import identity_resolve
from tests.bench.live import live_p99
from tests.bench.log_to_credits import log_to_credits
from tests.bench.pipeline import pipeline_sustained, webhook_to_figure_p99
from tests.bench.report_p99 import report_p99
from tests.bench.simulate import simulate
from tests.bench.webhook_accept import webhook_accept
from tests.mesh.running import RunningSystem, running

BENCHMARKS: dict[str, Callable[[RunningSystem], Figure]] = {
    "webhook_to_figure_p99": webhook_to_figure_p99,
    "live_p99": live_p99,
    "pipeline_sustained": pipeline_sustained,
    "webhook_accept": webhook_accept,
    # Before what leaves large states behind, which a process keeps memory of.
    "export_csv": export_csv,
    "export_xlsx": export_xlsx,
    "erasing": erasing,
    "identity_resolve": identity_resolve,
    "log_to_credits": log_to_credits,
    "simulate": simulate,
    "report_p99": report_p99,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(BENCHMARKS)))
def main(names: tuple[str, ...]) -> None:
    """Runs the benchmarks named, or all. Fails when a figure is not what is wanted of it."""
    found: dict[str, Figure] = {}
    try:
        with running() as system:
            for name, measure in BENCHMARKS.items():
                if name in names or not names:
                    click.echo(f"{name} …", err=True)
                    found[name] = measure(system)
                    write(found)
    finally:
        show(found)
    click.echo(f"written to {PAPER}")
    sys.exit(0 if all(figure.met for figure in found.values()) else 1)


if __name__ == "__main__":
    main()
