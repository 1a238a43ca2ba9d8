"""What reporting does in the background, done until nothing is left."""

from sqlalchemy.ext.asyncio import AsyncEngine

from services.reporting import background
from services.reporting.store import tenants, waiting

TABLES = (
    "coming_activity_cell",
    "coming_activity_fact",
    "coming_counting",
    "exchange_rate",
    "exchange_rate_told",
    "foreign_order",
    "rate_waiting",
)
"""What it keeps beside the cells."""

_WORK = (
    (tenants.coming, background.count_some),
    (waiting.partitions, background.convert_some),
    (tenants.outdated, background.clear_some),
)


async def settle(engine: AsyncEngine) -> None:
    """Counts and converts anew what waits for it, and clears what is in no figure any more."""
    for waits, page in _WORK:
        while True:
            async with engine.begin() as connection:
                partitions = await waits(connection)
                for partition in partitions:
                    assert await page(connection, partition) == ()
            if not partitions:
                break
