"""A statement as a small table."""

from decimal import Decimal
from typing import Any

from rich.table import Table

from gateway.cli.display import ANSWER
from services.kernel.money import MICROS, minor_unit

_NAMES = {"FAQ": "FAQ", "JOURNEY": "Journey"}


def show_statement(statement: dict[str, Any], title: str) -> None:
    """Prints a statement, as `/v1/statement` answers it, to stdout; each currency without a rate under its own head."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("")
    for name in ("orders", "amount", "net"):
        table.add_column(name, justify="right")
    _add(table, statement)
    for other in statement.get("unconverted", []):
        table.add_section()
        _add(table, other)
    ANSWER.print(table)


def _add(table: Table, statement: dict[str, Any]) -> None:
    attributed = statement.get("attributed", {})
    table.add_row("Store", *_figures(statement.get("store", {})), style="bold")
    table.add_row("Attributed to conversations", *_figures(attributed), style="green")
    for bucket in attributed.get("byChannel", []):
        table.add_row(f"  by {_NAMES.get(bucket['channel'], bucket['channel'].lower())}", *_figures(bucket))
    for bucket in attributed.get("byTier", []):
        table.add_row(f"  known by {bucket['tier'].lower()}", *_figures(bucket), style="dim")
    table.add_row("Unattributed", *_figures(statement.get("unattributed", {})))
    for bucket in statement.get("excluded", []):
        table.add_row(f"Excluded: {bucket['reason'].lower()}", *_figures(bucket))
    table.add_row("Difference", *_figures(statement.get("difference", {})), style="bold")


def _figures(bucket: dict[str, Any]) -> tuple[str, str, str]:
    return str(bucket.get("orders", 0)), _money(bucket.get("amount", {})), _money(bucket.get("net", {}))


def _money(money: dict[str, Any]) -> str:
    currency = money.get("currencyCode", "")
    unit = Decimal(minor_unit(currency)) / MICROS
    return f"{(Decimal(money.get('micros', 0)) / MICROS).quantize(unit):,f} {currency}".rstrip()
