"""Waiting for what is true in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


class NotYet(Exception):
    """What was waited for did not come."""


class Hopeless(Exception):
    """Raised by a condition: it will never be true."""


def until(what: str, condition: Callable[[], Found], patience: float = 60.0, pause: float = 0.1) -> Found:
    """Returns the first true value of `condition`; what it raises counts as not yet, and is told in the end."""
    deadline = time.monotonic() + patience
    while True:
        trouble = ""
        try:
            found = condition()
            if found:
                return found
        except Hopeless:
            raise
        except Exception as error:
            trouble = f": {error}"
        if time.monotonic() > deadline:
            raise NotYet(f"after {patience:.0f} s still not: {what}{trouble}")
        time.sleep(pause)
