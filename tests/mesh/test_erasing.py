"""Erasing through the real system: no figure changes, every credit stays and explains itself, and nobody is found."""

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest

from tests.mesh.people import DAY, STORIES, Person, known_to_valkey, left_of, raw_values, story
from tests.mesh.running import until
from tests.mesh.shop import TAKEN, Event, Shop, figures, without_positions

SECRET = "hush"
MICROS = 10_010_000
DONE_SECONDS = 150


class Erased(NamedTuple):
    """A shop in which somebody was erased, and what it was before."""

    shop: Shop
    events: list[Event]
    gone: list[Person]
    others: list[Person]
    statement: bytes
    evidence: dict[str, Any]
    requests: list[dict[str, Any]]
    link_id: str
    """Of a link to a conversation of somebody erased."""


def signed(topic: str, told: dict[str, Any], *, broken: bool = False) -> tuple[list[tuple[str, str]], bytes]:
    body = json.dumps(told).encode()[: -1 if broken else None]
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, "sha256")).decode()
    return [("X-Shopify-Topic", topic), ("X-Shopify-Hmac-Sha256", signature)], body


def customer(person: Person) -> dict[str, Any]:
    return {"id": int(person.ids["customerId"]), "email": person.ids["email"], "phone": None}


def shop_order(person: Person) -> dict[str, Any]:
    return {
        "id": person.number * 7,
        "name": f"#{person.number * 7}",
        "created_at": f"{DAY}T12:00:00Z",
        "currency": "EUR",
        "financial_status": "paid",
        "email": person.ids["email"],
        "total_price": "12.00",
        "customer": customer(person),
        "note_attributes": [{"name": "_touchstone_session_id", "value": person.ids["sessionId"]}],
        "line_items": [{"id": 1, "sku": "tea", "quantity": 1, "price": "12.00"}],
    }


def append(shop: Shop, events: Iterable[Event]) -> list[str]:
    told = list(events)
    results = [result for start in range(0, len(told), 1_000) for result in shop.append(told[start : start + 1_000])]
    statuses = [result["status"] for result in results]
    assert TAKEN.issuperset(statuses), [result for result in results if result["status"] not in TAKEN][:3]
    return statuses


def erase(shop: Shop, **named: str) -> dict[str, Any]:
    answer = shop.client.post("/v1/people:erase", json=named)
    answer.raise_for_status()
    request: dict[str, Any] = answer.json()["privacyRequest"]
    return request


def requests(shop: Shop) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.client.get("/v1/privacyRequests").json()["privacyRequests"]
    return found


def all_done(shop: Shop) -> bool:
    return all(one["state"] == "DONE" for one in requests(shop) if one["kind"] != "ACCESS")


def nameless(evidence: dict[str, Any]) -> dict[str, Any]:
    """Evidence without what an erasure may change: identifiers, and when it was computed."""
    told = json.dumps(
        {
            "tier": evidence.get("matchedBy"),
            "credits": evidence.get("credits"),
            "amount": evidence["amount"],
            "agrees": evidence["agreesWithStored"],
            "touches": [(touch["eventId"], touch["verdict"]) for touch in evidence.get("touches", [])],
        }
    )
    same: dict[str, Any] = json.loads(re.sub(r"(sess|vis|clk|conv)-[gk]\d{8}|erased-[\w-]{32}", "X", told))
    return same


