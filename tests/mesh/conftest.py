"""One running system for all tests of the mesh."""

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.mesh.collecting import Collector, collecting
from tests.mesh.running import RunningSystem, running
from tests.mesh.shop import Shop

RUNNING = pytest.StashKey[RunningSystem]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failure stands what the running system said: its directory is gone afterwards."""
    report = yield
    whole = item.config.stash.get(RUNNING, None)
    if report.failed and whole is not None:
        report.sections.append(("What the running system said", whole.told()))
    return report


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the running system sends its telemetry."""
    with collecting() as listening:
        yield listening


@pytest.fixture(scope="session")
def mesh(collector: Collector, pytestconfig: pytest.Config) -> Iterator[RunningSystem]:
    """Everything, as `make up` starts it."""
    with running(collector.environment) as whole:
        pytestconfig.stash[RUNNING] = whole
        yield whole
        del pytestconfig.stash[RUNNING]


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
