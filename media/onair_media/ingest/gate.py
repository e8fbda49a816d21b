"""Who may come in, and who may stay: connections, their memory and wrong keys are counted, by address and in all.

`origins` says what one address is, `arrivals` how many connections may come in a second. Nothing is allocated for a
connection before it has passed `enter`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from onair_media.ingest.arrivals import Arrivals
from onair_media.origins import Origin, Tally, origin_of

log = structlog.get_logger(__name__)

KIB, MIB = 1024, 1024 * 1024
LOG_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The names are the reasons that metrics count by. A connection waits until its publish is accepted."""

    connections: int = 5000
    """File descriptors, and what a process can read sixteen times a second."""
    connections_per_address: int = 1000
    """An event's site behind one address, many times over; raise it where a proxy hides the addresses."""
    connections_per_second: int = 500
    """New ones. Each may cost a TLS handshake, half a millisecond of work."""
    connections_per_second_per_address: int = 50
    """A studio whose many encoders come back at once, from one address, needs the burst rather than the rate."""
    arrival_burst_seconds: float = 4.0
    """So many seconds' worth of new connections may come at once: as many as may wait."""
    waiting: int = 2000
    """Enough for the rush after a restart, a bound for a flood."""
    waiting_per_address: int = 200
    waiting_bytes: int = 64 * MIB
    """Received for connections that wait. Beyond it those are cut that hold more than an equal share."""
    failed_keys_per_minute: int = 6000
    """In all. Beyond it an address is refused after its first."""
    failed_keys_per_minute_per_address: int = 60
    """An encoder with a mistyped key comes back every few seconds. For the rest of the minute the address is
    refused before the handshake."""
    site_factor: int = 4
    """How many times as much as one address all addresses of one IPv6 site, a /48, may have. Metrics count it by the
    names above with `_per_site` in the place of `_per_address`."""


class Ticket:
    """One connection's place. `close` gives it back."""

    __slots__ = ("_gate", "_held", "_waiting", "origin")

    def __init__(self, gate: Gate, origin: Origin) -> None:
        self.origin = origin
        self._gate = gate
        self._held = 0
        self._waiting = True

    def may_hold(self, size: int) -> bool:
        """The connection holds this many bytes while it waits; False when it has to be cut for that."""
        if not self._waiting:
            return True
        gate = self._gate
        gate.waiting_bytes += size - self._held
        self._held = size
        limits = gate.limits
        return gate.waiting_bytes <= limits.waiting_bytes or size <= limits.waiting_bytes // max(limits.waiting, 1)

    def key_failed(self) -> None:
        """It came with a key that nobody has."""
        self._gate.key_failed(self.origin)

    def count(self, reasons: Iterable[str]) -> None:
        """What was not put up with, for metrics."""
        self._gate.rejected.update(reasons)

    def published(self) -> None:
        """It waits no more."""
        if self._waiting:
            self.may_hold(0)
            self._waiting = False
            self._gate.waiting.remove(self.origin)

    def close(self) -> None:
        """Once, when the connection is over."""
        self.published()
        self._gate.connections.remove(self.origin)


class Gate:
    """See the module. `rejected` counts by reason, for metrics."""

    def __init__(self, limits: AdmissionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._arrivals = _arrivals(limits)
        self.rejected: Counter[str] = Counter()
        self.connections = Tally()
        self.waiting = Tally()
        self.waiting_bytes = 0
        self._clock = clock
        self._failed_keys = Tally()
        self._minute = -1
        self._unlogged: Counter[str] = Counter()
        self._logged_at = -LOG_SECONDS

    @property
    def limits(self) -> AdmissionLimits:
        return self._limits

    @limits.setter
    def limits(self, limits: AdmissionLimits) -> None:
        if limits != self._limits:
            self._limits = limits
            self._arrivals = _arrivals(limits)

    def enter(self, host: str) -> Ticket | None:
        """A place for a connection from this IP address; None, counted and logged, when there is none."""
        origin = origin_of(host)
        reason = self._refusal(origin)
        if reason is None:
            self.connections.add(origin)
            self.waiting.add(origin)
            return Ticket(self, origin)
        self.rejected[reason] += 1
        self._unlogged[reason] += 1
        if self._clock() - self._logged_at >= LOG_SECONDS:
            self._logged_at = self._clock()
            log.warning("connections refused", last_address=origin.address, **self._unlogged)
            self._unlogged.clear()
        return None

    def key_failed(self, origin: Origin) -> None:
        self.rejected["unknown_key"] += 1
        self._start_minute()
        self._failed_keys.add(origin)

    def _refusal(self, origin: Origin) -> str | None:
        limits = self._limits
        if self.connections.total >= limits.connections:
            return "connections"
        if full := self.connections.full(origin, limits.connections_per_address, limits.site_factor):
            return f"connections_{full}"
        if self.waiting.total >= limits.waiting:
            return "waiting"
        if full := self.waiting.full(origin, limits.waiting_per_address, limits.site_factor):
            return f"waiting_{full}"
        self._start_minute()
        failed = self._failed_keys
        if full := failed.full(origin, limits.failed_keys_per_minute_per_address, limits.site_factor):
            return f"failed_keys_per_minute_{full}"
        if failed.of(origin.address) and failed.total >= limits.failed_keys_per_minute:
            return "failed_keys_per_minute"
        full_rate = self._arrivals.refusal(origin, self._clock())
        return None if full_rate is None else f"connections_per_second{full_rate}"

    def _start_minute(self) -> None:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self._failed_keys = Tally()


def _arrivals(limits: AdmissionLimits) -> Arrivals:
    return Arrivals(
        limits.connections_per_second,
        limits.connections_per_second_per_address,
        limits.arrival_burst_seconds,
        limits.site_factor,
    )