@pytest.fixture(scope="module")
def erased(open_shop: Callable[[], Shop]) -> Erased:
    """One person of each story erased, by as many different identifiers; one by the shop's own demand."""
    shop = open_shop()
    shop.add_source("shopify", "shopify", SECRET)
    gone = {tier: Person.new("g") for tier in STORIES}
    others = {tier: Person.new("k") for tier in STORIES}
    by_shop, asking, in_kiosk = Person.new("g"), Person.new("k"), Person.new("g")
    kiosk = {"visitorId": f"kiosk-{by_shop.number}"}
    shop.patch_settings({"linkHosts": ["shop.example"]})
    shop.patch_settings({"blockedIdentifiers": [{"kind": "SESSION", "value": gone["EMAIL"].ids["sessionId"]}]})
    events = [event for people in (gone, others) for tier, one in people.items() for event in story(one, tier, MICROS)]
    # A browser that many use names nobody: it is none of hers.
    crowd = [Person.new("k") for _ in range(4)]
    events += [one.visit({**kiosk, **one.by("email")}) for one in (*crowd, in_kiosk)]
    events += [in_kiosk.chat(in_kiosk.by("email")), in_kiosk.order(in_kiosk.by("email"), MICROS)]
    append(shop, events)
    append(shop, [one.chat(one.by("sessionId")) for one in (by_shop, asking)])
    for one in (by_shop, asking):
        assert shop.deliver("shopify", *signed("orders/paid", shop_order(one))).status_code == 200
    assert shop.deliver("shopify", *signed("orders/paid", shop_order(by_shop), broken=True)).status_code == 200
    assert shop.deliver("shopify", *signed("orders/paid", shop_order(asking), broken=True)).status_code == 200
    sent = {"conversationId": gone["PERSON"].conversation_id, "destination": "https://shop.example/cart"}
    link_id = shop.client.post("/v1/links", json=sent).raise_for_status().json()["linkId"]
    pair = {side: {name: gone["EMAIL"].ids[name]} for side, name in (("left", "visitorId"), ("right", "email"))}
    shop.client.post("/v1/people:relink", json=pair).raise_for_status()
    shop.settle()
    statement = shop.statement(DAY, DAY)
    order_ids = [one.order_id for one in (*gone.values(), *others.values(), in_kiosk)]
    order_ids += [str(one.number * 7) for one in (by_shop, asking)]
    evidence = {order_id: shop.evidence(order_id) for order_id in order_ids}
    everybody = [*gone.values(), by_shop, in_kiosk]
    assert len(left_of(shop, everybody)) > 5 * len(everybody), "nothing to be found that could go"

    asked = [
        erase(shop, sessionId=gone["SESSION"].ids["sessionId"]),
        erase(shop, email=f" {gone['EMAIL'].ids['email'].upper()} "),
        erase(shop, phone=gone["PHONE"].ids["phone"]),
        erase(shop, customerId=gone["CUSTOMER"].ids["customerId"]),
        erase(shop, visitorId=gone["VISITOR"].ids["visitorId"]),
        erase(shop, conversationId=gone["PERSON"].conversation_id),
        erase(shop, clickId=gone["CLICK"].ids["clickId"]),
        erase(shop, email=in_kiosk.ids["email"]),
        # What the shop has blocked is nobody's, and so is asked for by itself.
        erase(shop, sessionId=gone["EMAIL"].ids["sessionId"]),
    ]
    redact = {
        "shop_id": 1,
        "shop_domain": "s.example",
        "customer": {"id": None, "email": None, "phone": None},
        "orders_to_redact": [by_shop.number * 7],
    }
    assert shop.deliver("shopify", *signed("customers/redact", redact)).status_code == 200
    assert shop.deliver("shopify", *signed("customers/redact", redact)).status_code == 200
    wanted = {
        "shop_id": 1,
        "shop_domain": "s.example",
        "customer": customer(asking),
        "orders_requested": [],
        "data_request": {"id": 1},
    }
    assert shop.deliver("shopify", *signed("customers/data_request", wanted)).status_code == 200

    def look() -> bool:
        assert without_positions(shop.statement(DAY, DAY)) == without_positions(statement), "a figure changed meanwhile"
        return all_done(shop)

    until("everybody is erased", look, DONE_SECONDS, pause=0.3)
    return Erased(shop, events, everybody, [*others.values(), asking], statement, evidence, asked, link_id)


def test_nothing_of_them_is_found_anywhere(erased: Erased) -> None:
    assert left_of(erased.shop, erased.gone, erased.link_id) == set()


def test_valkey_knows_nobody_whether_erased_or_not(erased: Erased) -> None:
    assert known_to_valkey(erased.shop, [*erased.gone, *erased.others]) == set()


def test_a_link_to_an_erased_conversation_leads_nowhere(erased: Erased) -> None:
    def look() -> bool:
        return erased.shop.running.client.get(f"/l/{erased.link_id}").status_code == 404

    until("the link is forgotten", look)


def test_everybody_else_is_still_there(erased: Erased) -> None:
    assert set(raw_values(erased.others[:1])) & left_of(erased.shop, erased.others[:1])
    for tier, other in zip(STORIES, erased.others, strict=False):
        found = erased.shop.client.get("/v1/people:lookup", params={"visitorId": other.ids["visitorId"]})
        assert found.status_code == 200, tier
        assert other.ids["customerId"] in found.text


def test_nobody_finds_them_by_any_identifier(erased: Erased) -> None:
    for person in erased.gone:
        for name, value in (*person.ids.items(), ("conversationId", person.conversation_id)):
            if name != "clickId":
                assert erased.shop.client.get("/v1/people:lookup", params={name: value}).status_code == 404


