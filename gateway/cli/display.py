"""How the command line shows progress: on stderr, so that stdout holds the answer alone."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ERRORS = Console(stderr=True)
ANSWER = Console()
if not ANSWER.is_terminal:
    ANSWER.width = 200  # who reads a pipe has no edge at which lines must break


def progress() -> Progress:
    """A bar with how much of how many is done, and since when."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=ERRORS
    )
