"""Which events an edit causes, told by what was observed last: so a kill between two writes loses none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onair_core.contract import EventType
from onair_operator.eventlog import Entry, EventLog, Subject, append_own, new_log
from onair_operator.local.bookkeeping import OBSERVED, note
from onair_operator.local.observed import events_of_change, mark
from onair_operator.webhooks import snapshot

PLAYBACK = [{"name": "main", "id": "keynote-2026", "policy": "public", "url": "http://a/keynote-2026.m3u8"}]
RENAMED = [{**PLAYBACK[0], "id": "other-2026"}]


def stream(spec: dict[str, Any], told: dict[str, Any] | None, playback: Any = PLAYBACK) -> dict[str, Any]:
    metadata = {"name": "keynote", "uid": "uid-of-keynote", "generation": 4, "resourceVersion": "17"}
    made = {"metadata": metadata, "spec": spec, "status": {"playback": playback}}
    if told is not None:
        note(made, OBSERVED, mark(told))
    return made


def changes(stream: dict[str, Any], playback: Any = PLAYBACK, log: Sequence[Entry] = ()) -> list[tuple[EventType, str]]:
    return events_of_change(stream, playback, log)


def test_a_stream_that_was_never_told_of_is_created() -> None:
    assert changes(stream({"title": "a"}, None)) == [(EventType.STREAM_CREATED, "created")]


def test_nothing_is_told_twice() -> None:
    assert changes(stream({"title": "a"}, {"title": "a"})) == []


def test_disabling_is_no_update_unless_something_else_changed_too() -> None:
    told = changes(stream({"title": "a", "disabled": True}, {"title": "a", "disabled": False}))
    assert told == [(EventType.STREAM_DISABLED, "generation-4")]
    told = changes(stream({"title": "b", "disabled": False}, {"title": "a", "disabled": True}))
    assert told == [(EventType.STREAM_ENABLED, "generation-4"), (EventType.STREAM_UPDATED, "generation-4")]


def test_another_playback_id_is_an_update_but_another_address_of_this_machine_is_none() -> None:
    elsewhere = [{**PLAYBACK[0], "url": "http://b/keynote-2026.m3u8"}]
    assert changes(stream({}, {}), elsewhere) == []
    assert [event for event, _ in changes(stream({}, {}), RENAMED)] == [EventType.STREAM_UPDATED]


def logged(log: EventLog, event: EventType, key: str, playback: Any) -> EventLog:
    return append_own(log, event, key, snapshot(event, stream=stream({}, {}, playback)), at=1)


def updated(log: EventLog, before: Any, after: Any) -> EventLog:
    for event, key in changes(stream({}, {}, before), after, log.entries):
        log = logged(log, event, key, after)
    return log


def test_playback_ids_that_the_log_shows_are_not_told_again_after_a_kill_before_status() -> None:
    """The resourceVersion has moved on meanwhile: status was written for a journal's event."""
    log = logged(
        new_log(Subject("LiveStream", "events", "keynote", "u")), EventType.STREAM_CREATED, "created", PLAYBACK
    )
    log = updated(log, PLAYBACK, RENAMED)
    restarted = stream({}, {}, PLAYBACK)
    restarted["metadata"]["resourceVersion"] = "18"
    assert len(log.entries) == 2
    assert changes(restarted, RENAMED, log.entries) == []


def test_playback_ids_that_come_and_go_are_told_each_time() -> None:
    log = new_log(Subject("LiveStream", "events", "keynote", "u"))
    for before, after in [(PLAYBACK, RENAMED), (RENAMED, PLAYBACK), (PLAYBACK, RENAMED)]:
        log = updated(log, before, after)
    assert [e.data["playback_ids"][0]["id"] for e in log.entries] == ["other-2026", "keynote-2026", "other-2026"]
    assert len({entry.id for entry in log.entries}) == 3


def test_a_warning_shows_no_playback_ids_and_is_passed_over() -> None:
    log = updated(new_log(Subject("LiveStream", "events", "keynote", "u")), PLAYBACK, RENAMED)
    log = logged(log, EventType.STREAM_WARNING, "warning", PLAYBACK)
    assert changes(stream({}, {}, PLAYBACK), RENAMED, log.entries) == []
