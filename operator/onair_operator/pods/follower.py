"""One ingest pod's events, read for as long as it is there.

What is read stays here until it is `taken`: until it is in the stream's EventLog. A connection that ends is made anew,
from behind the newest event that was read, ever later while that brings nothing. Nothing is lost or read twice: the pod
keeps its journal until it is told otherwise (`PodConfig.taken`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from random import random

import structlog

from onair_core.backoff import Backoff
from onair_core.contract import Cursor, JournalEvent
from onair_operator.pods import metrics
from onair_operator.pods.client import PodClient
from onair_operator.pods.errors import PodError, PodNonsense, PodRefused, PodUnreachable
from onair_operator.pods.lines import Batch, position

_log = structlog.get_logger(__name__)

# Why a connection ended, as `metrics.ENDED` counts it.
ENDED, UNREACHABLE, REFUSED, NONSENSE, DEFECT = "ended", "unreachable", "refused", "nonsense", "defect"


BACKOFF = Backoff(0.2, 10.0)


@dataclass(frozen=True, slots=True)
class Habits:
    """How followers read.

    With `most_events` or `most_bytes` read and not taken, a follower pauses; the pod keeps the rest. `lasting`: a
    connection of so many seconds was a good one.
    """

    most_events: int = 1000
    most_bytes: int = 1024 * 1024
    backoff: Backoff = BACKOFF
    lasting: float = 10.0


HABITS = Habits()


class Follower:
    """Run `run` as a task; everything else may be called at any time.

    `name` is for the log, `gate` bounds how many connections are being made at once, `on_news` is called when there are
    events, when the connection has begun or ended, and when none can be had any more.
    """

    def __init__(
        self,
        name: str,
        client: PodClient,
        after: Cursor,
        *,
        gate: asyncio.Semaphore,
        habits: Habits,
        on_news: Callable[[], None],
    ) -> None:
        self.client = client
        self.connected = False
        self.applied: str | None = None
        """The hash of the configuration in force; None: not known, as nobody is connected."""
        self.trouble: str | None = None
        """Why nobody is connected; None: nothing is wrong, or not yet."""
        self._name = name
        self._gate = gate
        self._habits = habits
        self._on_news = on_news
        self._read: list[Batch] = []
        self._newest = after  # read, or taken
        self._taken = after
        self._events = 0
        self._bytes = 0
        self._room: asyncio.Future[None] | None = None
        self._told: str | None = None
        self._good = False  # this connection brought something, or lasted

    def pending(self) -> tuple[JournalEvent, ...]:
        return tuple(chain.from_iterable(batch.events for batch in self._read))

    def taken(self, upto: Cursor) -> None:
        """What came up to there is in the EventLog."""
        if upto <= self._taken:
            return
        self._taken = upto
        self._newest = max(self._newest, upto)
        kept = []
        for batch in self._read:
            left = tuple(event for event in batch.events if position(event) > upto)
            if left:
                kept.append(Batch(left, batch.size))
        self._hold(kept)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def run(self) -> None:
        """Follows, until it is cancelled."""
        failures = 0
        while True:
            self._good = False
            reason = await self._connection()
            metrics.ENDED.labels(reason).inc()
            if self._good and reason not in (NONSENSE, DEFECT):
                failures, self._told = 0, None
            failures += 1
            await asyncio.sleep(self._habits.backoff.delay(failures, random()))  # noqa: S311 - spreads load

    async def _connection(self) -> str:
        """One, from its beginning to its end; says why it ended."""
        try:
            await self._follow()
        except PodError as error:
            self._trouble(str(error))
            self._tell(error)
            return _reason(error)
        except Exception:  # one pod's follower must not end with what nobody thought of
            _log.exception("following failed", pod=self._name)
            self._trouble("a defect of the operator; its log has it")
            return DEFECT
        return ENDED

    def _trouble(self, said: str) -> None:
        is_new = self.trouble is None
        self.trouble = said
        if is_new:
            self._on_news()

    async def _follow(self) -> None:
        async with self._gate:
            stream = await self.client.events(self._newest)
        with stream:
            since = asyncio.get_running_loop().time()
            self._connect(stream.config_hash)
            try:
                async for batch in stream:
                    self._take_in(batch)
                    while self._is_full():
                        self._room = asyncio.get_running_loop().create_future()
                        await self._room
            finally:
                self._disconnected(since)

    def _connect(self, config_hash: str | None) -> None:
        metrics.CONNECTED.inc()
        self.connected, self.applied, self.trouble = True, config_hash, None
        self._on_news()

    def _disconnected(self, since: float) -> None:
        metrics.CONNECTED.dec()
        self.connected, self.applied = False, None
        self._good |= asyncio.get_running_loop().time() - since >= self._habits.lasting
        self._on_news()

    def _take_in(self, batch: Batch) -> None:
        """Without what has been taken since the pod was asked."""
        events = tuple(event for event in batch.events if position(event) > self._taken)
        if not events:
            return
        self._hold([*self._read, Batch(events, batch.size)])
        self._newest = batch.newest
        self._good = True
        metrics.EVENTS.inc(len(events))
        self._on_news()

    def _hold(self, batches: list[Batch]) -> None:
        self._read = batches
        self._events = sum(len(batch.events) for batch in batches)
        self._bytes = sum(batch.size for batch in batches)

    def _is_full(self) -> bool:
        return self._events >= self._habits.most_events or self._bytes >= self._habits.most_bytes

    def _tell(self, error: PodError) -> None:
        """Each trouble once, not with every try. A pod that goes is no reason to warn."""
        said = str(error)
        if said != self._told:
            tell = _log.info if isinstance(error, PodUnreachable) else _log.warning
            tell("an ingest pod cannot be followed, trying again", pod=self._name, error=said)
        self._told = said


def _reason(error: PodError) -> str:
    if isinstance(error, PodRefused):
        return REFUSED
    return NONSENSE if isinstance(error, PodNonsense) else UNREACHABLE
