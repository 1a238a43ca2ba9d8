"""What is kept of identifiers: all of one stands side by side in one index, whichever of it is looked for."""

from enum import IntEnum


class What(IntEnum):
    """What a row of `mention` says of its identifier; as many as the lowest bits of the index's number hold."""

    STANDING = 0
    """Who it belongs to, and whether it names nobody: one row at most."""
    ORDER = 1
    """An order has it in its newest state; `id` is the order's, and `micros` when it was placed."""
    EVENT = 2
    """A touch, a step or a product seen has it; `id` is the event's, and `micros` when it happened."""
    CONVERSATION = 3
    """An event of a conversation has it; `id` is the conversation's."""


_BITS = 2
_HASH = f"& {-(1 << _BITS)}"


def _number(tenant: str, identifier: str, what: str) -> str:
    """By which rows are found: a hash of a tenant's identifier, and what they say in its lowest bits."""
    seed = f"hashtextextended({tenant}tenant_id, {identifier}kind)"
    return f"(hashtextextended({identifier}value, {seed}) {_HASH} | {what})"


# One page of it has all of an identifier, where an index for each would have one of very many each: who comes for the
# first time, as most do, changes one page instead of four, and it is in the processor's memory when it is asked next.
INDEX = f"CREATE INDEX mention_by_identifier ON mention ({_number('', '', 'what')}, micros)"


def is_of(row: str, what: What, identifier: str, tenant: str) -> str:
    """A row of `mention` says this of an identifier: said so that the index is used, and that no hash is enough."""
    return f"""{row}.tenant_id = {tenant}.tenant_id
               AND {_number(f"{row}.", f"{row}.", f"{row}.what")} = {_number(f"{tenant}.", f"{identifier}.", f"{what:d}")}
               AND {row}.kind = {identifier}.kind AND {row}.value = {identifier}.value"""
