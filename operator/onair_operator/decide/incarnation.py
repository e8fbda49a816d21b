"""Which incarnation of a stream's ingest pod shall be there. Pure.

Pods are never applied over. What is asked, in this order, and what comes of it:

| is there a pod? | does it live? | is it as wanted? | is it live? | reason | step |
|---|---|---|---|---|---|
| no, and none is stopping on its volume | | | | `NoPod` | create |
| no, but one is stopping on its volume | | | | `VolumeInUse` | wait |
| yes | its node is cut off, and it answers or is being asked | | | `NodeUnreachable` | wait |
| yes | no | | | `PodLost` | replace |
| yes | yes | yes | | `UpToDate` | keep |
| yes | yes | no | yes | `BroadcastRunning` | wait |
| yes | yes | no | it is being asked | `PodNotAnswering` | wait |
| yes | ready | no | it does not answer | `PodNotAnswering` | wait |
| yes | not ready | no | it does not answer | `PodOutdated` | replace |
| yes | ready | no | no, but the next one lacks a Secret | as told by `held` | wait |
| yes | ready | no | no, but it is not its turn | `RolloutLimited` | wait |
| yes | yes | no | no, but a broadcast may begin | `Draining` | drain |
| yes | yes | no | no, and none begins | `PodOutdated` | replace |

Whatever is older than the current pod is removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from onair_operator.decide.conditions import Verdict
from onair_operator.desired.pod import INCARNATION_NUMBER, POD_HASH

Pod = dict[str, Any]


NOTHING_PENDING = Verdict(False, "NothingPending")
ROLLOUT_LIMITED, VOLUME_IN_USE = "RolloutLimited", "VolumeInUse"
# No figures: each change of a message is a write, of every channel that waits.
_NOT_ITS_TURN = (
    "The ingest pod is replaced when more of its class have a Ready pod (ingest.rollout.maxUnavailablePercent)."
)


class Broadcasting(StrEnum):
    """What is known of the current pod's channel."""

    LIVE = "Live"  # a broadcast is open, with or without its publisher, or was when the pod last answered
    IDLE = "Idle"
    DRAINED = "Drained"  # idle, and it begins no broadcast (`POST /v1/drain`)
    ASKED = "Asked"  # the first try to reach the control port has not ended, and no broadcast is known of
    UNKNOWN = "Unknown"  # the control port does not answer, and no broadcast is known of


