# ruff: noqa: E401, F401, I001, UP017
# fmt: off
# Kept as it was first measured with: figures of other days stay comparable.
"""Writes N signed Shopify `orders/paid` deliveries, each of another order: `signature TAB json` a line.

usage: make_orders.py N SECRET > orders.tsv      (seeded: the same N and SECRET give the same bytes)
"""
import base64, hashlib, hmac, json, random, sys
from datetime import datetime, timedelta, timezone

def order(i: int, rng: random.Random, base: datetime) -> dict:
    lines, total = [], 0
    for k in range(rng.randint(1, 6)):
        price, quantity, product = rng.randint(299, 19999), rng.randint(1, 3), rng.randint(1, 5000)
        total += price * quantity
        p = f"{price // 100}.{price % 100:02d}"
        shop = {"amount": p, "currency_code": "EUR"}
        lines.append({"id": i * 10 + k, "sku": f"SKU-{product:05d}", "product_id": 7_000_000_000_000 + product, "variant_id": 42_000_000_000_000 + product,
                      "title": f"Product {product}", "name": f"Product {product} - blue", "quantity": quantity, "price": p,
                      "price_set": {"shop_money": shop, "presentment_money": shop}, "discount_allocations": [], "total_discount": "0.00",
                      "tax_lines": [{"title": "VAT", "rate": 0.2, "price": "0.00"}], "properties": [], "taxable": True, "requires_shipping": True, "grams": 200, "vendor": "acme"})
    t = f"{total // 100}.{total % 100:02d}"
    money = {"shop_money": {"amount": t, "currency_code": "EUR"}, "presentment_money": {"amount": t, "currency_code": "EUR"}}
    at = (base + timedelta(seconds=i % 86_400)).isoformat()
    person = rng.randint(1, 1_000_000)
    return {"id": 5_500_000_000_000 + i, "admin_graphql_api_id": f"gid://shopify/Order/{5_500_000_000_000 + i}", "name": f"#{i}", "order_number": i,
            "created_at": at, "updated_at": at, "processed_at": at, "cancelled_at": None, "test": False, "currency": "EUR", "presentment_currency": "EUR",
            "financial_status": "paid", "fulfillment_status": None, "source_name": "web", "email": f"shopper{person}@example.com", "contact_email": f"shopper{person}@example.com",
            "total_price": t, "current_total_price": t, "subtotal_price": t, "total_tax": "0.00", "total_discounts": "0.00", "total_price_set": money, "current_total_price_set": money,
            "total_shipping_price_set": {"shop_money": {"amount": "0.00", "currency_code": "EUR"}, "presentment_money": {"amount": "0.00", "currency_code": "EUR"}},
            "note_attributes": [{"name": "_touchstone_session_id", "value": f"s-{rng.getrandbits(64):016x}"}, {"name": "_touchstone_visitor_id", "value": f"v-{person:020d}"}],
            "customer": {"id": 6_000_000_000_000 + person, "email": f"shopper{person}@example.com", "first_name": "A", "last_name": "B", "state": "enabled"},
            "billing_address": {"first_name": "A", "last_name": "B", "address1": "1 Example St", "city": "Madrid", "zip": "28001", "country_code": "ES", "phone": None},
            "client_details": {"browser_ip": "203.0.113.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"},
            "refunds": [], "line_items": lines}

def main() -> None:
    n, secret = int(sys.argv[1]), sys.argv[2].encode()
    rng, base = random.Random(20261121), datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    for i in range(1, n + 1):
        body = json.dumps(order(i, rng, base), separators=(",", ":")).encode()
        sys.stdout.buffer.write(base64.b64encode(hmac.digest(secret, body, "sha256")) + b"\t" + body + b"\n")

main()
