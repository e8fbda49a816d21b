"""Which key is worked on next: the rules of the work queue, without tasks or a clock. Pure.

As in client-go's workqueue:

* A key waits once, however often it is added; the earliest time that was asked for counts.
* A key that is being worked on is not handed out again before that has ended; one added meanwhile waits then.
* A key that failed waits ever longer (per key, up to a limit) until it succeeds; an `add` brings it forward, since what
  made it fail may have changed.

Times are in seconds on one clock that never goes back.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

from onair_core.backoff import Backoff

BACKOFF = Backoff(first=0.5, longest=120.0)

K = TypeVar("K", bound=Hashable)


class Schedule(Generic[K]):
    """Its size is that of the keys in it, however often they are added."""

    def __init__(self, backoff: Backoff = BACKOFF) -> None:
        self._backoff = backoff
        self._due: dict[K, float] = {}  # waiting
        self._order: list[tuple[float, int, K]] = []  # a heap of `_due`; entries that disagree with it are passed over
        self._arrivals = count()
        self._began: dict[K, float] = {}  # being worked on
        self._again: dict[K, float] = {}  # added meanwhile
        self._failures: dict[K, int] = {}

    def add(self, key: K, due: float) -> None:
        """Somebody wants `key` worked on at `due`, or as soon as can be when that has passed."""
        if key in self._began:
            self._again[key] = min(self._again.get(key, due), due)
            return
        if (known := self._due.get(key)) is not None and known <= due:
            return
        self._due[key] = due
        heapq.heappush(self._order, (due, next(self._arrivals), key))
        if len(self._order) > 2 * len(self._due) + 64:
            self._order = [entry for entry in self._order if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._order)

    def take(self, now: float) -> tuple[K, float] | None:
        """The key that has been due for longest, and for how long; it has begun. None: `next_due` says when."""
        due = self.next_due()
        if due is None or due > now:
            return None
        _, _, key = heapq.heappop(self._order)
        del self._due[key]
        self._began[key] = now
        return key, now - due

    def done(self, key: K, now: float, again_after: float | None = None) -> None:
        """The work on `key` has ended well; `again_after` seconds it is wanted again."""
        self._failures.pop(key, None)
        self._ended(key, None if again_after is None else now + again_after)

    def failed(self, key: K, now: float, random: float, at_least: float = 0.0) -> float:
        """The work on `key` has failed; at the latest it comes again after the seconds that are returned."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(self._backoff.delay(self._failures[key], random), at_least)
        self._ended(key, now + delay)
        return delay

    def _ended(self, key: K, wanted: float | None) -> None:
        del self._began[key]
        for due in (self._again.pop(key, None), wanted):
            if due is not None:
                self.add(key, due)

    def next_due(self) -> float | None:
        """When the next key comes; None: none waits."""
        while self._order and self._due.get(self._order[0][2]) != self._order[0][0]:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else None

    def depth(self, now: float) -> int:
        """How many keys could be worked on now and wait for a worker."""
        return sum(due <= now for due in self._due.values())

    def overdue(self, now: float) -> float:
        """For how many seconds the first of them has waited; 0.0 when none does."""
        due = self.next_due()
        return 0.0 if due is None else max(now - due, 0.0)

    def running(self, now: float) -> dict[K, float]:
        """For how many seconds each key has been worked on."""
        return {key: now - began for key, began in self._began.items()}
