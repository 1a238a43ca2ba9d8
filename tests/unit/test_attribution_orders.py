"""What an order is worth: its newest state, its refunds, its lines."""

from datetime import timedelta

from touchstone.ingest.v1 import event_pb2

from services.attribution.domain.orders import Platform, fold, known_order, status_rank
from services.attribution.domain.snapshot import COUNTED, Exclusion, Snapshot, snapshot
from services.attribution.wire import events as wire
from tests.attribution.telling import CENT, EUR, NOON, line, notice, order, refund

LATER = NOON + timedelta(hours=1)


def sale(*told: event_pb2.Event) -> Snapshot:
    known = known_order(fold(wire.told(event) for event in told))
    assert known is not None
    return snapshot("shop", "1", known, COUNTED)


def nets(sold: Snapshot) -> dict[str, int]:
    return {one.line_id: one.net_micros for one in sold.lines}


def test_the_later_state_wins_whatever_came_last() -> None:
    states = [order("1", total_micros=9 * EUR, updated=LATER), order("1", total_micros=8 * EUR)]
    assert sale(*states).gross_micros == sale(*reversed(states)).gross_micros == 9 * EUR


def test_at_the_same_time_the_further_status_wins_then_the_longer_refund_list() -> None:
    paid, done = order("1", status="processing"), order("1", status="completed")
    refunded = order("1", status="completed", refunds=[refund("r", EUR)])
    assert sale(paid, done).status == sale(done, paid).status == "completed"
    assert sale(refunded, done).net_micros == sale(done, refunded).net_micros == 99 * EUR


def test_at_the_same_time_and_status_the_cancelled_state_wins() -> None:
    paid = order("1", status="paid", platform="SHOPIFY")
    cancelled = order("1", status="paid", platform="SHOPIFY", cancel_time=paid.order.order_time)
    assert sale(paid, cancelled).excluded is sale(cancelled, paid).excluded is Exclusion.CANCELLED


def test_statuses_go_as_far_as_their_platform_says() -> None:
    shopify = ["pending", "authorized", "partially_paid", "paid", "partially_refunded", "refunded", "voided"]
    woo = ["checkout-draft", "pending", "failed", "on-hold", "processing", "completed", "cancelled", "refunded"]
    assert sorted(shopify, key=lambda status: status_rank(Platform.SHOPIFY, status)) == shopify
    assert sorted(woo, key=lambda status: status_rank(Platform.WOOCOMMERCE, status)) == woo
    assert status_rank(Platform.WOOCOMMERCE, "at-the-printer") == 0


def test_an_absent_time_is_the_events_own() -> None:
    told = order("1", when=LATER)
    told.order.ClearField("order_time")
    told.order.ClearField("update_time")
    assert sale(told).order_time == wire.nanos(told.occur_time)
    assert sale(order("1", total_micros=EUR), told).gross_micros == 100 * EUR


def test_notices_alone_are_no_order() -> None:
    assert known_order(fold([wire.told(notice("1", "TRASHED")), wire.told(notice("1", "DELETED"))])) is None


def test_net_is_gross_less_refunds_and_never_less_than_nothing() -> None:
    assert sale(order("1", refunds=[refund("r", 13 * EUR), refund("s", 7 * EUR)])).net_micros == 80 * EUR
    assert sale(order("1", refunds=[refund("r", 130 * EUR)])).net_micros == 0


def test_a_refunded_order_has_nothing_left_and_its_refunds_say_so() -> None:
    for listed in ([], [refund("r", 30 * EUR)], [refund("r", 100 * EUR)]):
        sold = sale(order("1", status="refunded", refunds=listed, lines=[line("a", 80 * EUR, 20 * EUR)]))
        assert (sold.excluded, sold.gross_micros, sold.net_micros, nets(sold)) == (None, 100 * EUR, 0, {"a": 0})
        assert sum(one.amount_micros for one in sold.refunds) == 100 * EUR


