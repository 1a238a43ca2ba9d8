"""What is counted before its moment has come, and taken off until then."""

from typing import NamedTuple

from services.reporting.domain.cells import ActivityCell


class Pending(NamedTuple):
    """What a cell of activity counts too early: not to be counted before a moment, in nanoseconds since 1970.

    A cell's day is that of the moment, so nothing needs to happen when it comes: reports take off what is not due when
    they are asked.
    """

    cell: ActivityCell
    amount: int
    due_nanos: int
