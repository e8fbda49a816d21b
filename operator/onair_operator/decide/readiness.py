"""A LiveStream's conditions but for those of its media. Pure.

| | Ready | Reconciling | Stalled |
|---|---|---|---|
| somebody has to change something: a class that is not there, an ID that is taken | False | False | True |
| its pod or its address is on the way | False | True | False |
| a publisher can come in, but the pod has not heard of the newest change | True | True | False |
| a publisher can come in, or it is disabled | True | False | False |

What waits for the end of a broadcast is UpdatePending, the others as if there were nothing: GitOps tools stay green.
"""

from __future__ import annotations

from typing import Any

from onair_operator.decide.conditions import Verdict, with_condition
from onair_operator.decide.incarnation import NOTHING_PENDING

OWN = ("Ready", "Reconciling", "Stalled", "UpdatePending", "IngestHealthy", "Default")
"""The types that OnAir writes, the last of classes; others are somebody else's and left alone."""

_SETTLED = Verdict(False, "Settled")


def verdicts(
    plan: Verdict,
    *,
    blocked: Verdict | None = None,
    under_way: Verdict | None = None,
    unheard: Verdict | None = None,
    update_pending: Verdict = NOTHING_PENDING,
) -> dict[str, Verdict]:
    """By type. `plan`: of what was asked for; the others not None when there is something:

    `blocked`: the cluster refuses something; `under_way`: what is not there yet; `unheard`: what the pod has not heard;
    where that cannot be said (yet), there is no Reconciling among them, and the one that is there stays.
    """
    stalled = None if plan.holds else plan
    stalled = stalled or blocked
    reconciling: Verdict | None = _SETTLED
    if stalled is not None:
        ready = stalled
    elif under_way is not None:
        ready, reconciling = under_way, Verdict(True, under_way.reason, under_way.message)
    else:
        ready = plan
        if unheard is not None:
            reconciling = None if unheard.holds is None else Verdict(True, unheard.reason, unheard.message)
    made = {
        "Ready": ready,
        "Reconciling": reconciling,
        "Stalled": Verdict(True, stalled.reason, stalled.message) if stalled is not None else _SETTLED,
        "UpdatePending": update_pending,
    }
    return {kind: verdict for kind, verdict in made.items() if verdict is not None}


def with_verdicts(
    conditions: list[dict[str, Any]], made: dict[str, Verdict], *, generation: int, now: float
) -> list[dict[str, Any]]:
    """The conditions with these set; `now` is Unix seconds."""
    for kind, verdict in made.items():
        conditions = with_condition(conditions, kind, verdict, generation=generation, now=now)
    return conditions


def own_part(status: dict[str, Any]) -> dict[str, Any]:
    """A status without the conditions of others: what server-side apply is given has to be OnAir's."""
    conditions = [condition for condition in status.get("conditions", []) if condition["type"] in OWN]
    return (
        {**status, "conditions": conditions} if conditions else {k: v for k, v in status.items() if k != "conditions"}
    )
