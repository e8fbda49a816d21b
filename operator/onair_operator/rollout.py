"""How many channels of a class may be without a pod at a time, while a change reaches its idle pods.

A broken image then takes down that many channels and no more: the others stay on what works, `UpdatePending`, until the
class names an image that becomes Ready. What has no Ready pod is replaced without asking, since nothing is lost by it.

Kept in memory: each reconcile notes how its channel fares, and at the beginning all channels are reconciled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from onair_core.kube.store import Key


@dataclass(slots=True)
class _Class:
    """`known`: its channels; `down`: those that lost their pod to the change, or are about to, without a Ready one yet;
    `waiting`: in the order they came.
    """

    known: set[Key] = field(default_factory=set)
    down: set[Key] = field(default_factory=set)
    waiting: dict[Key, None] = field(default_factory=dict)


class Rollout:
    """`wake`: has a channel reconciled whose turn may have come."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._classes: defaultdict[str, _Class] = defaultdict(_Class)
        self._class_of: dict[Key, str] = {}

    def has_turn(self, stream: Key, cls: str, percent: int) -> bool:
        """Whether the Ready pod of an idle channel may be replaced; what came of it is told by `note`."""
        known = self._classes[cls]
        return stream in known.down or len(known.down) < _limit(known, percent)

    def is_down(self, stream: Key) -> bool:
        """As it was noted last."""
        cls = self._class_of.get(stream)
        return cls is not None and stream in self._classes[cls].down

    def note(self, stream: Key, cls: str, percent: int, *, down: bool, waits: bool) -> None:
        """How the channel fares. `down`: as in `_Class`; `waits`: for its turn."""
        if self._class_of.get(stream, cls) != cls:
            self.forget(stream)
        self._class_of[stream] = cls
        noted = self._classes[cls]
        noted.known.add(stream)
        (noted.down.add if down else noted.down.discard)(stream)
        if waits:
            noted.waiting[stream] = None
        else:
            noted.waiting.pop(stream, None)
            self._wake_those_whose_turn_it_is(noted, percent)

    def forget(self, stream: Key) -> None:
        """The channel is gone, or nothing is made for it."""
        cls = self._class_of.pop(stream, None)
        if cls is None:
            return
        left = self._classes[cls]
        left.known.discard(stream)
        left.down.discard(stream)
        left.waiting.pop(stream, None)
        for waiting in tuple(left.waiting)[:1]:
            self._wake(waiting)
        if not left.known:
            del self._classes[cls]

    def _wake_those_whose_turn_it_is(self, noted: _Class, percent: int) -> None:
        free = _limit(noted, percent) - len(noted.down)
        for stream in tuple(noted.waiting)[: max(free, 0)]:
            del noted.waiting[stream]
            self._wake(stream)


def _limit(cls: _Class, percent: int) -> int:
    """Rounded down as Deployments do, and at least one."""
    return max(len(cls.known) * percent // 100, 1)
