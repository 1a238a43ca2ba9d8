"""What is looked at in Shopify's deliveries: its objects, by the names of its Admin API's REST resources."""

from gateway.web.webhooks.shapes import NOT_TOLD, Foreign, Gone, Shape, Told


class Money(Shape):
    """An amount as a decimal string, and its currency's ISO code."""

    amount: Told = None
    currency_code: Told = None


class MoneySet(Shape):
    """An amount in the shop's currency, and in the one that the shopper was shown."""

    shop_money: Money | Gone = None
    presentment_money: Money | Gone = None


class ShopMoney(Shape):
    """An amount in the shop's currency."""

    amount: Told = None


class ShopMoneySet(Shape):
    """A `MoneySet` of which only the shop's side is looked at."""

    shop_money: ShopMoney | Gone = None


class Taxed(Shape):
    """A tax line of what was sold or shipped."""

    price: Told = None
    price_set: ShopMoneySet | Gone = None


class Discount(Shape):
    """What of a discount falls to a line."""

    amount: Told = None
    amount_set: ShopMoneySet | Gone = None


class Line(Shape):
    """A line of an order. `quantity` is what was ever bought on it."""

    id: Told = None
    product_id: Told = None
    variant_id: Told = None
    sku: Told = None
    name: Told = None
    title: Told = None
    quantity: Told = None
    price: Told = None
    price_set: ShopMoneySet | Gone = None
    discount_allocations: list[Discount] | None = None
    tax_lines: list[Taxed] | None = None


class Shipping(Shape):
    """A shipping line of an order."""

    tax_lines: list[Taxed] | None = None


class Transaction(Shape):
    """Money that moved, or was to move, for a refund. `currency` is the shopper's."""

    kind: Told = None
    status: Told = None
    amount: Told = None
    amount_set: ShopMoneySet | Gone = None
    currency: Told = None


class RefundLine(Shape):
    """Units of an order's line that a refund takes back. The plain amounts are JSON's floats."""

    line_item_id: Told = None
    quantity: Told = None
    subtotal: Told = None
    subtotal_set: MoneySet | Gone = None
    total_tax: Told = None
    total_tax_set: ShopMoneySet | Gone = None


class Adjustment(Shape):
    """What a refund gives beside its lines; below zero where the shopper gets it."""

    kind: Told = None
    amount: Told = None
    amount_set: ShopMoneySet | Gone = None
    tax_amount: Told = None
    tax_amount_set: ShopMoneySet | Gone = None


class Refund(Shape):
    """A refund of an order."""

    id: Told = None
    created_at: Told = None
    processed_at: Told = None
    transactions: list[Transaction] | None = None
    refund_line_items: list[RefundLine] | None = None
    order_adjustments: list[Adjustment] | None = None


class AnnouncedRefund(Refund, kw_only=True):
    """A refund by itself."""

    order_id: Told
    line_items: Foreign = NOT_TOLD


class Note(Shape):
    """An attribute of the cart that an order was made of."""

    name: Told = None
    value: Told = None


class Customer(Shape):
    """Who placed an order, where the shop knows."""

    id: Told = None
    email: Told = None
    phone: Told = None


class Address(Shape):
    """Where an order is billed to."""

    phone: Told = None
    country_code: Told = None


class Order(Shape):
    """An order."""

    line_items: list[Line] | None
    order_id: Foreign = NOT_TOLD
    id: Told = None
    name: Told = None
    created_at: Told = None
    updated_at: Told = None
    cancelled_at: Told = None
    test: Told = None
    taxes_included: Told = None
    currency: Told = None
    financial_status: Told = None
    email: Told = None
    contact_email: Told = None
    phone: Told = None
    customer: Customer | Gone = None
    billing_address: Address | Gone = None
    note_attributes: list[Note] | None = None
    total_price: Told = None
    total_price_set: MoneySet | Gone = None
    current_total_price: Told = None
    current_total_price_set: ShopMoneySet | Gone = None
    total_tax: Told = None
    total_tax_set: ShopMoneySet | Gone = None
    total_shipping_price: Told = None
    total_shipping_price_set: ShopMoneySet | Gone = None
    original_total_duties: Told = None
    original_total_duties_set: ShopMoneySet | Gone = None
    original_total_additional_fees: Told = None
    original_total_additional_fees_set: ShopMoneySet | Gone = None
    shipping_lines: list[Shipping] | None = None
    refunds: list[Refund] | None = None


class Variant(Shape):
    """A variant of a product."""

    id: Told = None
    sku: Told = None
    title: Told = None


class Product(Shape):
    """A product."""

    line_items: Foreign = NOT_TOLD
    order_id: Foreign = NOT_TOLD
    id: Told = None
    title: Told = None
    created_at: Told = None
    updated_at: Told = None
    variants: list[Variant] | None = None


class Deleted(Shape):
    """The notice that an order or a product is gone."""

    line_items: Foreign = NOT_TOLD
    title: Foreign = NOT_TOLD
    id: Told = None


class DataRequest(Shape):
    """A customer asks what is held."""

    customer: Customer | Gone
    orders_requested: Told


class RedactRequest(Shape):
    """A customer is to be forgotten."""

    customer: Customer | Gone
    orders_to_redact: Told
