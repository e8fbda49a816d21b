"""What aiohttp reports of requests that went wrong."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

_LOGGER = "onair.http"


class _DefectsOnly(logging.Filter):
    """Anyone can send garbage, a thousand times a second: that is no error of this server."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def request_logger() -> logging.Logger:
    """For `AppRunner(logger=…)`: defects with their traceback, and not a word about malformed requests."""
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(each, _DefectsOnly) for each in logger.filters):
        logger.addFilter(_DefectsOnly())
    return logger
