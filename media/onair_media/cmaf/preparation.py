"""Making an init segment takes a decoder and up to a second, for the largest pictures: who packages says where.

By default it is made where it is needed. A server has it made in a thread, and holds the publisher until it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from onair_media.cmaf.init import Init


class Preparation(Protocol):
    """An init segment that is being made; `concurrent.futures.Future` is one."""

    def done(self) -> bool: ...
    def result(self) -> Init:
        """Raises `InitError`."""


Prepare = Callable[[Callable[[], Init]], Preparation]


class WhenNeeded:
    """Made by whoever asks for the result."""

    def __init__(self, make: Callable[[], Init]) -> None:
        self._make = make

    def done(self) -> bool:
        return True

    def result(self) -> Init:
        return self._make()
