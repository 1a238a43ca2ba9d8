"""Work in another thread that can be told to stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StoppedError(Exception):
    """Nobody waits for the work any more."""


class Stop:
    """Says that work is to stop, and interrupts what it waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self._interrupts: list[Callable[[], None]] = []

    def stop(self) -> None:
        """Ends the work: what it waits for is interrupted, and its next look ends it."""
        with self._lock:
            self._stopped = True
            for interrupt in self._interrupts:
                interrupt()

    def look(self) -> None:
        """Raises `StoppedError` when the work is to stop."""
        if self._stopped:
            raise StoppedError

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """What is called, from another thread, to interrupt the block; an interrupted block raises `StoppedError`."""
        with self._lock:
            self._interrupts.append(interrupt)
        try:
            self.look()
            yield
        except Exception:
            self.look()
            raise
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)
