"""What is looked at in WooCommerce's deliveries: its objects, by the names of its REST API's resources."""

from msgspec import UNSET

from gateway.web.webhooks.shapes import NOT_TOLD, Foreign, Gone, Shape, Told


class Meta(Shape):
    """What plugins note on an order."""

    key: Told = None
    value: Told = None


class Address(Shape):
    """Where an order is billed to."""

    email: Told = None
    phone: Told = None
    country: Told = None


class Fee(Shape):
    """A fee of an order, in its currency."""

    total: Told = None


class Line(Shape):
    """A line of an order; its amounts are the whole line's, after discounts."""

    id: Told = None
    product_id: Told = None
    variation_id: Told = None
    sku: Told = None
    name: Told = None
    quantity: Told = None
    total: Told = None
    total_tax: Told = None


class Refund(Shape):
    """A refund within its order; the amount is below zero."""

    id: Told = None
    total: Told = None


class Order(Shape):
    """An order."""

    line_items: list[Line] | None
    id: Told = None
    number: Told = None
    date_created_gmt: Told = None
    date_modified_gmt: Told = None
    status: Told = None
    currency: Told = None
    total: Told = None
    total_tax: Told = None
    shipping_total: Told = None
    customer_id: Told = None
    billing: Address | Gone = None
    meta_data: list[Meta] | None = None
    fee_lines: list[Fee] | None = None
    refunds: list[Refund] | None = None


class Bare(Shape):
    """The notice of what happened to an order: its id alone."""

    line_items: Foreign = NOT_TOLD
    name: Foreign = NOT_TOLD
    id: Told = None


class Restored(Shape):
    """The notice that an order is back: some shops tell the whole of it, others its id alone."""

    line_items: Told = UNSET


class Product(Shape):
    """A product, or a variation of one, or the notice that it is gone: its id alone."""

    line_items: Foreign = NOT_TOLD
    id: Told = None
    type: Told = None
    parent_id: Told = None
    sku: Told = None
    name: Told = None
    total_sales: Told = None
    date_created_gmt: Told = None
    date_modified_gmt: Told = None
