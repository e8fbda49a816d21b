"""An endpoint as the deliverer knows it, and how it fares: put together from its cursors in all logs, and from
the outcomes of tries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from onair_operator.eventlog import Cursor, Entry, Subject
from onair_operator.webhooks import metrics
from onair_operator.webhooks.attempt import Delivered, GivenUp, Verdict, Work
from onair_operator.webhooks.endpoint import Endpoint, EndpointStatus, Failure
from onair_operator.webhooks.outbound import Outcome

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Known:
    """`slots` bounds the tries at it that run at once. `on_status` is called with its UID when `status` changed.

    It is failing while there is a subject whose events fail: another subject's success does not hide that.
    """

    endpoint: Endpoint
    slots: asyncio.Semaphore
    on_status: Callable[[str], None]
    status: EndpointStatus = field(default_factory=EndpointStatus)
    _pending: dict[str, int] = field(default_factory=dict)  # by subject UID
    _failing: dict[str, int] = field(default_factory=dict)  # tries since the last success, by subject UID

    def saw(self, uid: str, cursor: Cursor, work: Work | None) -> None:
        """What a subject's log says; `work` None: nothing waits there."""
        if not cursor.failures:
            self._failing.pop(uid, None)
        elif work is not None:
            self._failing[uid] = cursor.failures
        last_failure = self.status.last_failure
        if cursor.attempts and last_failure is None:  # the last process's
            last = cursor.attempts[-1]
            last_failure = Failure(at=last.at, code=last.status, problem=last.problem, excerpt=last.body)
        self._count(uid, len(work.waiting) if work else 0)
        self._show(replace(self.status, last_failure=last_failure))

    def lost(self, uid: str) -> None:
        """There is no log of this subject any more."""
        self._failing.pop(uid, None)
        self._count(uid, 0)
        self._show(self.status)

    def tried(self, subject: Subject, entry: Entry, outcome: Outcome, verdict: Verdict, at: float) -> None:
        """What came of a try."""
        if isinstance(verdict, Delivered):
            metrics.DELAY.observe(max(at - entry.at, 0))
            # The endpoint works: what failed where nothing waits any more cannot prove it, and need not.
            self._failing = {uid: n for uid, n in self._failing.items() if uid != subject.uid and uid in self._pending}
            self._show(replace(self.status, last_success_at=at))
            return
        about = _log.bind(
            endpoint=f"{self.endpoint.namespace}/{self.endpoint.name}",
            subject=str(subject),
            type=entry.type.value,
            id=entry.id,
            problem=outcome.problem,
        )
        if isinstance(verdict, GivenUp):
            count = len(verdict.entries)
            metrics.EXPIRED.labels(self.endpoint.namespace, self.endpoint.name).inc(count)
            about.warning("webhooks given up", events=count)
        else:
            about.debug("webhook not delivered, will be tried again")
        self._failing[subject.uid] = self._failing.get(subject.uid, 0) + 1
        failure = Failure(at=at, code=outcome.status, problem=outcome.problem, excerpt=outcome.excerpt)
        self._show(replace(self.status, last_failure=failure))

    def _count(self, uid: str, pending: int) -> None:
        self._pending.pop(uid, None)
        if pending:
            self._pending[uid] = pending

    def _show(self, status: EndpointStatus) -> None:
        status = replace(status, pending=sum(self._pending.values()), failures=sum(self._failing.values()))
        if status != self.status:
            self.status = status
            metrics.PENDING.labels(self.endpoint.namespace, self.endpoint.name).set(status.pending)
            self.on_status(self.endpoint.uid)
