"""What runs side by side under `pytest -n 2`, each lane with engines and running systems of its own."""

from collections.abc import Iterable
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

MESH: Final = "tests/mesh/"
FAULTS: Final = "tests/faults/"

_SEQUENCE: Final = (
    # A system that has been told little is soon rebuilt, and an erasure waits for its old tables to be dropped.
    FAULTS + "test_erasing_killed.py",
    FAULTS,
    MESH + "test_rebuild.py",
    MESH + "test_erasing.py",
    MESH,
    "tests/properties/",
    "tests/contracts/",
)
"""What takes long begins first; all else comes after these."""


class Lanes(LoadScopeScheduling):
    """Gives a lane that is nearly through the next file. The mesh stays in one, with its system; a fault goes anywhere."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(MESH):
            return MESH
        return nodeid if nodeid.startswith(FAULTS) else nodeid.partition("::")[0]


def in_sequence(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The tests as _SEQUENCE has them, and otherwise as they were."""

    def place(item: pytest.Item) -> int:
        return next((at for at, start in enumerate(_SEQUENCE) if item.nodeid.startswith(start)), len(_SEQUENCE))

    return sorted(items, key=place)
