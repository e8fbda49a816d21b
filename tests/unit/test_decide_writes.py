"""What decides over whether status is written: what is not news has to look like what is there."""

from __future__ import annotations

from onair_operator.decide.classes import class_status
from onair_operator.decide.conditions import Verdict
from onair_operator.decide.incarnation import Broadcasting, decide_incarnation, update_pending
from onair_operator.decide.readiness import own_part, verdicts, with_verdicts
from onair_operator.desired.pod import POD_HASH

READY = Verdict(True, "AcceptingPublisher", "A publisher with the stream key can go live.")


def test_a_pod_that_comes_to_be_is_no_news_of_pending_updates() -> None:
    pod = {"metadata": {"name": "keynote-a", "annotations": {POD_HASH: "wanted"}}, "status": {}}
    made = decide_incarnation([], "wanted", Broadcasting.UNKNOWN)
    kept = decide_incarnation([pod], "wanted", Broadcasting.UNKNOWN)
    assert update_pending(made) == update_pending(kept)


def test_an_operator_that_starts_leaves_what_status_says_until_it_has_asked_the_pod() -> None:
    def status(reconciling: Verdict | None) -> list[dict[str, object]]:
        return with_verdicts([], verdicts(READY, unheard=reconciling), generation=1, now=0.0)

    not_yet = Verdict(None, "PodNotAnswering", "it is not connected yet")
    for before in (status(None), status(Verdict(False, "PodNotAnswering", "it does not answer"))):
        assert with_verdicts(before, verdicts(READY, unheard=not_yet), generation=1, now=9.0) == before
    away = verdicts(READY, under_way=Verdict(False, "PodStarting"), unheard=not_yet)
    assert away["Reconciling"] == Verdict(True, "PodStarting"), "what is known is said"


def test_a_default_class_is_told_so_once() -> None:
    metadata = {"name": "standard", "generation": 1, "annotations": {"onair.dev/is-default-class": "true"}}
    cls = {"metadata": metadata}
    told = class_status(cls, {"standard": cls}, problem=None, now=0.0)
    again = {**cls, "status": own_part(told)}
    assert class_status(again, {"standard": again}, problem=None, now=9.0) == told
