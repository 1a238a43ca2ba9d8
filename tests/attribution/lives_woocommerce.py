"""Orders over their whole life, as WooCommerce tells it."""

from typing import Any

from tests.attribution.lives import Body, Life, Sent, at

# WooCommerce: the same order; a line's total is without tax, in a shop whose prices hold it too.


def row(line_id: int, sku: str | None, total: str, tax: str, quantity: int = 1, **more: Any) -> Body:
    return {
        "id": line_id,
        "product_id": 70 + line_id,
        "sku": sku,
        "quantity": quantity,
        "total": total,
        "total_tax": tax,
        **more,
    }


ROWS = [row(1, "POT", "50.00", "10.00"), row(2, "TEA", "25.00", "5.00")]


def woo(happened: str, minutes: int, status: str = "processing", **more: Any) -> Sent:
    return f"order.{happened}", {
        "id": 0,
        "number": "1",
        "status": status,
        "currency": "EUR",
        "prices_include_tax": True,
        "date_created_gmt": at(0)[:-1],
        "date_modified_gmt": at(minutes)[:-1],
        "date_paid": None,
        "total": "100.00",
        "total_tax": "15.00",
        "shipping_total": "10.00",
        "line_items": ROWS,
        "fee_lines": [],
        "refunds": [],
        "meta_data": [],
        "billing": {"email": "me@example.test", "phone": "", "country": "ES"},
        "customer_id": 0,
        **more,
    }


def given(refund_id: int, total: str) -> Body:
    return {"id": refund_id, "reason": "", "total": f"-{total}"}


BINNED: Sent = ("order.deleted", {"id": 0})
RESTORED: Sent = ("order.restored", {"id": 0})
WAS_BINNED = {"meta_data": [{"id": 1, "key": "_wp_trash_meta_time", "value": "1"}]}
WHOLE = {"1": (1, 0, "50.00", "50.00"), "2": (1, 0, "25.00", "25.00")}
SPREAD = {"1": (1, 0, "50.00", "45.00"), "2": (1, 0, "25.00", "22.50")}


def of_woo(because: str, *sent: Sent, gross: str = "100.00", net: str = "", **more: Any) -> Life:
    return Life(because=because, platform="woocommerce", sent=sent, gross=gross, net=net or gross, **more)


