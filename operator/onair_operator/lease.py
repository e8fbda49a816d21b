"""Leader election over a Lease: of all replicas, one works; another takes over when it has not been heard of.

The clocks of two machines are never compared. A rival counts from when it *saw* the lease change, the holder from when
it *sent* the renewal, which was before that: so the holder knows first that its time is over. The lease is written with
its resourceVersion, so of two who try at once one fails. `decide` is pure; `Election` asks the API server.

`identity` is new with each process. The pod's name is not: a container that restarted would take itself for the holder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import structlog

from onair_core.kube.client import Client, Object
from onair_core.kube.errors import Conflict, KubeError, NotFound
from onair_core.kube.resources import LEASES

_log = structlog.get_logger(__name__)
_MANAGER = "onair-election"


class LeaseLost(Exception):
    """This replica led and may not any longer. The process should end: whoever leads now begins from the API server."""


@dataclass(frozen=True, slots=True)
class Terms:
    """In seconds. A holder that could not renew for `duration` − `margin` stops writing; others wait for `duration`.

    `margin` has to outlast what was begun before that: a webhook's 5 s, a write under way.
    """

    duration: float = 20.0
    renew_every: float = 4.0
    margin: float = 7.0

    def __post_init__(self) -> None:
        if not 0 < 2 * self.renew_every < self.duration - self.margin:
            raise ValueError("a holder has to have two tries at renewing before it stops writing")


class Turn(Enum):
    """What to do with the lease as it is."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Seen:
    """A lease's spec, and when (monotonic) it was first seen as it is. `spec` None: there is no lease."""

    spec: Object | None
    since: float

    def then(self, spec: Object | None, now: float) -> Seen:
        """After another look."""
        return self if spec == self.spec else Seen(spec, now)


def decide(seen: Seen, identity: str, now: float) -> Turn:
    """Pure. A lease that nobody holds is free at once; one that did not change for its own duration as well."""
    if seen.spec is None:
        return Turn.CREATE
    holder = seen.spec.get("holderIdentity")
    if holder == identity:
        return Turn.RENEW
    duration = float(seen.spec.get("leaseDurationSeconds") or 0)
    return Turn.TAKE if not holder or now >= seen.since + duration else Turn.WAIT


def held(spec: Object | None, identity: str, terms: Terms, wall: datetime) -> Object:
    """The spec by which `identity` takes the lease or renews it. Pure."""
    before: Object = spec or {}
    stamp = wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    renewed = before.get("holderIdentity") == identity
    transitions = int(before.get("leaseTransitions") or 0)
    return before | {
        "holderIdentity": identity,
        "leaseDurationSeconds": round(terms.duration),
        "renewTime": stamp,
        "acquireTime": before.get("acquireTime") if renewed else stamp,
        "leaseTransitions": transitions if renewed or spec is None else transitions + 1,
    }


class Election:
    """One candidate, `identity`, for the lease of that name. Run `run` as a task; `leading` is set while it leads.

    Its client needs no `may_write_until` of its own: the lease is what that comes from.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        terms: Terms = Terms(),
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.leading = asyncio.Event()
        self.heard = asyncio.Event()
        """Set once the API server has answered: this candidate could lead if it came to that."""
        self.may_write_until = float("-inf")
        self._client = client
        self._key = (namespace, name)
        self._identity = identity
        self._terms = terms
        self._wall = wall
        self._sleep = sleep
        self._lease: Object | None = None
        self._seen = Seen(None, self._now())

    async def run(self) -> None:
        """Waits for its turn, then renews, for ever. Raises `LeaseLost`. Cancelled, it gives the lease back.

        Stop what writes before cancelling: another replica may begin at once.
        """
        try:
            while True:
                began = self._now()
                await self._try(began)
                due = began + self._terms.renew_every
                if self.leading.is_set():
                    due = min(due, self.may_write_until)
                await self._sleep(max(due - self._now(), 0.0))
                if self.leading.is_set() and self._now() >= self.may_write_until:
                    raise LeaseLost(f"{self._identity} could not renew its lease in time")
        except asyncio.CancelledError:
            await self._release()
            raise
        finally:
            self.may_write_until = float("-inf")
            self.leading.clear()

    async def _try(self, began: float) -> None:
        """One look at the lease, and one write if it is our turn, within the time that there is for it."""
        limit = began + self._terms.renew_every
        try:
            async with asyncio.timeout_at(min(limit, self.may_write_until) if self.leading.is_set() else limit):
                if self._lease is None or not self.leading.is_set():
                    await self._look()
                turn = decide(self._seen, self._identity, self._now())
                if turn is not Turn.WAIT:
                    await self._write(held(self._seen.spec, self._identity, self._terms, self._wall()))
        except (KubeError, TimeoutError) as error:
            self._lease = None  # what was written may have been taken all the same
            if not isinstance(error, Conflict):
                _log.warning("the lease cannot be had", error=str(error) or "no answer in time")
            return
        if turn is not Turn.WAIT:
            self.may_write_until = began + self._terms.duration - self._terms.margin
            self.leading.set()
        elif self.leading.is_set():
            raise LeaseLost(f"{self._identity} has lost its lease to {(self._seen.spec or {}).get('holderIdentity')}")

    async def _look(self) -> None:
        namespace, name = self._key
        try:
            self._lease = await self._client.get(LEASES, name, namespace)
        except NotFound:
            self._lease = None
        self.heard.set()
        self._seen = self._seen.then(None if self._lease is None else self._lease.get("spec") or {}, self._now())

    async def _write(self, spec: Object) -> None:
        namespace, name = self._key
        if self._lease is None:
            lease = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"namespace": namespace, "name": name},
                "spec": spec,
            }
            self._lease = await self._client.create(LEASES, lease, manager=_MANAGER)
        else:
            self._lease = await self._client.replace(LEASES, self._lease | {"spec": spec}, manager=_MANAGER)
        self._seen = self._seen.then(self._lease["spec"], self._now())

    async def _release(self) -> None:
        """Nobody holds it from now on. Tried once; without it the others wait for its duration."""
        if not self.leading.is_set():
            return
        self.may_write_until = float("-inf")
        try:
            async with asyncio.timeout(self._terms.renew_every):
                await self._look()  # a renewal may have been cut short, and have happened
                spec = self._seen.spec or {}
                if spec.get("holderIdentity") == self._identity:
                    await self._write(spec | {"holderIdentity": ""})
        except (KubeError, TimeoutError) as error:
            _log.warning("the lease was not given back", error=str(error) or "no answer in time")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
