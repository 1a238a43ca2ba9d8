"""Every golden journey through the real doors: what marketers expect is what evidence and statement say."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from touchstone.ingest.v1 import model_pb2

from tests.mesh.playing import Played, all_played, by_tenant
from tests.mesh.running import until
from tests.mesh.shop import TAKEN, Shop, figures

PLAYED = all_played()
AT_ONCE = 500


def model_name(one: Played) -> str:
    """The model's name in its tenant, where several are called the same."""
    return f"m{one.number}" if one.own_model is not None else one.model


def play(shop: Shop, told: list[Played]) -> dict[int, Shop]:
    """Tells a tenant some journeys; answers it by their numbers, once all of them are in the figures."""
    for one in told[:1]:
        if one.settings is not None:
            shop.patch_settings(MessageToDict(one.settings))
    own = [one for one in told if one.own_model is not None]
    if own:
        replace_models(shop, own)
    events = [event for one in told for event in one.told()]
    for start in range(0, len(events), AT_ONCE):
        results = shop.append(events[start : start + AT_ONCE])
        assert {result["status"] for result in results} <= TAKEN, [one for one in results if one["status"] not in TAKEN]
    shop.settle()
    return {one.number: shop for one in told}


def replace_models(shop: Shop, told: list[Played]) -> None:
    """Puts the journeys' own models beside the default ones, and waits until orders are attributed by them."""
    models = shop.client.get("/v1/models").raise_for_status().json()["models"]
    for one in told:
        own = model_pb2.Model(**{**(one.own_model or {}), "name": model_name(one), "version": 0})
        models.append(MessageToDict(own))
    shop.client.put("/v1/models", json={"models": models}).raise_for_status()
    until("the models hold", lambda: "recomputation" not in shop.client.get("/v1/models").raise_for_status().json())


@pytest.fixture(scope="module")
def shops(open_shop: Callable[[], Shop]) -> dict[int, Shop]:
    """The tenant that each journey was played to."""
    groups = by_tenant(PLAYED)
    opened = [open_shop() for _ in groups]
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(play, shop, group) for shop, group in zip(opened, groups, strict=True)]
    return {number: shop for end in ends for number, shop in end.result().items()}


def test_all_of_them_are_played(shops: dict[int, Shop]) -> None:
    assert len(shops) == len(PLAYED) >= 130
    assert len({one.because for one in PLAYED}) == len(PLAYED)


@pytest.mark.parametrize("played", PLAYED, ids=lambda one: one.because)
def test_the_evidence_says_what_a_marketer_expects(played: Played, shops: dict[int, Shop]) -> None:
    evidence = shops[played.number].evidence(played.order_id, model=model_name(played))
    assert evidence["agreesWithStored"]
    assert evidence.get("excludedReason", "") == played.excluded
    assert evidence.get("matchedBy", "") == played.tier
    assert {name(one["eventId"]): one["verdict"] for one in evidence.get("touches", [])} == played.verdicts
    credits_ = evidence.get("credits", [])
    assert [(name(one["touch"]["eventId"]), one.get("lineId", ""), *money(one)) for one in credits_] == played.earned


@pytest.mark.parametrize("played", PLAYED, ids=lambda one: one.because)
def test_its_day_in_the_statement_adds_up(played: Played, shops: dict[int, Shop]) -> None:
    day = played.day.isoformat()
    asked = {"startDate": day, "endDate": day, "model": model_name(played)}
    told = figures(shops[played.number].client.get("/v1/statement", params=asked).raise_for_status().json())["EUR"]
    assert told["store"][0] == 1
    assert told["difference"] == (0, 0, 0)
    gross, net = (sum(one[place] for one in played.earned) for place in (2, 3))
    assert told["attributed"] == ((1, gross, net) if played.earned else (0, 0, 0))
    assert told["byTier"] == ({played.tier: (1, gross, net)} if played.earned else {})
    if played.excluded:
        assert told["excluded"] == {played.excluded: told["store"]}
        assert told["unattributed"] == (0, 0, 0)
    else:
        orders, store_gross, store_net = told["store"]
        rest = (orders - told["attributed"][0], store_gross - gross, store_net - net)
        assert (told["excluded"], told["unattributed"]) == ({}, rest)


def name(event_id: str) -> str:
    return event_id.partition("/")[2]


def money(credit: dict[str, Any]) -> tuple[int, int]:
    return int(credit["amount"].get("micros", 0)), int(credit["net"].get("micros", 0))
