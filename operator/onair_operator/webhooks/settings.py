"""What the deliverer is told once: how much at a time, how patiently, by which clock."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

from onair_operator.eventlog import Limits
from onair_operator.webhooks.schedule import Schedule


class Clock(Protocol):
    """Wall time, and waiting. Tests bring their own."""

    def now(self) -> float:
        """Unix seconds."""

    async def sleep(self, seconds: float) -> None:
        """Returns after this long."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Returns after this long on the monotonic clock."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """`timeout` bounds one try, in seconds; the others bound how many run at once."""

    timeout: float = 5.0
    per_endpoint: int = 8
    overall: int = 64
    schedule: Schedule = field(default_factory=Schedule)
    limits: Limits = field(default_factory=Limits)
