"""The keyed work queue: runs one `work(key)` for each key at a time, several keys at once. `schedule` has the rules.

Everybody may `add` a key at any time, from the loop's thread; the work looks at the state of the world and not at what
was added (it is level-triggered), so that any number of events in between cost one run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Generic

import structlog
from prometheus_client import REGISTRY, CollectorRegistry

from onair_core.backoff import Backoff
from onair_core.kube.errors import ApiError, Conflict, KubeError
from onair_operator.queue_metrics import QueueMetrics
from onair_operator.schedule import BACKOFF, K, Schedule

_log = structlog.get_logger(__name__)

# What a reconcile may take, with every request at its time limit, before somebody should look.
STUCK_SECONDS = 300.0


class WorkQueue(Generic[K]):
    """`work(key)` returns the seconds after which it wants to run again, or None; what it raises is tried again.

    A running `work` is cancelled only by the end of a graceful stop.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[float | None]],
        *,
        name: str,
        workers: int = 10,
        backoff: Backoff = BACKOFF,
        stuck_after: float = STUCK_SECONDS,
        chance: Callable[[], float] = random.random,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._work = work
        self._name = name
        self._workers = workers
        self._stuck_after = stuck_after
        self._chance = chance
        self._schedule: Schedule[K] = Schedule(backoff)
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        self._metrics = QueueMetrics(
            name,
            depth=lambda: self._schedule.depth(self._now()),
            longest=lambda: max(self._running().values(), default=0.0),
            unfinished=lambda: sum(self._running().values()),
            registry=registry,
        )

    def add(self, key: K, after: float = 0.0) -> None:
        """`key` is worked on, in `after` seconds or before; if it is being worked on, once more afterwards."""
        self._metrics.adds.inc()
        self._schedule.add(key, self._now() + after)
        self._wake.set()

    async def run(self) -> None:
        """Works until `stop`; cancelled, it cancels what runs."""
        try:
            while not self._stopping:
                self._wake.clear()
                self._start_what_is_due()
                await self._something_new()
        except asyncio.CancelledError:
            await self._cancel()
            raise

    async def stop(self, grace: float) -> None:
        """Begins nothing more, waits up to `grace` seconds for what runs, then cancels that."""
        self._stopping = True
        self._wake.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        await self._cancel()

    def is_stuck(self) -> str | None:
        """Why /healthz should fail: work that does not end, or that nobody begins. None: all is well."""
        for key, seconds in self._running().items():
            if seconds > self._stuck_after:
                return f"{self._name}: {key} has been worked on for {seconds:.0f} s"
        overdue = self._schedule.overdue(self._now())
        if overdue > self._stuck_after:
            return f"{self._name}: a key has waited for a worker for {overdue:.0f} s"
        return None

    def _start_what_is_due(self) -> None:
        while len(self._tasks) < self._workers and (taken := self._schedule.take(self._now())):
            key, waited = taken
            self._metrics.waited.observe(waited)
            task = asyncio.create_task(self._run(key), name=f"{self._name} {key}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _something_new(self) -> None:
        """A key was added, a worker is free, or a key has become due while one is."""
        due = self._schedule.next_due() if len(self._tasks) < self._workers else None
        try:
            async with asyncio.timeout_at(due):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _run(self, key: K) -> None:
        began = self._now()
        try:
            again_after = await self._work(key)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(key, error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._schedule.done(key, self._now(), again_after)
        finally:
            self._metrics.worked.observe(self._now() - began)

    def _failed(self, key: K, error: BaseException) -> None:
        at_least = (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0
        delay = self._schedule.failed(key, self._now(), self._chance(), at_least)
        self._metrics.retries.inc()
        told = {"queue": self._name, "key": str(key), "again_in": round(delay, 1)}
        if isinstance(error, Conflict):
            _log.info("somebody else was faster", error=str(error), **told)
        elif isinstance(error, KubeError):
            _log.warning("the API server is in the way", error=str(error), **told)
        elif isinstance(error, Exception):
            _log.error("work failed", exc_info=error, **told)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

    async def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _running(self) -> dict[K, float]:
        return self._schedule.running(self._now())

    def _now(self) -> float:
        return self._loop.time()
