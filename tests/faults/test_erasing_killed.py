"""Services are killed while somebody is erased: it ends all the same, whole, and no figure has changed."""

import random
import time
from contextlib import closing

from tests.faults.killing import kill
from tests.mesh.people import DAY, STORIES, Person, left_of, story
from tests.mesh.running import RunningSystem, until
from tests.mesh.shop import Shop, without_positions

PATIENCE_SECONDS = 60
DONE_SECONDS = 240
KILLS = ("ingest", "identity", "ingest", "attribution", "ingest", "postgres", "reporting", "ingest")


def test_killed_while_somebody_is_erased(victim: RunningSystem) -> None:
    with closing(Shop(victim)) as shop:
        shop.patience = PATIENCE_SECONDS
        gone = [Person.new("g") for _ in STORIES]
        shop.append(
            [event for person, tier in zip(gone, STORIES, strict=True) for event in story(person, tier, 10_000)]
        )
        shop.settle()
        statement = without_positions(shop.statement(DAY, DAY))
        for person in gone:
            shop.client.post("/v1/people:erase", json={"visitorId": person.ids["visitorId"]}).raise_for_status()
        moments = random.Random(3)
        for name in KILLS:
            time.sleep(moments.uniform(0.2, 2.5))
            kill(victim, name)
        victim.wait_ready()

        def done() -> bool:
            told = shop.client.get("/v1/privacyRequests")
            return told.is_success and all(one["state"] == "DONE" for one in told.json()["privacyRequests"])

        until("everybody is erased", done, DONE_SECONDS, pause=0.5)
        assert left_of(shop, gone) == set()
        shop.settle()
        assert without_positions(shop.statement(DAY, DAY)) == statement
        assert "0 differ" in victim.touchstone("verify", shop.tenant).stdout
