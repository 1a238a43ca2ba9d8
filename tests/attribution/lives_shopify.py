"""Orders over their whole life, as Shopify tells it."""

from typing import Any

from tests.attribution.lives import Body, Life, Sent, at

# Shopify: a teapot of 60.00 (10.00 tax), tea of 30.00 (5.00 tax) and 10.00 of shipping without tax make 100.00.


def item(line_id: int, sku: str, price: str, tax: str, quantity: int = 1, **more: Any) -> Body:
    """A line as Shopify tells it, of a shop whose prices hold their tax."""
    return {
        "id": line_id,
        "product_id": 70 + line_id,
        "sku": sku,
        "quantity": quantity,
        "price": price,
        "tax_lines": [{"price": tax}],
        **more,
    }


POT, TEA = item(1, "POT", "60.00", "10.00"), item(2, "TEA", "30.00", "5.00")


def shopify(topic: str, minutes: int, status: str = "paid", **more: Any) -> Sent:
    return f"orders/{topic}", {
        "id": 0,
        "name": "#1",
        "created_at": at(0),
        "updated_at": at(minutes),
        "currency": "EUR",
        "taxes_included": True,
        "financial_status": status,
        "total_price": "100.00",
        "total_tax": "15.00",
        "total_shipping_price_set": {"shop_money": {"amount": "10.00", "currency_code": "EUR"}},
        "line_items": [POT, TEA],
        "refunds": [],
        "email": "me@example.test",
        **more,
    }


def paid_back(amount: str, status: str = "success", **more: Any) -> Body:
    return {"kind": "refund", "status": status, "amount": amount, "currency": "EUR", **more}


def money(amount: str, currency: str = "EUR") -> Body:
    return {"shop_money": {"amount": amount, "currency_code": currency}}


def taken(line_id: int, worth: str, tax: str, quantity: int = 1) -> Body:
    return {
        "line_item_id": line_id,
        "quantity": quantity,
        "subtotal_set": money(worth),
        "total_tax_set": money(tax),
    }


def refund(refund_id: int, minutes: int, *lines: Body, paid: tuple[Body, ...] = (), **more: Any) -> Body:
    return {
        "id": refund_id,
        "created_at": at(minutes),
        "processed_at": at(minutes),
        "transactions": list(paid),
        "refund_line_items": list(lines),
        **more,
    }


def adjusted(kind: str, amount: str, tax: str = "0.00") -> Body:
    return {"kind": kind, "amount": amount, "tax_amount": tax}


TEA_BACK = taken(2, "30.00", "5.00")
WHOLE = {"1": (1, 0, "50.00", "50.00"), "2": (1, 0, "25.00", "25.00")}
"""Net of tax, as lines are."""

TEA_GONE = {"1": (1, 0, "50.00", "50.00"), "2": (1, 1, "25.00", "0.00")}
TEA_NEVER = {"1": (1, 0, "50.00", "50.00"), "2": (0, 0, "0.00", "0.00")}


def of_shopify(because: str, *sent: Sent, gross: str = "100.00", net: str = "", **more: Any) -> Life:
    return Life(because=because, platform="shopify", sent=sent, gross=gross, net=net or gross, **more)


