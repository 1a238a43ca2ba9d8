"""Forgets what is kept for a time only."""

import asyncio
import logging
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis.database import is_transient
from services.ingest.store.parked import forget_expired

_FORGET_SECONDS = 600.0

_log = logging.getLogger(__name__)


async def forget_for_ever(engine: AsyncEngine) -> None:
    """Deletes parked deliveries whose time is over, now and every ten minutes."""
    while True:
        try:
            while await forget_expired(engine, now=datetime.now(UTC)):
                pass
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("expired deliveries are deleted later: the database is away")
        await asyncio.sleep(_FORGET_SECONDS)
