"""Money."""

from touchstone.type.v1 import money_pb2


def money(currency_code: str, micros: int) -> money_pb2.Money:
    """Millionths of a currency."""
    return money_pb2.Money(currency_code=currency_code, micros=micros)
