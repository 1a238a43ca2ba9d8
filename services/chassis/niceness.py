"""Niceness: who lets others go first, where several programs share the processors of one machine."""

import os
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

_SERVER = "postgres"
_AUTOGROUP_TRIES = 10
_AUTOGROUP_PAUSE = 0.05


def set_niceness(niceness: int, pid: int) -> None:
    """Lets a process go behind others, by 0 to 19; raises OSError where we may not.

    Linux shares processors among sessions first (autogroups), where a process's own niceness doesn't count: its
    session's is set too.
    """
    os.setpriority(os.PRIO_PROCESS, pid, niceness)
    for _ in range(_AUTOGROUP_TRIES):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")
        except BlockingIOError:  # somebody else's was set within the last tenth of a second
            time.sleep(_AUTOGROUP_PAUSE)
        except OSError:  # no autogroups here
            return
        else:
            return


def share_with_server(address: str, pid: int) -> None:
    """Gives our niceness to the server process that works for us, if it is on this machine.

    What it does for one who lets others go first would else be done before them. Does nothing where that can't be.
    """
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    if niceness <= 0:
        return
    with suppress(OSError, ValueError):
        if ip_address(address).is_loopback and Path(f"/proc/{pid}/comm").read_text().strip() == _SERVER:
            set_niceness(niceness, pid)
