"""What the operator remembers of one LiveStream between reconciles. All of it can be found out again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from onair_core.contract import Cursor
from onair_operator.desired.control_access import control_access
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.provision import ControlAccess

_ACKNOWLEDGE_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Drain:
    """A pod begins no broadcast until `until`, on the loop's clock; `newest` is its newest event."""

    newest: Cursor
    until: float


@dataclass(slots=True)
class Channel:
    """`followed`: uids of pods, with the numbers of their incarnations; `drained`: of those that begin no broadcast any
    more, with their newest event; `completed`: the broadcast that was told to end; `told_at`: when status last got
    events (the loop's clock); `acknowledged`: up to where the pod has been told that its journal is taken;
    `refused`: how often the cluster has refused something, one after the other;
    `unanswered`: how often it was told of a change or drained without an answer.
    """

    uid: str
    root: bytes = field(repr=False)
    followed: dict[str, int] = field(default_factory=dict)
    drained: dict[str, Drain] = field(default_factory=dict)
    completed: str | None = None
    told_at: float = float("-inf")
    refused: int = 0
    acknowledged: Cursor = field(default_factory=Cursor)
    unanswered: int = 0

    def may_forget(self, taken: Cursor) -> bool:
        """Whether to tell the pod how much of its journal is taken: now and then, so that it does not grow."""
        return taken.epoch > self.acknowledged.epoch or taken.n > self.acknowledged.n + _ACKNOWLEDGE_EVENTS

    def access(self, incarnation: Incarnation) -> ControlAccess:
        """Of an incarnation's control port. A reconcile asks several times; between two of them nothing is kept."""
        return _access(self.root, incarnation)


_access = lru_cache(maxsize=64)(control_access)