class Step(StrEnum):
    """What to do next. All but KEEP are followed by another decision."""

    KEEP = "Keep"
    CREATE = "Create"
    DRAIN = "Drain"
    REPLACE = "Replace"
    WAIT = "Wait"


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is the condition's.

    `current`: the number of the incarnation that the Service selects; None while there is to be none. `create`: whether
    its pod is to be made. `remove`: names of pods, to be deleted first. `update_pending`: a change waits for the end
    of a broadcast.
    """

    step: Step
    reason: str
    message: str
    current: int | None
    create: bool = False
    remove: tuple[str, ...] = ()
    update_pending: bool = False


def decide_incarnation(
    pods: Iterable[Pod],
    wanted_hash: str,
    broadcasting: Broadcasting,
    *,
    recorded: int = 0,
    answering: frozenset[str] = frozenset(),
    keeps_volume: bool = False,
    has_turn: bool = True,
    held: Verdict | None = None,
) -> Decision:
    """`pods`: as observed, all that the stream's uid owns. `broadcasting`: of the `current_pod`.

    `recorded`: the highest incarnation that status knows; no number is given twice. `answering`: names of pods whose
    journals are being read, or which nobody has failed to reach yet. `keeps_volume`: pods share a claim, so one ends
    before the next begins. `has_turn`: a Ready pod may be replaced without too many being down at once. `held`: why
    the next one could not be made.
    """
    known = sorted(pods, key=incarnation_number)
    staying = [pod for pod in known if _stays(pod, answering)]
    stopping = [pod for pod in known if pod not in staying]
    following = max([recorded, *map(incarnation_number, known)]) + 1
    if not staying:
        if keeps_volume and stopping:
            message = f"Pod {_name(stopping[-1])} is stopping; the next one needs its volume."
            return Decision(Step.WAIT, VOLUME_IN_USE, message, None)
        return Decision(Step.CREATE, "NoPod", "There is no ingest pod; one is made.", following, create=True)

    *older, current = staying
    stale = tuple(map(_name, older))

    def stay(step: Step, reason: str, message: str, *, pending: bool = False) -> Decision:
        return Decision(step, reason, message, incarnation_number(current), remove=stale, update_pending=pending)

    def replace(reason: str, message: str) -> Decision:
        remove = (*stale, _name(current))
        if keeps_volume:
            return Decision(Step.REPLACE, reason, message, None, remove=remove)
        return Decision(Step.REPLACE, reason, message, following, create=True, remove=remove)

    if "deletionTimestamp" in current["metadata"]:
        message = f"The node of pod {_name(current)} does not answer, the pod does: it stays until that ends."
        return stay(Step.WAIT, "NodeUnreachable", message)
    if _is_over(current):
        return replace("PodLost", f"Pod {_name(current)} is lost ({_why_over(current)}) and is replaced.")
    if current["metadata"].get("annotations", {}).get(POD_HASH) == wanted_hash:
        return stay(Step.KEEP, "UpToDate", "The ingest pod is as its class says.")
    if broadcasting is Broadcasting.LIVE:
        message = "The ingest pod is replaced when the broadcast has ended."
        return stay(Step.WAIT, "BroadcastRunning", message, pending=True)
    outdated = "The ingest pod is replaced by one as its class says now."
    answers = broadcasting not in (Broadcasting.ASKED, Broadcasting.UNKNOWN)
    # An operator that has just begun does not know yet what is live, and a node in trouble makes its pods not ready.
    is_broken = broadcasting is Broadcasting.UNKNOWN and not is_ready(current)
    if answers and is_ready(current) and held is not None:
        return stay(Step.WAIT, held.reason, held.message, pending=True)
    if answers and is_ready(current) and not has_turn:
        return stay(Step.WAIT, ROLLOUT_LIMITED, _NOT_ITS_TURN, pending=True)
    if broadcasting is Broadcasting.DRAINED or is_broken:
        return replace("PodOutdated", outdated)
    if not answers:
        message = f"Pod {_name(current)} is to be replaced, but does not say whether it is live."
        return stay(Step.WAIT, "PodNotAnswering", message, pending=True)
    return stay(Step.DRAIN, "Draining", "The ingest pod is to be replaced; it begins no broadcast any more.")


def update_pending(decision: Decision, also: Verdict | None = None) -> Verdict:
    """The condition UpdatePending. Its reason does not change while nothing is pending: each change is a write.

    `also`: what waits besides the pod.
    """
    if decision.update_pending:
        return Verdict(True, decision.reason, decision.message)
    return also or NOTHING_PENDING


def incarnation_number(pod: Pod) -> int:
    """Which incarnation a pod is; 0 for a pod on which somebody has changed it: the oldest of all."""
    text = pod["metadata"].get("annotations", {}).get(INCARNATION_NUMBER, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0


def current_pod(pods: Iterable[Pod], answering: frozenset[str]) -> Pod | None:
    """The newest that stays; `answering` as above."""
    return max((pod for pod in pods if _stays(pod, answering)), key=incarnation_number, default=None)


def _stays(pod: Pod, answering: frozenset[str]) -> bool:
    """Being deleted means that it ends, unless nobody can tell it: its node is cut off from the API server alone."""
    return "deletionTimestamp" not in pod["metadata"] or (_is_cut_off(pod) and _name(pod) in answering)


def _is_cut_off(pod: Pod) -> bool:
    """The node controller deletes the pods of a node that it hears nothing of."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(
        condition["type"] == "DisruptionTarget" and condition.get("reason") == "DeletionByTaintManager"
        for condition in conditions
    )


def _name(pod: Pod) -> str:
    name: str = pod["metadata"]["name"]
    return name


def _is_over(pod: Pod) -> bool:
    """Evicted, preempted, shut down with its node: with `restartPolicy: Always` a pod ends in no other way."""
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def _why_over(pod: Pod) -> str:
    status = pod.get("status", {})
    return str(status.get("reason") or status["phase"])


def is_ready(pod: Pod) -> bool:
    """A publisher can come in."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
