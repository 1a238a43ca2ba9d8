"""The demo shop: its figures add up, show every channel and tier, and stay the same when it is played again."""

import re

from tests.mesh.running import RunningSystem

TIERS = ("session", "email", "phone", "customer", "visitor", "person")
CHANNELS = ("chat", "FAQ", "nudge", "messaging")


def test_the_demo_shows_everything_and_can_be_played_twice(mesh: RunningSystem) -> None:
    first = mesh.touchstone("demo").stdout
    again = mesh.touchstone("demo").stdout
    assert _table(first) == _table(again)
    assert all(f"known by {tier} " in first for tier in TIERS)
    assert all(f"by {channel} " in first for channel in CHANNELS)
    assert re.search(r"^ ?Difference +0 +0\.00 EUR +0\.00 EUR *$", first, re.MULTILINE)
    assert {"USD", "JPY"} <= set(re.findall(r"\b[A-Z]{3}\b", first))
    address = first.splitlines()[-1]
    assert address.startswith(f"http://127.0.0.1:{mesh.port}/#token=")
    token = address.partition("#token=")[2]
    answer = mesh.client.get("/v1/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def _table(shown: str) -> list[str]:
    return shown.splitlines()[:-1]
