"""A tenant of a running system, and what its shop, its assistant and its manager do through the public doors."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

from gateway.cli.tenants import SCOPES, add_source, create_tenant, issue_token
from tests.mesh.running import ROOT, RunningSystem, until

RECORDED = ROOT / "tests" / "recorded" / "woocommerce"
RECORDED_SOURCE = "woo"
RECORDED_SECRET = "lab-s3crét-Kéy"
RECORDED_PREFIX = "_ecombot_"
FOR_EVER = f"{3660 * 86_400}s"
SETTLING_DAY = "2026-01-15"
RETRY_SECONDS = 0.1
TAKEN = {"ACCEPTED", "DUPLICATE"}

Event = dict[str, Any]
_HOP_BY_HOP = {"host", "connection", "content-length", "accept-encoding"}


class Delivery(NamedTuple):
    """A webhook: its number in the order that its source sent, its headers and its bytes."""

    number: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source: str

    @property
    def topic(self) -> str:
        """The platform's topic; empty for a ping."""
        return next((value for name, value in self.headers if name == "X-WC-Webhook-Topic"), "")


def recorded() -> list[Delivery]:
    """The shop's recorded deliveries in the order received."""
    return [_read(path) for path in sorted(RECORDED.glob("delivery_*.json"))]


def _read(path: Path) -> Delivery:
    told = json.loads(path.read_bytes())
    headers = tuple((name, value) for name, value in told["headers"] if name.lower() not in _HOP_BY_HOP)
    return Delivery(int(path.name.split("_")[1]), headers, base64.b64decode(told["body_b64"]), RECORDED_SOURCE)


