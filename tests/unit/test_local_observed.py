"""Which events an edit causes, told by what was observed last: so a kill between two writes loses none."""

from __future__ import annotations

from typing import Any

from onair_core.contract import EventType
from onair_operator.local.bookkeeping import OBSERVED, note
from onair_operator.local.observed import events_of_change, mark

PLAYBACK = [{"name": "main", "id": "keynote-2026", "policy": "public", "url": "http://a/keynote-2026.m3u8"}]


def stream(spec: dict[str, Any], told: dict[str, Any] | None, playback: Any = PLAYBACK) -> dict[str, Any]:
    metadata = {"generation": 4, "resourceVersion": "17"}
    made = {"metadata": metadata, "spec": spec, "status": {"playback": playback}}
    if told is not None:
        note(made, OBSERVED, mark(told))
    return made


def test_a_stream_that_was_never_told_of_is_created() -> None:
    assert events_of_change(stream({"title": "a"}, None), PLAYBACK) == [(EventType.STREAM_CREATED, "created")]


def test_nothing_is_told_twice() -> None:
    assert events_of_change(stream({"title": "a"}, {"title": "a"}), PLAYBACK) == []


def test_disabling_is_no_update_unless_something_else_changed_too() -> None:
    told = events_of_change(stream({"title": "a", "disabled": True}, {"title": "a", "disabled": False}), PLAYBACK)
    assert told == [(EventType.STREAM_DISABLED, "generation-4")]
    told = events_of_change(stream({"title": "b", "disabled": False}, {"title": "a", "disabled": True}), PLAYBACK)
    assert told == [(EventType.STREAM_ENABLED, "generation-4"), (EventType.STREAM_UPDATED, "generation-4")]


def test_another_playback_id_is_an_update_but_another_address_of_this_machine_is_none() -> None:
    elsewhere = [{**PLAYBACK[0], "url": "http://b/keynote-2026.m3u8"}]
    renamed = [{**PLAYBACK[0], "id": "other-2026"}]
    told = stream({}, {})
    assert events_of_change(told, elsewhere) == []
    assert events_of_change(told, renamed) == [(EventType.STREAM_UPDATED, "playback-17")]
