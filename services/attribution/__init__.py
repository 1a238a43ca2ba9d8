"""Attribution: which touches earned which part of which orders, and why."""
