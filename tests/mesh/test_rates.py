"""Exchange rates through the doors: told by call and from a file, and orders that count by them."""

import json
from pathlib import Path
from typing import Any

from tests.mesh.running import RunningSystem, until
from tests.mesh.shop import Shop


def order(order_id: str, currency: str, micros: int) -> dict[str, Any]:
    told = {"orderId": order_id, "platform": "CUSTOM", "status": "completed"}
    return {
        "eventId": f"order-{order_id}",
        "occurTime": "2026-11-15T12:00:00Z",
        "order": {**told, "currencyCode": currency, "totalMicros": str(micros)},
    }


def statement(shop: Shop) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(shop.statement("2026-11-15", "2026-11-15"))
    assert int(told["difference"]["amount"]["micros"]) == 0
    return told


def test_orders_count_as_soon_as_their_rate_is_told(mesh: RunningSystem, shop: Shop, tmp_path: Path) -> None:
    shop.append([order("1", "EUR", 1_000_000), order("2", "USD", 10_000_000), order("3", "KWD", 5_000)])
    until("orders apart", lambda: len(statement(shop).get("unconverted", ())) == 2)

    file = tmp_path / "eurofxref-hist.csv"
    file.write_text("Date,USD,CYP,\n2026-11-16,1.3,N/A,\n2026-11-13,1.25,N/A,\n")
    done = mesh.touchstone("rates", "import", str(file), shop.tenant)
    assert done.stdout == "2 rates stored, 0 were there\n"
    until(
        "dollars in euros", lambda: statement(shop)["store"]["amount"] == {"currencyCode": "EUR", "micros": "9000000"}
    )

    wrong = {"exchangeRates": [{"date": "2026-11-13", "currencyCode": "USD", "rate": "1.26"}]}
    refused = shop.client.post("/v1/exchangeRates:import", json=wrong)
    assert (refused.status_code, "EXCHANGE_RATE_FROZEN" in refused.text) == (409, True)
    assert "exchangeRates[0].rate" in refused.text
    told = {"exchangeRates": [{"date": "2026-11-15", "currencyCode": "KWD", "rate": "0.25"}]}
    assert shop.client.post("/v1/exchangeRates:import", json=told).json() == {"stored": 1, "unchanged": 0}
    until("dinars in euros", lambda: statement(shop)["store"]["amount"]["micros"] == "9020000")
    assert not statement(shop).get("unconverted")
    page = shop.client.get("/v1/exchangeRates", params={"startDate": "2026-11-15", "pageSize": 1}).json()
    assert page["exchangeRates"] == [
        {"date": "2026-11-15", "currencyCode": "KWD", "rate": "0.25", "baseCurrencyCode": "EUR"}
    ]
    assert page["nextPageToken"]

    shop.patch_settings({"timeZone": "Pacific/Apia"})
    until("days of another zone", lambda: statement(shop)["metadata"]["timeZone"] == "Pacific/Apia")
    assert mesh.touchstone("verify", shop.tenant).returncode == 0
