"""What Postgres is told of the machine that it runs on."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local import engines


@pytest.mark.parametrize(
    ("disk_gigabytes", "megabytes"),
    [(4, 1 << 10), (40, 4 << 10), (160, 16 << 10), (4_000, 16 << 10)],
)
def test_the_log_is_as_large_as_the_disk_allows(
    monkeypatch: pytest.MonkeyPatch, disk_gigabytes: int, megabytes: int
) -> None:
    monkeypatch.setattr(engines.shutil, "disk_usage", lambda _data: SimpleNamespace(total=disk_gigabytes << 30))
    assert engines.log_size(Path()) == f"{megabytes}MB"
