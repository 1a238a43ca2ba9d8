"""The demo shop's story: the same each time, and orders that add up."""

import base64
import hmac
import json
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from gateway.cli.demo.shops import tell
from gateway.cli.demo.story import ORDERS_A_DAY, play_day
from services.kernel.identifiers import normal_phone

MADRID = ZoneInfo("Europe/Madrid")
DAYS = [date(2026, 3, day) for day in range(27, 32)]  # with a change of the clocks among them


def test_a_day_is_a_pure_function_of_its_date() -> None:
    assert play_day(DAYS[0], MADRID) == play_day(DAYS[0], MADRID)
    assert play_day(DAYS[0], MADRID) != play_day(DAYS[1], MADRID)


def test_nothing_is_told_twice_under_one_name() -> None:
    days = [play_day(day, MADRID) for day in DAYS]
    events = [event["eventId"] for day in days for event in day.events]
    orders = [purchase.number for day in days for purchase in day.purchases]
    assert len(set(events)) == len(events)
    assert len(set(orders)) == len(orders) == ORDERS_A_DAY * len(DAYS)


def test_everything_happens_on_the_day_or_before() -> None:
    for day in DAYS:
        told = play_day(day, MADRID)
        assert all(purchase.placed.date() == purchase.changed.date() == day for purchase in told.purchases)


def test_phones_are_numbers_that_somebody_could_have() -> None:
    for purchase in play_day(DAYS[0], MADRID).purchases:
        assert normal_phone(purchase.shopper.phone, "") == purchase.shopper.phone


def test_bodies_are_signed_and_their_parts_add_up() -> None:
    for day in DAYS:
        for purchase in play_day(day, MADRID).purchases:
            for delivery in tell(purchase, "secret"):
                expected = base64.b64encode(hmac.digest(b"secret", delivery.body, "sha256")).decode()
                assert expected in dict(delivery.headers).values()
                order = json.loads(delivery.body)
                assert _total(order) == _parts(order)


def _total(order: dict) -> Decimal:
    return Decimal(order["total"] if "total" in order else order["total_price"])


def _parts(order: dict) -> Decimal:
    if "total" in order:
        lines = sum(Decimal(line["total"]) + Decimal(line["total_tax"]) for line in order["line_items"])
        return lines + Decimal(order["shipping_total"])
    lines = sum(Decimal(line["price"]) * line["quantity"] for line in order["line_items"])
    return lines + Decimal(order["total_tax"]) + Decimal(order["shipping_lines"][0]["price"])
