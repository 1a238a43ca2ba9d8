"""The pages for people in a real browser: what they hold once their scripts have run."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.mesh.running import RunningSystem
from tests.mesh.shop import Shop

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not here: apt-get install --no-install-recommends chromium"
)


def page(mesh: RunningSystem, address: str, profile: Path) -> str:
    """The page's elements a few seconds, by its own clock, after it was opened."""
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", f"--user-data-dir={profile}"),
        *("--virtual-time-budget=4000", "--dump-dom", f"http://127.0.0.1:{mesh.port}{address}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_the_reference_tells_of_every_address(mesh: RunningSystem, tmp_path: Path) -> None:
    described = mesh.client.get("/openapi.json").json()
    shown = page(mesh, "/docs", tmp_path)
    assert shown.count('<section class="card operation">') == sum(map(len, described["paths"].values()))
    for name in described["components"]["schemas"]:
        assert f'<details class="card" id="{name}">' in shown
    assert '<div id="problem" class="problem" role="alert" hidden="">' in shown


def test_the_dashboard_shows_a_shops_figures(mesh: RunningSystem, shop: Shop, tmp_path: Path) -> None:
    shown = page(mesh, f"/#token={shop.token}", tmp_path)
    assert "Nothing was sold in this period." in shown
    assert "Difference: none, to the cent" in shown
    assert '<div id="problem" class="problem" role="alert" hidden="">' in shown
    assert shop.token not in shown
