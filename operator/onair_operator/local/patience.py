"""A disk that is full is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from onair_operator.local.faults import disk_refuses

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


async def insist(turn: Callable[[], Awaitable[None]]) -> None:
    """Takes a turn again until the disk takes what it writes; a turn that is repeated must come to the same.

    Meanwhile live streams go on, and nothing is told that is not kept. Raises `OSError` for what time does not mend.
    """
    failed = False
    while True:
        try:
            await turn()
        except OSError as error:
            if not disk_refuses(error):
                raise
            if not failed:
                log.error("state not written, trying again", problem=error.strerror or str(error), file=error.filename)
            failed = True
            await asyncio.sleep(RETRY_SECONDS)
            continue
        if failed:
            log.info("state written again")
        return