SHOPIFY = (
    of_shopify("placed, then paid", shopify("create", 0, "pending"), shopify("paid", 1), lines=WHOLE),
    of_shopify("paid, then sent", shopify("paid", 0), shopify("partially_fulfilled", 5), shopify("fulfilled", 9)),
    of_shopify("money reserved, not taken", shopify("create", 0, "authorized"), excluded="UNPAID"),
    of_shopify("a reservation let go", shopify("create", 0, "authorized"), shopify("updated", 9, "voided"),
               excluded="UNPAID"),
    of_shopify("paid in part", shopify("create", 0, "pending"), shopify("updated", 2, "partially_paid")),
    of_shopify("a trial", shopify("paid", 0, test=True), excluded="TEST"),
    of_shopify("paid and cancelled, nothing given back yet", shopify("paid", 0),
               shopify("cancelled", 9, cancelled_at=at(9)), excluded="CANCELLED"),
    of_shopify("cancelled before it was paid: it stays what was ordered", shopify("create", 0, "pending"),
               shopify("cancelled", 9, "voided", cancelled_at=at(9), current_total_price="0.00",
                       refunds=[refund(1, 9, TEA_BACK, taken(1, "60.00", "10.00"))]), excluded="CANCELLED",
               refunds=(("0.00", 9),)),
    of_shopify("cancelled and all given back", shopify("paid", 0),
               shopify("cancelled", 9, "refunded", cancelled_at=at(9), refunds=[refund(1, 9, paid=(paid_back("100.00"),))]),
               excluded="CANCELLED", net="0.00", refunds=(("100.00", 9),)),
    of_shopify("deleted", shopify("paid", 0), ("orders/delete", {"id": 0}), excluded="DELETED"),
    of_shopify("at the counter: no address, no customer, no bill",
               shopify("paid", 0, email="", customer=None, billing_address=None, source_name="pos"), lines=WHOLE),
    of_shopify("nothing to pay", shopify(
        "paid", 0, total_price="0.00", total_tax="0.00", total_shipping_price_set=None,
        line_items=[item(1, "POT", "60.00", "0.00", discount_allocations=[{"amount": "60.00"}])]),
               gross="0.00", lines={"1": (1, 0, "0.00", "0.00")}),
    of_shopify("one product taken back", shopify("paid", 0),
               shopify("updated", 60, "partially_refunded", refunds=[refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))]),
               net="70.00", lines=TEA_GONE, refunds=(("30.00", 60),)),
    of_shopify("an amount without lines is spread with tax, 6.00 and 3.00, of which 5.00 and 2.50 are no tax",
               shopify("updated", 60, "partially_refunded", refunds=[refund(1, 60, paid=(paid_back("9.00"),))]),
               net="91.00", lines={"1": (1, 0, "50.00", "45.00"), "2": (1, 0, "25.00", "22.50")},
               refunds=(("9.00", 60),)),
    of_shopify("two refunds, the later listed first", shopify("updated", 90, "partially_refunded", refunds=[
                   refund(2, 90, paid=(paid_back("9.00"),)), refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))]),
               net="61.00", lines={"1": (1, 0, "50.00", "45.00"), "2": (1, 1, "25.00", "0.00")},
               refunds=(("30.00", 60), ("9.00", 90))),
    of_shopify("with its shipping, which belongs to no product", shopify(
        "updated", 60, "partially_refunded", refunds=[refund(1, 60, TEA_BACK, paid=(paid_back("40.00"),),
                                                             order_adjustments=[adjusted("shipping_refund", "-10.00")])]),
               net="60.00", lines=TEA_GONE, refunds=(("40.00", 60),)),
    of_shopify("shipping alone takes nothing off the products", shopify(
        "updated", 60, "partially_refunded", refunds=[refund(1, 60, paid=(paid_back("10.00"),),
                                                             order_adjustments=[adjusted("shipping_refund", "-10.00")])]),
               net="90.00", lines=WHOLE, refunds=(("10.00", 60),)),
    of_shopify("shipping and 9.00 for the trouble", shopify(
        "updated", 60, "partially_refunded", refunds=[refund(1, 60, paid=(paid_back("19.00"),), order_adjustments=[
            adjusted("shipping_refund", "-10.00"), adjusted("refund_discrepancy", "-9.00")])]),
               net="81.00", lines={"1": (1, 0, "50.00", "45.00"), "2": (1, 0, "25.00", "22.50")},
               refunds=(("19.00", 60),)),
    of_shopify("money that did not go through is not given back", shopify(
        "updated", 60, refunds=[refund(1, 60, TEA_BACK, paid=(paid_back("30.00", "failure"), paid_back("30.00", "pending")))]),
               lines=TEA_GONE, refunds=(("0.00", 60),)),
    of_shopify("goods taken back for nothing", shopify(
        "updated", 60, refunds=[refund(1, 60, TEA_BACK, order_adjustments=[adjusted("refund_discrepancy", "30.00")])]),
               lines=TEA_GONE, refunds=(("0.00", 60),)),
    of_shopify("more given back than was paid", shopify("updated", 90, "refunded", refunds=[
                   refund(1, 60, paid=(paid_back("80.00"),)), refund(2, 90, paid=(paid_back("45.00"),))]),
               net="0.00", lines={"1": (1, 0, "50.00", "0.00"), "2": (1, 0, "25.00", "0.00")},
               refunds=(("80.00", 60), ("20.00", 90))),
    of_shopify("refunded, and the list tells only a part", shopify("paid", 0), shopify("updated", 60, "partially_refunded",
                   refunds=[refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))]),
               shopify("updated", 90, "refunded", refunds=[refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))]),
               shopify("updated", 95, "refunded", refunds=[refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))]),
               net="0.00", refunds=(("30.00", 60), ("70.00", 90))),
    of_shopify("a refund announced before the order tells of it", shopify("paid", 0),
               ("refunds/create", {"order_id": 0, **refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))}),
               net="70.00", refunds=(("30.00", 60),)),
    of_shopify("announced, then listed: once", shopify("paid", 0),
               ("refunds/create", {"order_id": 0, **refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))}),
               shopify("updated", 60, "partially_refunded", refunds=[refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))]),
               net="70.00", lines=TEA_GONE, refunds=(("30.00", 60),)),
    of_shopify("announced, then taken back: a newer list is without it", shopify("paid", 0),
               ("refunds/create", {"order_id": 0, **refund(1, 60, TEA_BACK, paid=(paid_back("30.00"),))}),
               shopify("updated", 70), lines=WHOLE),
    of_shopify("the notice of an edit names no money, the order that follows does", shopify("paid", 0),
               ("orders/edited", {"order_edit": {"order_id": 0, "line_items": {"additions": [{"id": 3, "delta": 1}]}}}),
               shopify("updated", 5, total_price="120.00", total_tax="18.00", current_total_price="120.00",
                       line_items=[POT, TEA, item(3, "CUP", "20.00", "3.00")]),
               gross="120.00", lines={**WHOLE, "3": (1, 0, "17.00", "17.00")}),
    of_shopify("something added, and the total is still that of the purchase", shopify(
        "updated", 5, current_total_price="120.00", total_tax="18.00",
        line_items=[POT, TEA, item(3, "CUP", "20.00", "3.00")]),
               gross="120.00", lines={**WHOLE, "3": (1, 0, "17.00", "17.00")}),
    of_shopify("something taken off before it was paid: it was never bought", shopify("create", 0, "pending"),
               shopify("paid", 5, current_total_price="70.00", refunds=[refund(1, 5, TEA_BACK)]),
               gross="70.00", lines=TEA_NEVER),
    of_shopify("taken off after it was paid, and the money follows", shopify("paid", 0),
               shopify("updated", 5, current_total_price="70.00", refunds=[refund(1, 5, TEA_BACK)]),
               shopify("updated", 60, "partially_refunded", current_total_price="70.00",
                       refunds=[refund(1, 5, TEA_BACK), refund(2, 60, paid=(paid_back("30.00"),))]),
               net="70.00", lines=TEA_GONE, refunds=(("30.00", 60),)),
    of_shopify("taken off, and 20.00 of the 30.00 so far given back", shopify(
        "updated", 60, "partially_refunded", current_total_price="70.00",
        refunds=[refund(1, 5, TEA_BACK), refund(2, 60, paid=(paid_back("20.00"),))]),
               gross="90.00", net="70.00", lines=TEA_GONE, refunds=(("20.00", 60),)),
    of_shopify("exchanged for something as dear: no money moves", shopify(
        "updated", 60, total_price="130.00", total_tax="20.00", current_total_price="100.00",
        line_items=[POT, TEA, item(3, "MUG", "30.00", "5.00")], refunds=[refund(1, 60, TEA_BACK)]),
               lines={**TEA_NEVER, "3": (1, 0, "25.00", "25.00")}),
    of_shopify("two of one thing, one of them taken off", shopify(
        "updated", 5, total_price="130.00", total_tax="20.00", line_items=[POT, item(2, "TEA", "30.00", "10.00", 2)],
        refunds=[refund(1, 5, TEA_BACK)]),
               lines=WHOLE),
    of_shopify("paid in dollars, kept and given back in euros", shopify(
        "updated", 60, "partially_refunded",
        total_price_set={**money("100.00"), "presentment_money": {"amount": "110.00", "currency_code": "USD"}},
        refunds=[refund(1, 60, paid=(paid_back("11.00", currency="USD"),))]),
               net="90.00", refunds=(("10.00", 60),)),
    of_shopify("yen have no decimals: 100 over 600 and 300 with tax is 67 and 33", shopify(
        "updated", 60, "partially_refunded", currency="JPY", total_price="1000", total_tax="150",
        total_shipping_price_set=money("100", "JPY"),
        line_items=[item(1, "POT", "600", "100"), item(2, "TEA", "300", "50")],
        refunds=[refund(1, 60, paid=(paid_back("100", currency="JPY"),))]),
               gross="1000", net="900", currency="JPY", refunds=(("100", 60),),
               lines={"1": (1, 0, "500", "444"), "2": (1, 0, "250", "222")}),
    of_shopify("dinars have three: 1.000 over 6.000 and 3.000 with tax is 0.667 and 0.333", shopify(
        "updated", 60, "partially_refunded", currency="KWD", total_price="10.000", total_tax="1.500",
        total_shipping_price_set=money("1.000", "KWD"),
        line_items=[item(1, "POT", "6.000", "1.000"), item(2, "TEA", "3.000", "0.500")],
        refunds=[refund(1, 60, paid=(paid_back("1.000", currency="KWD"),))]),
               gross="10.000", net="9.000", currency="KWD", refunds=(("1.000", 60),),
               lines={"1": (1, 0, "5.000", "4.444"), "2": (1, 0, "2.500", "2.222")}),
)  # fmt: skip
