"""Which incarnation of an ingest pod shall be there: keep, make, drain, replace, or wait."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from onair_operator.decide.conditions import Verdict
from onair_operator.decide.incarnation import (
    Broadcasting,
    Decision,
    Step,
    current_pod,
    decide_incarnation,
    update_pending,
)
from onair_operator.desired.pod import INCARNATION_NUMBER, POD_HASH

B = Broadcasting
WANTED, OTHER = "wanted", "other"


def pod(
    number: int, hash_: str = WANTED, *, ready: bool = True, stopping: bool = False, **status: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": f"keynote-{number}",
        "annotations": {INCARNATION_NUMBER: str(number), POD_HASH: hash_},
    }
    if stopping:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": metadata, "status": {"phase": "Running", "conditions": conditions, **status}}


def decide(*pods: dict[str, Any], broadcasting: Broadcasting = B.IDLE, **more: Any) -> Decision:
    return decide_incarnation(pods, WANTED, broadcasting, **more)


def test_the_first_pod_is_made() -> None:
    made = decide(broadcasting=B.UNKNOWN)
    assert (made.step, made.reason, made.current, made.create) == (Step.CREATE, "NoPod", 1, True)


def test_a_number_is_never_given_twice() -> None:
    assert decide(recorded=7).current == 8
    assert decide(pod(9, stopping=True), recorded=7).current == 10


def test_a_pod_as_wanted_is_kept_whatever_it_does() -> None:
    for broadcasting in B:
        for ready in (True, False):
            kept = decide(pod(3, ready=ready), broadcasting=broadcasting)
            assert kept == Decision(Step.KEEP, "UpToDate", kept.message, 3)


def test_a_broadcast_is_left_alone_and_the_change_waits() -> None:
    for ready in (True, False):  # its container may be starting again, inside the reconnect window
        waits = decide(pod(3, OTHER, ready=ready), broadcasting=B.LIVE)
        assert (waits.step, waits.reason, waits.current, waits.remove) == (Step.WAIT, "BroadcastRunning", 3, ())
        assert update_pending(waits) == Verdict(True, "BroadcastRunning", waits.message)


def test_an_idle_pod_is_drained_before_it_is_replaced() -> None:
    drains = decide(pod(3, OTHER))
    assert (drains.step, drains.current, drains.create, drains.remove) == (Step.DRAIN, 3, False, ())
    replaced = decide(pod(3, OTHER), broadcasting=B.DRAINED)
    assert (replaced.step, replaced.reason) == (Step.REPLACE, "PodOutdated")
    assert (replaced.current, replaced.create, replaced.remove) == (4, True, ("keynote-3",))
    assert not update_pending(drains).holds and not update_pending(replaced).holds


def test_a_ready_pod_waits_for_its_turn_and_one_that_takes_nobody_does_not() -> None:
    for broadcasting in (B.IDLE, B.DRAINED):
        waits = decide(pod(3, OTHER), broadcasting=broadcasting, has_turn=False)
        assert (waits.step, waits.reason, waits.current, waits.remove) == (Step.WAIT, "RolloutLimited", 3, ())
        assert update_pending(waits) == Verdict(True, "RolloutLimited", waits.message)
        assert decide(pod(3, OTHER, ready=False), broadcasting=broadcasting, has_turn=False).step is not Step.WAIT
    assert decide(pod(3, OTHER, ready=False), broadcasting=B.UNKNOWN, has_turn=False).step is Step.REPLACE
    assert decide(pod(3, OTHER, phase="Failed"), has_turn=False).step is Step.REPLACE
    assert decide(pod(3), has_turn=False).step is Step.KEEP
    assert decide(pod(3, OTHER), broadcasting=B.LIVE, has_turn=False).reason == "BroadcastRunning"


def test_a_ready_pod_goes_on_while_the_next_one_would_lack_something() -> None:
    held = Verdict(False, "CertificateMissing", "There is no Secret ingest-tls.")
    for broadcasting in (B.IDLE, B.DRAINED):
        waits = decide(pod(3, OTHER), broadcasting=broadcasting, held=held)
        assert (waits.step, waits.reason, waits.current, waits.remove) == (Step.WAIT, "CertificateMissing", 3, ())
        assert update_pending(waits) == Verdict(True, "CertificateMissing", held.message)
    assert decide(pod(3), held=held).step is Step.KEEP
    assert decide(pod(3, OTHER), broadcasting=B.LIVE, held=held).reason == "BroadcastRunning"
    assert decide(held=held).step is Step.CREATE


def test_a_pod_that_cannot_be_asked_is_replaced_only_if_it_takes_nobody() -> None:
    silent = decide(pod(3, OTHER), broadcasting=B.UNKNOWN)
    assert (silent.step, silent.reason, silent.update_pending) == (Step.WAIT, "PodNotAnswering", True)
    broken = decide(pod(3, OTHER, ready=False), broadcasting=B.UNKNOWN)
    assert (broken.step, broken.reason) == (Step.REPLACE, "PodOutdated")


def test_a_pod_that_is_being_asked_is_waited_for_also_when_it_is_not_ready() -> None:
    """An operator that has just begun: what is live it is about to hear, and a node in trouble has no ready pods."""
    for ready in (True, False):
        asked = decide(pod(3, OTHER, ready=ready), broadcasting=B.ASKED)
        assert (asked.step, asked.reason, asked.remove) == (Step.WAIT, "PodNotAnswering", ())


def test_a_lost_pod_is_replaced_at_once_also_when_it_was_live() -> None:
    evicted = pod(3, phase="Failed", reason="Evicted")
    lost = decide(evicted, broadcasting=B.LIVE)
    assert (lost.step, lost.reason, lost.current, lost.remove) == (Step.REPLACE, "PodLost", 4, ("keynote-3",))
    assert "Evicted" in lost.message


def test_a_pod_on_a_node_that_is_cut_off_stays_for_as_long_as_it_answers() -> None:
    """The node controller deletes it, which nobody can tell it; encoder and viewers may still be with it."""
    cut_off = pod(3, OTHER, ready=False, stopping=True)
    cut_off["status"]["conditions"].append(
        {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    )
    answers = frozenset({"keynote-3"})
    stays = decide(cut_off, broadcasting=B.LIVE, answering=answers)
    assert (stays.step, stays.reason, stays.current, stays.remove) == (Step.WAIT, "NodeUnreachable", 3, ())
    assert current_pod([cut_off], answers) is cut_off and current_pod([cut_off], frozenset()) is None
    silent = decide(cut_off, broadcasting=B.LIVE)
    assert (silent.step, silent.current, silent.create) == (Step.CREATE, 4, True)
    drained = decide(pod(3, stopping=True), broadcasting=B.LIVE, answering=answers)
    assert (drained.step, drained.current) == (Step.CREATE, 4), "somebody wants it gone"


def test_pods_that_share_a_volume_come_one_after_the_other() -> None:
    replaced = decide(pod(3, OTHER), broadcasting=B.DRAINED, keeps_volume=True)
    assert (replaced.current, replaced.create, replaced.remove) == (None, False, ("keynote-3",))
    waits = decide(pod(3, OTHER, stopping=True), keeps_volume=True)
    assert (waits.step, waits.reason, waits.current) == (Step.WAIT, "VolumeInUse", None)
    assert decide(keeps_volume=True, recorded=3).current == 4
    assert decide(pod(3, stopping=True)).step is Step.CREATE


def test_what_is_older_than_the_current_pod_is_removed() -> None:
    kept = decide(pod(10), pod(9), pod(2, OTHER), pod(1, stopping=True))
    assert (kept.step, kept.current, kept.remove) == (Step.KEEP, 10, ("keynote-2", "keynote-9"))


def test_annotations_that_somebody_changed_make_a_pod_the_oldest() -> None:
    for text in ("", "x", "²", "9" * 10):
        strange = pod(0)
        strange["metadata"]["annotations"] = {INCARNATION_NUMBER: text}
        assert decide(strange, pod(2)).current == 2


pods = st.lists(
    st.builds(
        pod,
        st.integers(1, 20),
        st.sampled_from([WANTED, OTHER]),
        ready=st.booleans(),
        stopping=st.booleans(),
        phase=st.sampled_from(["Pending", "Running", "Failed", "Unknown"]),
    ),
    unique_by=lambda pod: pod["metadata"]["name"],
    max_size=5,
)


@given(pods, st.sampled_from(B), st.integers(0, 25), st.booleans(), st.booleans())
def test_whatever_is_observed(
    observed: list[dict[str, Any]], broadcasting: Broadcasting, recorded: int, keeps_volume: bool, has_turn: bool
) -> None:
    more = {"recorded": recorded, "keeps_volume": keeps_volume, "has_turn": has_turn}
    made = decide(*observed, broadcasting=broadcasting, **more)
    staying = {p["metadata"]["name"]: p for p in observed if "deletionTimestamp" not in p["metadata"]}
    numbers = [int(p["metadata"]["annotations"][INCARNATION_NUMBER]) for p in observed]
    assert set(made.remove) <= set(staying)
    if made.create:
        assert made.current == max([recorded, *numbers]) + 1
    else:
        assert made.current is None or f"keynote-{made.current}" in set(staying) - set(made.remove)
    if broadcasting is B.LIVE and staying and all(p["status"]["phase"] == "Running" for p in observed):
        newest = max(staying, key=lambda name: int(name.rpartition("-")[2]))
        assert newest not in made.remove
    # At most one pod is there afterwards.
    assert len(set(staying) - set(made.remove)) + made.create <= 1
    if keeps_volume and made.create:
        assert not observed
    assert made.reason.isalpha() and made.message.endswith(".")
