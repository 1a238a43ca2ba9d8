"""How long a follower rests between groups: so that groups are worth their transaction."""

from services.chassis.groups import MOST_ENTRIES

CLOSELY = 0.04
"""Seconds between two batches of a log that figures wait for: fewer batches cost less, and come sooner for it."""
LOOSELY = 0.1
"""The same for a log that figures can do without for a moment."""

_FEW_ENTRIES = 20
_LONGEST_REST = 0.2


def rest_after(entries: int, worked: float) -> float:
    """Seconds to rest after a group that took `worked` seconds.

    An entry costs a third less among five hundred than among fifty. So where little comes the rest is as long as the
    work, and where much comes it is longer, until groups are large; who is far behind finds them full, and goes on at
    once.
    """
    return 0.0 if entries >= MOST_ENTRIES else min(worked * max(1.0, entries / _FEW_ENTRIES), _LONGEST_REST)
