"""One running system for all tests of the mesh."""

from collections.abc import Callable, Iterator

import pytest

from tests.mesh.collecting import Collector, collecting
from tests.mesh.running import RunningSystem, running
from tests.mesh.shop import Shop


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the running system sends its telemetry."""
    with collecting() as listening:
        yield listening


@pytest.fixture(scope="session")
def mesh(collector: Collector) -> Iterator[RunningSystem]:
    """Everything, as `make up` starts it."""
    with running(collector.environment) as whole:
        yield whole


@pytest.fixture(scope="session")
def open_shop(mesh: RunningSystem) -> Iterator[Callable[[], Shop]]:
    """Opens shops, each a tenant of its own."""
    opened: list[Shop] = []

    def open_one() -> Shop:
        opened.append(Shop(mesh))
        return opened[-1]

    yield open_one
    for shop in opened:
        shop.close()


@pytest.fixture
def shop(open_shop: Callable[[], Shop]) -> Shop:
    """A new tenant."""
    return open_shop()
