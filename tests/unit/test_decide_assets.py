"""Recordings held against what their data is on."""

from __future__ import annotations

from typing import Any

import pytest

from onair_core.contract import ServedAsset
from onair_operator.decide.assets import ON_CLAIM, is_lost, lost_status, served, volume_of, with_readiness

Object = dict[str, Any]
ON_VOLUME, IN_BUCKET = "file:///data/recordings", "s3://recordings/onair"
NOW = 1_800_000_000.0


def asset(name: str = "keynote-1", *, store: str = ON_VOLUME, volume: str | None = "aaaaaaaa", **status: Any) -> Object:
    labels = {"onair.dev/incarnation": volume} if volume else {}
    ids = [{"name": "main", "id": f"id-of-{name}"}]
    return {
        "metadata": {"name": name, "labels": labels, "generation": 2},
        "spec": {"store": {"url": store}, "title": "Keynote"},
        "status": {"playback": ids, "state": "Ready", **status},
    }


@pytest.mark.parametrize(
    ("store", "volume", "stream_exists", "incarnations", "lost"),
    [
        (ON_VOLUME, "aaaaaaaa", True, ["aaaaaaaa", "bbbbbbbb"], False),
        (ON_VOLUME, "aaaaaaaa", True, ["bbbbbbbb"], True),
        (ON_VOLUME, "aaaaaaaa", True, [], True),
        (ON_VOLUME, "aaaaaaaa", False, ["aaaaaaaa"], True),
        (ON_VOLUME, ON_CLAIM, True, [], False),
        (ON_VOLUME, ON_CLAIM, False, [], True),
        (ON_VOLUME, None, False, [], False),
        (IN_BUCKET, "aaaaaaaa", False, [], False),
    ],
)
def test_what_is_lost(store: str, volume: str | None, stream_exists: bool, incarnations: list[str], lost: bool) -> None:
    found = asset(store=store, volume=volume)
    assert is_lost(found, stream_exists=stream_exists, incarnations=incarnations) is lost
    assert (volume_of(found) is None) == (store == IN_BUCKET or volume is None)


def test_one_that_is_lost_says_so_and_when_it_ended() -> None:
    lost = lost_status({"state": "Preparing", "isLive": True, "duration": 3.0}, NOW)
    assert (lost["state"], lost["isLive"], lost["duration"]) == ("Errored", False, 3.0) and "gone with it" in lost[
        "error"
    ]
    assert lost["completedAt"] == "2027-01-15T08:00:00Z"
    assert lost_status({"completedAt": "2026-01-01T00:00:00Z"}, NOW)["completedAt"] == "2026-01-01T00:00:00Z"
    again = lost_status(lost, NOW + 100)
    assert again == lost, "the second look changes nothing"


def test_whether_it_can_be_played() -> None:
    def ready(**status: Any) -> tuple[str, str]:
        found = asset()
        (condition,) = with_readiness(found, status, NOW)["conditions"]
        assert condition["observedGeneration"] == with_readiness(found, status, NOW)["observedGeneration"] == 2
        return condition["status"], condition["reason"]

    assert ready() == ("False", "Preparing") and ready(state="Ready") == ("True", "Playable")
    assert ready(state="Errored", error="gone") == ("False", "Errored")


def test_what_a_pod_serves_is_on_its_volume_and_in_a_stable_order() -> None:
    there = [
        asset("b"),
        asset("a"),
        asset("elsewhere", volume="bbbbbbbb"),
        asset("bucket", store=IN_BUCKET),
        asset("nameless", playback=[]),
    ]
    stores = {"a": ON_VOLUME, "b": ON_VOLUME, "bucket": IN_BUCKET}
    expected = tuple(
        ServedAsset(id=name, store=store, playback_ids=(f"id-of-{name}",), title="Keynote")
        for name, store in stores.items()
    )
    assert served(there, "aaaaaaaa") == served(reversed(there), "aaaaaaaa") == expected