class Shop:
    """A tenant that takes events of any age, in euros and days of Madrid."""

    def __init__(self, running: RunningSystem, name: str = "") -> None:
        self.running = running
        self.tenant = name or f"shop-{uuid4().hex[:12]}"
        create_tenant(running.system, self.tenant, currency="EUR", time_zone="Europe/Madrid")
        self.token = issue_token(running.system, self.tenant, scopes=list(SCOPES))
        self.client = httpx.Client(
            base_url=str(running.client.base_url),
            timeout=30,
            trust_env=False,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        self.patience = 0.0
        """Seconds for which what was not taken is sent again, as shops do. Tests that break things have some."""
        self.refusals: list[int] = []
        """Statuses of the answers that were no success, and 0 for each connection that broke."""
        self._settled = 0
        self.patch_settings({"maxEventAge": FOR_EVER})

    def close(self) -> None:
        self.client.close()

    def add_recorded_source(self) -> None:
        """Adds the source whose secret the recorded deliveries are signed with."""
        self.add_source(RECORDED_SOURCE, "woocommerce", RECORDED_SECRET, id_prefix=RECORDED_PREFIX)

    def add_source(self, name: str, kind: str, secret: str, *, id_prefix: str = "") -> None:
        add_source(self.running.system, self.tenant, name, kind=kind, secret=secret, id_prefix=id_prefix)

    def patch_settings(self, settings: dict[str, Any]) -> None:
        self._send(lambda: self.client.patch("/v1/settings", json=settings)).raise_for_status()

    def deliver(self, source: str, headers: Iterable[tuple[str, str]], body: bytes) -> httpx.Response:
        """Sends a webhook as a shop does: without a token."""
        told = list(headers)
        path = f"/webhooks/{self.tenant}/{source}"
        return self._send(lambda: self.running.client.post(path, headers=told, content=body))

    def append(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Appends events; answers what became of each."""
        answer = self._send(lambda: self.client.post("/v1/events", json={"events": list(events)}))
        answer.raise_for_status()
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def statement(self, first: str, last: str) -> bytes:
        """The statement as it is answered."""
        days = {"startDate": first, "endDate": last}
        answer = self._send(lambda: self.client.get("/v1/statement", params=days))
        answer.raise_for_status()
        return answer.content

    def evidence(self, order_id: str, **parameters: str) -> dict[str, Any]:
        """Why an order's credit is what it is."""
        answer = self.client.get(f"/v1/orders/{order_id}/attribution", params=parameters)
        answer.raise_for_status()
        evidence: dict[str, Any] = answer.json()
        return evidence

    def _send(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        deadline = time.monotonic() + self.patience
        while True:
            last_try = time.monotonic() >= deadline
            try:
                answer = send()
            except httpx.TransportError:
                self.refusals.append(0)
                if last_try:
                    raise
            else:
                if answer.is_success or last_try:
                    return answer
                self.refusals.append(answer.status_code)
            time.sleep(RETRY_SECONDS)

    def settle(self, seconds: float = 90) -> None:
        """Waits until everything that was accepted before is in the figures.

        Logs keep their sequence, so it is enough to send something last that no figure of another day shows, and
        that takes the longest way: an order on a day of its own, tied to a conversation only by a link between
        people. Once it is attributed, and the visit behind it is counted, every service has applied all that came before.
        Where rules have changed, orders are then still attributed anew in the background: when that is done, something
        last is sent once more. Where settings have changed, figures are still counted anew.
        """
        name = f"settle-{uuid4().hex}"
        at = f"{SETTLING_DAY}T12:00:00Z"
        email = f"{name}@example.com"
        chat = {"channel": "CHAT", "action": "MESSAGE", "answer": "HELPFUL"}
        order = {
            "orderId": name,
            "platform": "CUSTOM",
            "status": "completed",
            "currencyCode": "EUR",
            "totalMicros": "1000000",
        }
        sequence = [
            ("order", {"email": email}, {"order": order}),
            ("touch", {"visitorId": name}, {"interaction": chat}),
            (
                "link",
                {"visitorId": name, "email": email, "sessionId": name},
                {"storefront": {"action": "SESSION_STARTED"}},
            ),
        ]
        for what, identifiers, payload in sequence:
            event = {"eventId": f"{name}-{what}", "occurTime": at, "identifiers": identifiers, **payload}
            [result] = self.append([event])
            assert result["status"] in TAKEN, result
        self._settled += 1

        def look() -> bool:
            # A statement is in no currency until the tenant itself is in the figures.
            told = figures(self.statement(SETTLING_DAY, SETTLING_DAY)).get("EUR", {"byTier": {}})
            return told["byTier"].get("PERSON", (0, 0, 0))[0] == self._settled and self._visits() == self._settled

        until(f"{self.tenant} has settled", look, seconds)
        if self._recomputes():
            until(f"{self.tenant} is attributed anew", lambda: not self._recomputes(), seconds)
            self.settle(seconds)
        until(f"{self.tenant} is counted anew", lambda: not self._recounts(), seconds)

    def _visits(self) -> int:
        asked = {"metrics": ["sessions"], "startDate": SETTLING_DAY, "endDate": SETTLING_DAY}
        told = self._send(lambda: self.client.post("/v1/reports:run", json=asked)).raise_for_status().json()
        return int(told["totals"]["metrics"]["sessions"]["count"])

    def _recounts(self) -> bool:
        return "recount" in json.loads(self.statement(SETTLING_DAY, SETTLING_DAY))["metadata"]

    def _recomputes(self) -> bool:
        return "recomputation" in self._send(lambda: self.client.get("/v1/models")).raise_for_status().json()


def without_positions(statement: bytes) -> bytes:
    """A statement's bytes without the log positions through which it speaks: they tell when, not how much."""
    return re.sub(rb'"asOf":\s*\{[^{}]*\},?', b"", statement)


def figures(statement: bytes | dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A statement's numbers by currency; each bucket as (orders, micros, net micros)."""
    told: dict[str, Any] = json.loads(statement) if isinstance(statement, bytes) else statement
    attributed = told.get("attributed", {})
    by_currency = {
        told["store"]["amount"].get("currencyCode", ""): {
            "store": _bucket(told["store"]),
            "attributed": _bucket(attributed),
            "byChannel": {part["channel"]: _bucket(part) for part in attributed.get("byChannel", [])},
            "byTier": {part["tier"]: _bucket(part) for part in attributed.get("byTier", [])},
            "unattributed": _bucket(told.get("unattributed", {})),
            "excluded": {part["reason"]: _bucket(part) for part in told.get("excluded", [])},
            "difference": _bucket(told.get("difference", {})),
        }
    }
    for other in told.get("unconverted", []):
        by_currency |= figures(other)
    return by_currency


def _bucket(told: dict[str, Any]) -> tuple[int, int, int]:
    return (
        int(told.get("orders", 0)),
        int(told.get("amount", {}).get("micros", 0)),
        int(told.get("net", {}).get("micros", 0)),
    )
