"""What the operator remembers of one LiveStream between reconciles. All of it can be found out again."""

from __future__ import annotations

from dataclasses import dataclass, field

from onair_core.contract import Cursor
from onair_operator.desired.control_access import control_access
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.provision import ControlAccess


@dataclass(slots=True)
class Channel:
    """`followed`: uids of pods, with the numbers of their incarnations; `drained`: of those that begin no broadcast any
    more, with their newest event; `completed`: the broadcast that was told to end; `told_at`: when status last got
    events (the loop's clock).
    """

    uid: str
    root: bytes = field(repr=False)
    followed: dict[str, int] = field(default_factory=dict)
    drained: dict[str, Cursor] = field(default_factory=dict)
    completed: str | None = None
    told_at: float = float("-inf")
    _access: dict[int, ControlAccess] = field(default_factory=dict, repr=False)

    def access(self, incarnation: Incarnation) -> ControlAccess:
        """Of an incarnation's control port. Only that of the newest is kept: making one takes most of a millisecond."""
        if incarnation.number not in self._access:
            self._access = {incarnation.number: control_access(self.root, incarnation)}
        return self._access[incarnation.number]
