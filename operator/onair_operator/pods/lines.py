"""The lines of `GET /v1/events`, from chunks as they arrive, to events. Pure.

A pod is not trusted, it takes bytes from anybody. Whatever it sends costs a bounded amount of memory, and what comes
out here is what a journal can say: in rising order, with numbers that a cursor can have and times that are dates.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from onair_core.contract import Cursor, JournalEvent

# The asset events of a broadcast that was interrupted 10 000 times (`DISCONTINUITIES_PER_EPOCH`) have 450 KiB.
LONGEST_LINE = 1024 * 1024
# An honest pod sends an empty line at its beginning, and one every `SIGN_OF_LIFE_SECONDS` without events.
EMPTY_LINES_AT_ONCE = 20
EMPTY_LINES_PER_SECOND = 1.0

_HIGHEST_NUMBER = 9_999_999_999  # what `Cursor.parse` takes
_LAST_MOMENT = 253_402_300_799.0  # 9999-12-31

_decoder = msgspec.json.Decoder(JournalEvent)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that came together, oldest first. `size`: bytes of their lines."""

    events: tuple[JournalEvent, ...]
    size: int

    @property
    def newest(self) -> Cursor:
        """Of a batch with events."""
        return position(self.events[-1])


NOTHING = Batch((), 0)


def position(event: JournalEvent) -> Cursor:
    return Cursor(event.epoch, event.n)


class EventLines:
    """Give it chunks, take batches. `began` and `now` are seconds of one clock."""

    __slots__ = ("_began", "_empty", "_longest", "_position", "_rest")

    def __init__(self, after: Cursor, began: float, longest: int = LONGEST_LINE) -> None:
        self._position = after
        self._began = began
        self._longest = longest
        self._rest = bytearray()
        self._empty = 0

    def feed(self, chunk: bytes, now: float) -> Batch | None:
        """What whole lines brought, possibly nothing (a sign of life); None while there is no whole line.

        Raises `ValueError` for what no journal says; after that, this object is of no use.
        """
        first, *others = chunk.split(b"\n")
        self._rest += first
        if len(self._rest) > self._longest:
            raise ValueError(f"a line of more than {self._longest} bytes")
        if not others:
            return None
        lines = [bytes(self._rest), *others]
        self._rest = bytearray(lines.pop())
        if len(self._rest) > self._longest:
            raise ValueError(f"a line of more than {self._longest} bytes")
        told = [line for line in lines if line]
        self._empty += len(lines) - len(told)
        if self._empty > EMPTY_LINES_AT_ONCE + (now - self._began) * EMPTY_LINES_PER_SECOND:
            raise ValueError("more empty lines than signs of life need")
        if not told:
            return NOTHING
        return Batch(tuple(map(self._event, told)), sum(map(len, told)))

    def _event(self, line: bytes) -> JournalEvent:
        try:
            event = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"a line that is no event: {error}") from None
        at = position(event)
        if not (0 <= at.epoch <= _HIGHEST_NUMBER and 0 <= at.n <= _HIGHEST_NUMBER and 0 <= event.at <= _LAST_MOMENT):
            raise ValueError("an event with numbers that no journal has")
        if at <= self._position:
            raise ValueError(f"event {at} after {self._position}")
        self._position = at
        return event
