"""A running system whose parts are killed; no other test shares it."""

from collections.abc import Iterator

import pytest

from tests.mesh.running import RunningSystem, running


@pytest.fixture(scope="session")
def victim() -> Iterator[RunningSystem]:
    """Everything, as `make up` starts it."""
    with running() as whole:
        yield whole
