"""Who may come in, and who may stay: connections, their memory and wrong keys are counted, by address and in all.

An address is one IPv4 address, or a /64 of IPv6: that is what one customer of a provider has. Nothing is allocated for
a connection before it has passed `enter`.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

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


class _Tally:
    """So many of each address, and in all."""

    def __init__(self) -> None:
        self.total = 0
        self._of: dict[str, int] = {}

    def of(self, address: str) -> int:
        return self._of.get(address, 0)

    def add(self, address: str) -> None:
        self.total += 1
        self._of[address] = self.of(address) + 1

    def remove(self, address: str) -> None:
        self.total -= 1
        left = self.of(address) - 1
        if left:
            self._of[address] = left
        else:
            del self._of[address]


class Ticket:
    """One connection's place. `close` gives it back."""

    __slots__ = ("_gate", "_held", "_waiting", "address")

    def __init__(self, gate: Gate, address: str) -> None:
        self.address = address
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
        self._gate.key_failed(self.address)

    def count(self, reasons: Iterable[str]) -> None:
        """What was not put up with, for metrics."""
        self._gate.rejected.update(reasons)

    def published(self) -> None:
        """It waits no more."""
        if self._waiting:
            self.may_hold(0)
            self._waiting = False
            self._gate.waiting.remove(self.address)

    def close(self) -> None:
        """Once, when the connection is over."""
        self.published()
        self._gate.connections.remove(self.address)


class Gate:
    """See the module. `rejected` counts by reason, for metrics."""

    def __init__(self, limits: AdmissionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.rejected: Counter[str] = Counter()
        self.connections = _Tally()
        self.waiting = _Tally()
        self.waiting_bytes = 0
        self._clock = clock
        self._failed_keys = _Tally()
        self._minute = -1
        self._unlogged: Counter[str] = Counter()
        self._logged_at = -LOG_SECONDS

    def enter(self, host: str) -> Ticket | None:
        """A place for a connection from this IP address; None, counted and logged, when there is none."""
        address = address_group(host)
        reason = self._refusal(address)
        if reason is None:
            self.connections.add(address)
            self.waiting.add(address)
            return Ticket(self, address)
        self.rejected[reason] += 1
        self._unlogged[reason] += 1
        if self._clock() - self._logged_at >= LOG_SECONDS:
            self._logged_at = self._clock()
            log.warning("connections refused", last_address=address, **self._unlogged)
            self._unlogged.clear()
        return None

    def key_failed(self, address: str) -> None:
        self.rejected["unknown_key"] += 1
        self._start_minute()
        self._failed_keys.add(address)

    def _refusal(self, address: str) -> str | None:
        limits = self.limits
        if self.connections.total >= limits.connections:
            return "connections"
        if self.connections.of(address) >= limits.connections_per_address:
            return "connections_per_address"
        if self.waiting.total >= limits.waiting:
            return "waiting"
        if self.waiting.of(address) >= limits.waiting_per_address:
            return "waiting_per_address"
        self._start_minute()
        failed = self._failed_keys.of(address)
        if failed >= limits.failed_keys_per_minute_per_address:
            return "failed_keys_per_minute_per_address"
        if failed and self._failed_keys.total >= limits.failed_keys_per_minute:
            return "failed_keys_per_minute"
        return None

    def _start_minute(self) -> None:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self._failed_keys = _Tally()


def address_group(host: str) -> str:
    """What is counted as one address: IPv4 as it is, IPv6 by its /64; anything else as it stands."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