WOOCOMMERCE = (
    of_woo("cash on delivery counts before it is paid", woo("created", 0), lines=WHOLE),
    of_woo("a transfer awaited", woo("created", 0, "on-hold"), excluded="UNPAID"),
    of_woo("a transfer that came", woo("created", 0, "on-hold"), woo("updated", 9), woo("updated", 20, "completed")),
    of_woo("back to on-hold", woo("created", 0), woo("updated", 9, "on-hold"), excluded="UNPAID"),
    of_woo("cancelled after it was paid", woo("created", 0), woo("updated", 9, "cancelled"), excluded="CANCELLED"),
    of_woo("failed at first", woo("created", 0, "failed"), woo("updated", 2)),
    of_woo("failed in the end", woo("created", 0, "pending"), woo("updated", 2, "failed"), excluded="FAILED"),
    of_woo("a checkout left open", woo("created", 0, "checkout-draft"), excluded="UNPAID"),
    of_woo("a shop's own status doesn't count unless it says so", woo("created", 0), woo("updated", 9, "at-the-printer"),
           excluded="UNPAID"),
    of_woo("three states of one second: the furthest", woo("created", 0, "pending"), woo("updated", 0, "checkout-draft"),
           woo("updated", 0, "processing")),
    of_woo("binned", woo("created", 0), BINNED, excluded="TRASHED"),
    of_woo("binned and restored, as a notice says", woo("created", 0), BINNED, RESTORED),
    of_woo("binned and restored, as the order shows", woo("created", 0), BINNED, woo("updated", 9, **WAS_BINNED)),
    of_woo("restored whole, and changed after", woo("created", 0), BINNED, woo("restored", 9, **WAS_BINNED),
           woo("updated", 10, "completed")),
    of_woo("the bin is also told as a product that is gone", woo("created", 0), BINNED, ("product.deleted", {"id": 0}),
           excluded="TRASHED"),
    of_woo("in the bin by its status", woo("created", 0), woo("updated", 9, "trash"), excluded="TRASHED"),
    of_woo("an amount given back", woo("created", 0), woo("updated", 60, refunds=[given(1, "9.00")]),
           woo("updated", 99, "completed", refunds=[given(1, "9.00")]), net="91.00", lines=SPREAD, refunds=(("9.00", 60),)),
    of_woo("given back twice, the later listed first", woo("created", 0), woo("updated", 60, refunds=[given(1, "9.00")]),
           woo("updated", 90, refunds=[given(2, "1.00"), given(1, "9.00")]), net="90.00", refunds=(("9.00", 60), ("1.00", 90))),
    of_woo("a refund taken back is gone from the newer list", woo("created", 0),
           woo("updated", 60, refunds=[given(1, "9.00")]), woo("updated", 70), lines=WHOLE),
    of_woo("all given back", woo("created", 0), woo("updated", 60, "refunded", refunds=[given(1, "100.00")]),
           net="0.00", refunds=(("100.00", 60),)),
    of_woo("refunded by its status, which lists no money", woo("created", 0), woo("updated", 60, "refunded"),
           woo("updated", 80, "refunded"), net="0.00", refunds=(("100.00", 60),)),
    of_woo("a part, then the rest by its status", woo("created", 0), woo("updated", 60, refunds=[given(1, "9.00")]),
           woo("updated", 80, "refunded", refunds=[given(1, "9.00")]), net="0.00",
           lines={"1": (1, 0, "50.00", "0.00"), "2": (1, 0, "25.00", "0.00")}, refunds=(("9.00", 60), ("91.00", 80))),
    of_woo("more given back than was paid", woo("updated", 60, refunds=[given(1, "130.00")]), net="0.00",
           refunds=(("100.00", 60),)),
    of_woo("a product was deleted, its line keeps its name", woo("created", 0),
           woo("updated", 9, line_items=[row(1, None, "50.00", "10.00", product_id=0), ROWS[1]]), lines=WHOLE),
    of_woo("one product on two lines", woo("created", 0, line_items=[row(1, "TEA", "50.00", "10.00"), ROWS[1]]),
           lines=WHOLE),
    of_woo("a fee below nothing is a discount",
           woo("created", 0, total="80.00", fee_lines=[{"id": 9, "total": "-20.00"}]), gross="80.00", lines=WHOLE),
    of_woo("a coupon is in the lines",
           woo("created", 0, total="90.00", total_tax="13.33", line_items=[
               row(1, "POT", "41.67", "8.33", subtotal="50.00"), ROWS[1]]),
           gross="90.00", lines={"1": (1, 0, "41.67", "41.67"), "2": (1, 0, "25.00", "25.00")}),
    of_woo("nothing to pay", woo("created", 0, "completed", total="0.00", total_tax="0.00", shipping_total="0.00",
                                 line_items=[row(1, "POT", "0.00", "0.00")]), gross="0.00"),
    of_woo("yen", woo(
        "updated", 60, currency="JPY", total="1000", total_tax="150", shipping_total="100", refunds=[given(1, "100")],
        line_items=[row(1, "POT", "500", "100"), row(2, "TEA", "250", "50")]),
           gross="1000", net="900", currency="JPY", refunds=(("100", 60),),
           lines={"1": (1, 0, "500", "444"), "2": (1, 0, "250", "222")}),
    of_woo("dinars", woo(
        "updated", 60, currency="KWD", total="10.000", total_tax="1.500", shipping_total="1.000",
        refunds=[given(1, "1.000")], line_items=[row(1, "POT", "5.000", "1.000"), row(2, "TEA", "2.500", "0.500")]),
           gross="10.000", net="9.000", currency="KWD", refunds=(("1.000", 60),),
           lines={"1": (1, 0, "5.000", "4.444"), "2": (1, 0, "2.500", "2.222")}),
)  # fmt: skip