def test_no_figure_has_changed(erased: Erased) -> None:
    assert without_positions(erased.shop.statement(DAY, DAY)) == without_positions(erased.statement)
    told = figures(erased.statement)["EUR"]
    assert set(told["byTier"]) >= {"SESSION", "EMAIL", "PHONE", "CUSTOMER", "VISITOR", "PERSON"}
    assert told["difference"] == (0, 0, 0)


def test_every_credit_stays_and_explains_itself(erased: Erased) -> None:
    for order_id, before in erased.evidence.items():
        after = erased.shop.evidence(order_id)
        assert nameless(after) == nameless(before), order_id
        assert after["agreesWithStored"]
        assert after.get("credits"), order_id
    done = erased.shop.running.touchstone("verify", erased.shop.tenant)
    assert "0 differ" in done.stdout
    assert "0 cells differ" in done.stdout


def test_the_record_says_what_was_done_and_names_nobody(erased: Erased) -> None:
    listed = requests(erased.shop)
    by_id = {one["requestId"]: one for one in listed}
    for asked in erased.requests:
        assert asked["state"] == "PENDING"
        told = by_id[asked["requestId"]]
        assert int(told["rewrittenEvents"]) >= 2
        assert told["erasedIdentifiers"] >= 1
        assert told["doneTime"] > told["createTime"]
        assert erased.shop.client.get(f"/v1/privacyRequests/{told['requestId']}").json()["privacyRequest"] == told
    [of_shop] = [one for one in listed if one["source"] == "shopify" and one["kind"] == "ERASURE"]
    assert of_shop["forgottenBodies"] == 1
    assert not any(value in json.dumps(listed) for value in raw_values(erased.gone))
    assert "DONE" in erased.shop.running.touchstone("privacy", "list", erased.shop.tenant).stdout


def test_parked_bodies_of_others_are_kept(erased: Erased) -> None:
    listed = erased.shop.client.get("/v1/sources/shopify/parked").json()["parkedDeliveries"]
    assert sorted(int(one.get("bodyBytes", 0)) > 0 for one in listed) == [False, True]
    assert {one["reason"] for one in listed} == {"INVALID_JSON"}


def test_what_is_held_of_somebody_is_handed_over_once(erased: Erased) -> None:
    [wanted] = [one for one in requests(erased.shop) if one["kind"] == "ACCESS"]
    assert wanted["state"] == "PENDING"
    told = erased.shop.running.touchstone("privacy", "export", erased.shop.tenant, wanted["requestId"]).stdout
    asking = erased.others[-1]
    assert asking.ids["customerId"] in told
    assert asking.ids["sessionId"] in told
    assert str(asking.number * 7) in told
    assert not any(other.ids["visitorId"] in told for other in erased.others[:-1])
    [wanted] = [one for one in requests(erased.shop) if one["kind"] == "ACCESS"]
    assert wanted["state"] == "DONE"
    assert (
        erased.shop.running.touchstone(
            "privacy", "export", erased.shop.tenant, wanted["requestId"], check=False
        ).returncode
        == 1
    )


def test_what_was_told_before_is_a_duplicate_and_changes_nothing(erased: Erased) -> None:
    assert set(append(erased.shop, erased.events)) == {"DUPLICATE"}
    erased.shop.settle()
    assert without_positions(erased.shop.statement(DAY, DAY)) == without_positions(erased.statement)
    assert left_of(erased.shop, erased.gone) == set()


def test_a_rebuild_of_each_service_ends_in_the_same(erased: Erased) -> None:
    for service in ("identity", "attribution", "reporting"):
        erased.shop.running.touchstone("rebuild", service)
    erased.shop.settle()
    assert without_positions(erased.shop.statement(DAY, DAY)) == without_positions(erased.statement)
    assert left_of(erased.shop, erased.gone) == set()


def test_who_comes_later_is_somebody_new(erased: Erased) -> None:
    back = erased.gone[1]
    append(erased.shop, [{**back.visit(back.by("email", "visitorId")), "eventId": "back"}])
    erased.shop.settle()
    found = erased.shop.client.get("/v1/people:lookup", params={"email": back.ids["email"]}).json()["person"]
    assert len(found["identifiers"]) == 2
    assert without_positions(erased.shop.statement(DAY, DAY)) == without_positions(erased.statement)