def test_a_refunds_lines_come_off_their_lines() -> None:
    lines = [line("a", 40 * EUR, 8 * EUR), line("b", 40 * EUR, 2 * EUR)]
    sold = sale(order("1", lines=lines, refunds=[refund("r", 12 * EUR, ("a", 10 * EUR, 2 * EUR))]))
    assert nets(sold) == {"a": 30 * EUR, "b": 40 * EUR}
    assert [one.refunded_quantity for one in sold.lines] == [1, 0]


def test_a_refund_without_lines_is_spread_with_tax_and_each_lines_own_tax_taken_out() -> None:
    lines = [line("a", 40 * EUR, 8 * EUR), line("b", 40 * EUR, 2 * EUR), line("free", 0)]
    sold = sale(order("1", lines=lines, refunds=[refund("r", 9 * EUR)]))
    # 9.00 over 48.00 and 42.00 with tax is 4.80 and 4.20; without it 4.00 and 4.00.
    assert nets(sold) == {"a": 36 * EUR, "b": 36 * EUR, "free": 0}
    assert sale(order("1", refunds=[refund("r", 9 * EUR)])).lines == ()


def test_spread_refunds_are_real_amounts_of_the_currency() -> None:
    lines = [line(name, EUR) for name in "abc"]
    assert nets(sale(order("1", lines=lines, refunds=[refund("r", 10 * CENT)]))) == {
        "a": 96 * CENT,
        "b": 97 * CENT,
        "c": 97 * CENT,
    }
    yen = sale(order("1", currency_code="JPY", lines=lines, refunds=[refund("r", EUR)]))
    assert nets(yen) == {"a": 0, "b": EUR, "c": EUR}


def test_a_line_never_goes_below_nothing() -> None:
    lines = [line("a", 10 * EUR), line("b", 10 * EUR)]
    sold = sale(order("1", lines=lines, refunds=[refund("r", 15 * EUR, ("a", 15 * EUR, 0)), refund("s", 2 * EUR)]))
    assert nets(sold) == {"a": 0, "b": 9 * EUR}


def test_a_line_keeps_the_sku_of_the_newest_state_that_names_one() -> None:
    named = order("1", lines=[line("a", EUR, sku="OLD"), line("b", EUR)])
    renamed = order("1", updated=NOON + timedelta(minutes=1), lines=[line("a", EUR, sku="NEW")])
    gone = order("1", updated=LATER, lines=[line("a", EUR, product_id="77"), line("b", EUR, product_id="78")])
    for told in ([named, renamed, gone], [gone, renamed, named], [gone, named, gone, renamed]):
        assert {one.line_id: one.sku for one in sale(*told).lines} == {"a": "NEW", "b": "78"}


def test_a_refund_announced_after_the_newest_state_counts_until_a_newer_state_tells() -> None:
    first = order("1")
    announced = notice("1", "REFUND", LATER, refunds=[refund("r", 5 * EUR)])
    listed = order("1", updated=LATER + timedelta(minutes=1), refunds=[refund("r", 4 * EUR)])
    taken_back = order("1", updated=LATER + timedelta(minutes=2))
    assert sale(first, announced).net_micros == sale(announced, first).net_micros == 95 * EUR
    assert sale(listed, first, announced).net_micros == 96 * EUR
    assert sale(taken_back, announced, listed, first).net_micros == 100 * EUR


def test_the_customer_is_counted_by_the_strongest_contact() -> None:
    full = sale(order("1", {"session_id": "s", "email": "me", "phone": "p", "customer_id": "c"}))
    assert full.customer_key == sale(order("1", {"email": "me"})).customer_key != ""
    assert sale(order("1", {"session_id": "s", "visitor_id": "v"})).customer_key == ""
    keys = {sale(order("1", {kind: "7"})).customer_key for kind in ("email", "phone", "customer_id")}
    assert len(keys) == 3
