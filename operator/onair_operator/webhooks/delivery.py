"""Delivers event logs to webhook endpoints: in order per log and endpoint, at least once, for 24 hours.

One worker task per log and endpoint while something waits there: an endpoint that fails holds up its own
events of that subject, and nothing else. What was delivered and what failed is in the log itself before the
next try, so a new process goes on where this one stopped, and repeats at most the deliveries whose outcome it
could not store (same id).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Set
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TypeVar

import structlog
from aiohttp.abc import AbstractResolver

from onair_operator.eventlog import (
    Cursor,
    Entry,
    EventLog,
    EventLogStore,
    Subject,
    outbox,
    update_existing,
)
from onair_operator.webhooks import metrics, payload
from onair_operator.webhooks.attempt import (
    Delivered,
    GivenUp,
    Nothing,
    Verdict,
    Work,
    judge,
    next_work,
    record,
)
from onair_operator.webhooks.endpoint import Endpoint, EndpointStatus, Failure
from onair_operator.webhooks.outbound import Outcome, Sender
from onair_operator.webhooks.policy import OutboundPolicy
from onair_operator.webhooks.settings import Clock, DeliverySettings, SystemClock
from onair_operator.webhooks.signature import HEADERS, sign

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)

# Entries that an endpoint does not want are not worth a write of their own, until there are this many.
SKIPS_PER_WRITE = 32
# Trimming is not either, until a log holds this many entries more than it keeps.
TRIM_SLACK = 50
_STORE_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Look:
    """A task that looks at a log. What comes while it does is left here, and it looks once more."""

    task: asyncio.Task[None] | None = None
    again: bool = True
    resumed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Worker:
    """A running delivery task. `nap` is its wait for the next try; `stale` says that it must not wait any longer."""

    task: asyncio.Task[None] | None = None
    nap: asyncio.Task[None] | None = None
    stale: bool = False

    def look_again(self) -> None:
        """What it may have read of the log, and the wait that came of it, no longer hold."""
        self.stale = True
        if self.nap is not None:
            self.nap.cancel()


@dataclass(slots=True)
class _Known:
    """An endpoint with what belongs to it here."""

    endpoint: Endpoint
    slots: asyncio.Semaphore
    status: EndpointStatus = field(default_factory=EndpointStatus)
    pending: dict[str, int] = field(default_factory=dict)  # by subject UID


class Deliverer:
    """The webhook deliverer of one process; there must be only one for a store at a time.

    `start` it in a running event loop with all endpoints, keep those up to date with `set_endpoints`, and
    `wake` it with a subject's UID after each `eventlog.update`. `on_status` is called, on the event loop,
    with an endpoint's UID when `status` of it changed.
    """

    def __init__(
        self,
        store: EventLogStore,
        *,
        policy: OutboundPolicy,
        environment: payload.Environment,
        settings: DeliverySettings | None = None,
        on_status: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        resolver: AbstractResolver | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._policy = policy
        self._environment = environment
        self._settings = settings = settings or DeliverySettings()
        self._on_status = on_status or (lambda _: None)
        self._clock = clock or SystemClock()
        self._resolver = resolver
        self._random = random
        self._max_attempts = settings.schedule.max_attempts
        self._user_agent = f"OnAir/{version('onair')}"
        self._sender: Sender | None = None
        self._overall = asyncio.Semaphore(settings.overall)
        self._known: dict[str, _Known] = {}
        self._looks: dict[str, _Look] = {}  # by subject UID
        self._workers: dict[tuple[str, str], _Worker] = {}  # by subject UID, endpoint UID
        self._stopping = False

    async def start(self, endpoints: Iterable[Endpoint]) -> None:
        """Takes up everything that waits in the store. `endpoints` as in `set_endpoints`."""
        self._sender = Sender(self._policy, timeout=self._settings.timeout, resolver=self._resolver)
        self._take(endpoints)
        await self._wake_all()

    async def stop(self, grace: float = 6.0) -> None:
        """Begins no new try, gives those under way `grace` seconds, then cuts them; they will be repeated."""
        self._stopping = True
        for worker in self._workers.values():
            worker.look_again()
        tasks = self._tasks()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._sender is not None:
            await self._sender.close()

    async def set_endpoints(self, endpoints: Iterable[Endpoint]) -> None:
        """All endpoints there are, level-triggered. One that is missing is gone: its cursors are dropped.

        One that was changed or resumed is tried again at once.
        """
        before = {uid: known.endpoint for uid, known in self._known.items()}
        self._take(endpoints)
        after = {uid: known.endpoint for uid, known in self._known.items()}
        if after == before:
            return
        changed = {uid for uid in before.keys() & after.keys() if before[uid] != after[uid]}
        await self._wake_all(changed)

    def wake(self, uid: str) -> None:
        """The log of this subject has new entries, labels, or was closed."""
        if self._stopping or self._sender is None:
            return
        look = self._looks.get(uid)
        if look is not None:
            look.again = True
            return
        look = self._looks[uid] = _Look()
        look.task = asyncio.get_running_loop().create_task(self._look(uid, look))

    def status(self, endpoint_uid: str) -> EndpointStatus:
        """How the endpoint fares. Raises `KeyError` when there is no such endpoint."""
        return self._known[endpoint_uid].status

    async def idle(self) -> None:
        """Returns when nothing is under way: all is delivered, suspended, or waits for its next try."""
        for _ in range(2):
            await asyncio.sleep(0)  # a nap that was just ended shows after a turn of the loop
        while busy := self._tasks() - self._napping():
            await asyncio.wait(busy, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)

    # --- looking at a log -----------------------------------------------------------------------------------

    def _take(self, endpoints: Iterable[Endpoint]) -> None:
        wanted = {endpoint.uid: endpoint for endpoint in endpoints}
        for uid in self._known.keys() - wanted.keys():
            self._forget(self._known.pop(uid))
        for uid, endpoint in wanted.items():
            if uid in self._known:
                self._known[uid].endpoint = endpoint
            else:
                self._known[uid] = _Known(endpoint, asyncio.Semaphore(self._settings.per_endpoint))

    async def _wake_all(self, resumed: Set[str] = frozenset()) -> None:
        for uid in await self._persistently(self._store.uids):
            self.wake(uid)
            if uid in self._looks:
                self._looks[uid].resumed |= resumed

    async def _look(self, uid: str, look: _Look) -> None:
        """Registers endpoints, trims, removes what is finished, and sees to it that workers run."""
        try:
            while look.again and not self._stopping:
                resumed, look.again, look.resumed = look.resumed, False, set()
                await self._look_once(uid, resumed)
        except Exception:
            _log.exception("event log cannot be delivered", uid=uid)
        finally:
            del self._looks[uid]

    async def _look_once(self, uid: str, resumed: Set[str]) -> None:
        log = await self._change(uid, lambda log: self._prepared(log, resumed))
        if log is None:
            return
        for endpoint_uid in resumed:
            if worker := self._workers.get((uid, endpoint_uid)):
                worker.look_again()
        waiting = False
        for endpoint_uid in log.cursors:
            known = self._known.get(endpoint_uid)
            if known is None:
                continue
            work = next_work(log, known.endpoint)
            self._note_pending(known, uid, work)
            if isinstance(work, Work):
                waiting = True
                self._restore_failure(known, work.cursor)
                if not known.endpoint.suspended:
                    self._ensure_worker(uid, endpoint_uid)
        if log.closed and not waiting:
            await self._persistently(lambda: self._store.delete(uid))

    def _prepared(self, log: EventLog, resumed: Set[str]) -> EventLog:
        """The log with a cursor for each endpoint of its namespace, and for none that is gone."""
        here = [k.endpoint for k in self._known.values() if k.endpoint.namespace == log.subject.namespace]
        log = outbox.only_endpoints(log, {endpoint.uid for endpoint in here})
        for endpoint in here:
            log = outbox.with_endpoint(log, endpoint.uid, endpoint.created_at)
            if endpoint.uid in resumed:
                log = outbox.retry_now(log, endpoint.uid)
            work = next_work(log, endpoint)
            if isinstance(work, Nothing) and work.lag >= SKIPS_PER_WRITE:
                log = outbox.done(log, endpoint.uid, work.skip_to, delivered=False)
        limits = self._settings.limits
        return outbox.trim(log, limits) if len(log.entries) > limits.kept + TRIM_SLACK else log

    # --- delivering -----------------------------------------------------------------------------------------

    def _ensure_worker(self, uid: str, endpoint_uid: str) -> None:
        if (uid, endpoint_uid) not in self._workers:
            worker = self._workers[uid, endpoint_uid] = _Worker()
            worker.task = asyncio.get_running_loop().create_task(self._work(uid, endpoint_uid, worker))

    async def _work(self, uid: str, endpoint_uid: str, worker: _Worker) -> None:
        broken = False
        try:
            while not self._stopping and await self._work_once(uid, endpoint_uid, worker):
                pass
        except Exception:
            broken = True  # not woken at once, or it would break again at once
            _log.exception("webhooks cannot be delivered", uid=uid, endpoint=endpoint_uid)
        finally:
            del self._workers[uid, endpoint_uid]
            if not broken:
                # Takes up what came while this ended; and only a look removes a finished log.
                asyncio.get_running_loop().call_soon(self.wake, uid)

    async def _work_once(self, uid: str, endpoint_uid: str, worker: _Worker) -> bool:
        """Delivers one entry; False when nothing waits or nothing may be delivered."""
        worker.stale = False
        stored = await self._persistently(lambda: self._store.load(uid))
        if worker.stale:
            return True
        known = self._known.get(endpoint_uid)
        if stored is None or known is None or known.endpoint.suspended:
            return False
        if endpoint_uid not in stored.log.cursors:
            return False
        work = next_work(stored.log, known.endpoint)
        self._note_pending(known, uid, work)
        if isinstance(work, Nothing):
            return False
        if await self._nap(worker, work.due):
            await self._deliver(stored.log, known, work)
        return True

    async def _nap(self, worker: _Worker, due: float) -> bool:
        """Waits until the next try is due; False when the wait was cut short because something changed."""
        seconds = due - self._clock.now()
        if seconds <= 0:
            return True
        schedule = self._settings.schedule
        # Bounded, should the wall clock have been set back in between.
        seconds = min(seconds, schedule.longest * (1 + schedule.jitter))

        async def nap() -> None:
            await self._clock.sleep(seconds)

        worker.nap = asyncio.get_running_loop().create_task(nap())
        try:
            await asyncio.wait({worker.nap})
            return not worker.nap.cancelled()
        finally:
            worker.nap.cancel()
            worker.nap = None

    async def _deliver(self, log: EventLog, known: _Known, work: Work) -> None:
        async with known.slots, self._overall:
            endpoint = known.endpoint  # after the wait for a slot it may be another
            if self._stopping or endpoint.suspended:
                return
            outcome = await self._try(log, endpoint, work)
        at = self._clock.now()
        schedule = self._settings.schedule
        verdict = judge(work, outcome, at=at, schedule=schedule, random=self._random())
        await self._change(log.subject.uid, lambda log: record(log, endpoint, work.entry, verdict))
        self._tell(known, log.subject, work.entry, outcome, verdict)

    async def _try(self, log: EventLog, endpoint: Endpoint, work: Work) -> Outcome:
        if self._sender is None:
            raise RuntimeError("the deliverer is not started")
        shown = payload.attempts_shown(work.entry, endpoint, work.cursor.attempts, self._max_attempts)
        body = payload.encode(payload.envelope(work.entry, log.subject, self._environment, shown))
        try:
            signature = sign(body, endpoint.secrets, int(self._clock.now()))
        except ValueError as error:
            return Outcome(problem=str(error), refused=True)
        headers = {
            "User-Agent": self._user_agent,
            **dict.fromkeys(HEADERS, signature),
        }
        with metrics.SECONDS.time():
            return await self._sender.post(endpoint.url, body, headers)

    # --- what others get to see -----------------------------------------------------------------------------

    def _tell(self, known: _Known, subject: Subject, entry: Entry, outcome: Outcome, verdict: Verdict) -> None:
        endpoint, at = known.endpoint, self._clock.now()
        labels = (endpoint.namespace, endpoint.name)
        result = "success" if outcome.ok else "refused" if outcome.refused else "failure"
        metrics.ATTEMPTS.labels(*labels, result).inc()
        if isinstance(verdict, Delivered):
            metrics.DELAY.observe(max(at - entry.at, 0))
            known.status = replace(known.status, last_success_at=at, failures=0)
        else:
            failure = Failure(at=at, code=outcome.status, problem=outcome.problem, excerpt=outcome.excerpt)
            known.status = replace(known.status, last_failure=failure, failures=known.status.failures + 1)
            about = _log.bind(
                endpoint=f"{endpoint.namespace}/{endpoint.name}",
                subject=str(subject),
                type=entry.type.value,
                id=entry.id,
                problem=outcome.problem,
            )
            if isinstance(verdict, GivenUp):
                metrics.EXPIRED.labels(*labels).inc()
                about.warning("webhook given up")
            else:
                about.debug("webhook not delivered, will be tried again")
        self._on_status(endpoint.uid)

    def _note_pending(self, known: _Known, uid: str, work: Work | Nothing) -> None:
        count = work.pending if isinstance(work, Work) else 0
        before = known.pending.pop(uid, 0)
        if count:
            known.pending[uid] = count
        if count != before:
            pending = known.status.pending + count - before
            known.status = replace(known.status, pending=pending)
            metrics.PENDING.labels(known.endpoint.namespace, known.endpoint.name).set(pending)
            self._on_status(known.endpoint.uid)

    def _restore_failure(self, known: _Known, cursor: Cursor) -> None:
        """After a restart the log knows what the last process saw."""
        if cursor.attempts and known.status == EndpointStatus(pending=known.status.pending):
            last = cursor.attempts[-1]
            failure = Failure(at=last.at, code=last.status, problem=last.problem, excerpt=last.body)
            known.status = replace(known.status, last_failure=failure, failures=cursor.failures)

    def _forget(self, known: _Known) -> None:
        for (_, endpoint_uid), worker in self._workers.items():
            if endpoint_uid == known.endpoint.uid and worker.task is not None:
                worker.task.cancel()
        metrics.forget(known.endpoint.namespace, known.endpoint.name)

    # --- small parts ----------------------------------------------------------------------------------------

    async def _change(self, uid: str, change: Callable[[EventLog], EventLog]) -> EventLog | None:
        return await self._persistently(
            lambda: update_existing(self._store, uid, change, limits=self._settings.limits, clock=self._clock.now)
        )

    async def _persistently(self, operation: Callable[[], Awaitable[_T]]) -> _T:
        """An outcome that is not stored would be repeated: so a full disk is waited for, not passed over."""
        while True:
            try:
                return await operation()
            except OSError as error:
                _log.error("event log not reachable, trying again", problem=error.strerror or str(error))
                await self._clock.sleep(_STORE_RETRY_SECONDS)

    def _tasks(self) -> set[asyncio.Task[None]]:
        looks = {look.task for look in self._looks.values()}
        workers = {worker.task for worker in self._workers.values()}
        return {task for task in looks | workers if task is not None}

    def _napping(self) -> set[asyncio.Task[None]]:
        return {
            worker.task
            for worker in self._workers.values()
            if worker.task is not None and worker.nap is not None and not worker.nap.done()
        }
