"""Conditions as Kubernetes has them: a list by type, whose transition times move only with status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onair_operator.decide.times import timestamp


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something holds, with its reason in one word and its message for people. None: it cannot be said."""

    holds: bool | None
    reason: str
    message: str = ""


def with_condition(
    conditions: list[dict[str, Any]], kind: str, verdict: Verdict, *, generation: int, now: float
) -> list[dict[str, Any]]:
    """The conditions with this one set; `now` is Unix seconds."""
    status = "Unknown" if verdict.holds is None else str(verdict.holds)
    before = next((c for c in conditions if c["type"] == kind), None)
    since = before["lastTransitionTime"] if before and before["status"] == status else timestamp(now)
    made = {
        "type": kind,
        "status": status,
        "reason": verdict.reason,
        "message": verdict.message,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }
    if before is None:
        return [*conditions, made]
    return [made if c["type"] == kind else c for c in conditions]


def without_condition(conditions: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The conditions without this one."""
    return [c for c in conditions if c["type"] != kind]
