"""What a LiveStream's conditions say, and what a GitOps tool makes of them (kstatus)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_operator.decide.conditions import Verdict, with_condition, without_condition
from onair_operator.decide.pods import pod_verdict, runs, was_restarted
from onair_operator.decide.readiness import OWN, own_part, verdicts, with_verdicts

V = Verdict
FINE, TAKEN = V(True, "AcceptingPublisher"), V(False, "PlaybackIdTaken", "keynote belongs to a/b")
BLOCKED, STARTING = V(False, "ConflictingObject", "Service x"), V(False, "PodStarting", "Pod x is starting.")
UNHEARD, PENDING = V(False, "PodNotAnswering", "no answer in time"), V(True, "BroadcastRunning", "later")
NOW, LATER = 1_800_000_000.0, 1_800_000_100.0


def kstatus(conditions: dict[str, str]) -> str:
    """cli-utils, with the generation observed."""
    if conditions["Stalled"] == "True":
        return "Failed"
    if conditions["Reconciling"] == "True" or conditions["Ready"] != "True":
        return "InProgress"
    return "Current"


@pytest.mark.parametrize(
    ("made", "ready", "reconciling", "stalled", "seen"),
    [
        (verdicts(FINE), ("True", "AcceptingPublisher"), ("False", "Settled"), ("False", "Settled"), "Current"),
        (verdicts(TAKEN), ("False", "PlaybackIdTaken"), ("False", "Settled"), ("True", "PlaybackIdTaken"), "Failed"),
        (
            verdicts(FINE, blocked=BLOCKED, under_way=STARTING),
            ("False", "ConflictingObject"),
            ("False", "Settled"),
            ("True", "ConflictingObject"),
            "Failed",
        ),
        (
            verdicts(TAKEN, blocked=BLOCKED, under_way=STARTING, unheard=UNHEARD),
            ("False", "PlaybackIdTaken"),
            ("False", "Settled"),
            ("True", "PlaybackIdTaken"),
            "Failed",
        ),
        (
            verdicts(FINE, under_way=STARTING, unheard=UNHEARD),
            ("False", "PodStarting"),
            ("True", "PodStarting"),
            ("False", "Settled"),
            "InProgress",
        ),
        (
            verdicts(FINE, unheard=UNHEARD),
            ("True", "AcceptingPublisher"),
            ("True", "PodNotAnswering"),
            ("False", "Settled"),
            "InProgress",
        ),
        (
            verdicts(FINE, update_pending=PENDING),
            ("True", "AcceptingPublisher"),
            ("False", "Settled"),
            ("False", "Settled"),
            "Current",
        ),
    ],
)
def test_the_table_of_conditions(
    made: dict[str, Verdict], ready: tuple[str, str], reconciling: tuple[str, str], stalled: tuple[str, str], seen: str
) -> None:
    conditions = with_verdicts([], made, generation=3, now=NOW)
    told = {c["type"]: (c["status"], c["reason"]) for c in conditions}
    assert (told["Ready"], told["Reconciling"], told["Stalled"]) == (ready, reconciling, stalled)
    assert kstatus({kind: status for kind, (status, _) in told.items()}) == seen
    assert all(c["observedGeneration"] == 3 and c["reason"] for c in conditions)
    assert told["UpdatePending"] == (
        ("True", "BroadcastRunning") if made["UpdatePending"].holds else ("False", "NothingPending")
    )


some = st.none() | st.sampled_from([BLOCKED, STARTING, UNHEARD])


@given(st.sampled_from([FINE, TAKEN]), some, some, some)
def test_never_two_answers(
    plan: Verdict, blocked: Verdict | None, under_way: Verdict | None, unheard: Verdict | None
) -> None:
    made = verdicts(plan, blocked=blocked, under_way=under_way, unheard=unheard)
    assert not (made["Ready"].holds and made["Stalled"].holds)
    assert not (made["Reconciling"].holds and made["Stalled"].holds)
    if not made["Ready"].holds:
        assert made["Reconciling"].holds or made["Stalled"].holds, "who waits is told for what"


def test_a_transition_is_a_change_of_status_and_of_nothing_else() -> None:
    first = with_condition([], "Ready", STARTING, generation=1, now=NOW)
    second = with_condition(first, "Ready", V(False, "PodCrashing", "…"), generation=2, now=LATER)
    third = with_condition(second, "Ready", FINE, generation=2, now=LATER)
    assert [c[0]["lastTransitionTime"] for c in (first, second, third)] == [
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:01:40Z",
    ]
    assert with_condition(first, "Ready", V(None, "Because"), generation=1, now=LATER)[0]["status"] == "Unknown"
    assert without_condition([*first, {"type": "Default"}], "Ready") == [{"type": "Default"}]


def test_of_a_status_only_conditions_of_others_are_left_out() -> None:
    foreign = {"type": "example.com/Audited", "status": "True"}
    ours = [{"type": kind, "status": "True"} for kind in OWN]
    assert own_part({"phase": "Idle", "conditions": [foreign, *ours]}) == {"phase": "Idle", "conditions": ours}
    assert own_part({"phase": "Idle", "conditions": [foreign]}) == {"phase": "Idle"} == own_part({"phase": "Idle"})
    assert "Default" in OWN, "a class has it: left out, it would be written at each look"


# Pods.


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "keynote-abc"}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return pod(phase="Pending", containerStatuses=[{"state": {"waiting": {"reason": reason, "message": message}}}])


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}


@pytest.mark.parametrize(
    ("found", "reason", "said"),
    [
        (None, "PodStarting", "being made"),
        ({"metadata": {"name": "keynote-abc"}}, "PodStarting", "keynote-abc is starting"),
        (pod(phase="Pending", conditions=None, containerStatuses=None), "PodStarting", "is starting"),
        (pod(conditions=[{"type": "Ready", "status": "True"}]), "PodReady", "keynote-abc"),
        (pod(conditions=[UNSCHEDULABLE]), "PodUnschedulable", "0/3 nodes"),
        (waiting("ErrImagePull", "no such tag"), "ImagePullFailed", "no such tag"),
        (waiting("ImagePullBackOff"), "ImagePullFailed", "ImagePullBackOff"),
        (waiting("CreateContainerConfigError", "secret not found"), "PodCannotStart", "secret not found"),
        (waiting("CrashLoopBackOff", "back-off 10s"), "PodCrashing", "back-off 10s"),
        (waiting("ContainerCreating"), "PodStarting", "is starting"),
        (
            pod(
                containerStatuses=[{"started": True, "state": {"running": {}}}],
                conditions=[{"type": "Ready", "status": "False"}],
            ),
            "PodNotReady",
            "at the moment",
        ),
        (pod(containerStatuses=[{"started": False, "state": {"running": {}}}]), "PodStarting", "is starting"),
    ],
)
def test_what_a_pods_status_means(found: dict[str, Any] | None, reason: str, said: str) -> None:
    verdict = pod_verdict(found)
    assert (verdict.reason, verdict.holds) == (reason, reason == "PodReady") and said in verdict.message


def test_a_pod_that_can_be_spoken_to() -> None:
    running = [{"state": {"running": {"startedAt": "x"}}, "restartCount": 0}]
    assert runs(pod(podIP="10.0.0.1", containerStatuses=running))
    assert not runs(pod(containerStatuses=running)) and not runs(pod(podIP="10.0.0.1"))
    assert not runs(pod(podIP="10.0.0.1", containerStatuses=[{"state": {"terminated": {}}}]))
    assert not runs({"metadata": {}})
    assert not was_restarted(pod(containerStatuses=running)) and not was_restarted({"metadata": {}})
    assert was_restarted(pod(containerStatuses=[{**running[0], "restartCount": 2}]))
