"""Verbs over a state folder that no process serves: what they show, and how they say what is not there."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from onair_core.contract import EventType
from onair_core.local_state import LocalState
from onair_operator.eventlog import Entry, EventLog, FileEventLogs, ObjectRef, Subject
from onair_operator.verbs.changes import complete, rotate_key
from onair_operator.verbs.endpoints import list_endpoints
from onair_operator.verbs.events import events
from onair_operator.verbs.figures import Figures, parse_figures
from onair_operator.verbs.health import health_lines
from onair_operator.verbs.streams import asset_row, assets, key, stream_row, streams

Object = dict[str, Any]


class Folder:
    """A state folder as `onair local` left it."""

    def __init__(self, folder: Path) -> None:
        self.state = LocalState(folder)
        self.state.objects.mkdir(parents=True)

    def put(
        self, kind: str, name: str, spec: Object, status: Object, namespace: str = "default", **metadata: Any
    ) -> None:
        path = self.state.path(kind, namespace, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {"name": name, "namespace": namespace, "uid": f"uid-{name}", **metadata}
        path.write_text(yaml.safe_dump({"kind": kind, "metadata": known, "spec": spec, "status": status}))

    def run(self, command: Any, *arguments: str) -> Result:
        return CliRunner().invoke(command, [*arguments, "--state-dir", os.fspath(self.state.folder)])

    def table(self, command: Any, *arguments: str) -> list[dict[str, str]]:
        """Rows by column."""
        result = self.run(command, *arguments)
        assert result.exit_code == 0, result.output
        head, *rows = [[cell.strip() for cell in line.split("   ") if cell] for line in result.stdout.splitlines()]
        return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "state")


def conditions(status: str, reason: str, message: str = "") -> Object:
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message}]}


# onair webhooks list


def test_an_endpoint_is_shown_with_what_waits_and_what_failed_but_not_its_url(folder: Folder) -> None:
    spec = {"url": "https://user:hush@hooks.example:8443/in?token=hush", "events": ["video.asset.*"]}
    status = conditions("False", "DeliveryFailing", "2 tries failed since the last success: HTTP 503")
    failure = {"at": "2026-01-01T00:00:00Z", "code": 503, "message": "HTTP 503"}
    folder.put("WebhookEndpoint", "my-app", spec, {**status, "pending": 7, "lastFailure": failure})
    for output in ("table", "wide"):
        result = folder.run(list_endpoints, "-o", output)
        assert "hush" not in result.output and "hooks.example:8443" in result.stdout
        assert "my-app: DeliveryFailing: 2 tries failed since the last success: HTTP 503" in result.stderr
    (row,) = folder.table(list_endpoints, "-o", "wide")
    assert (row["READY"], row["PENDING"], row["CODE"], row["SUCCESS"]) == ("no", "7", "503", "-")
    assert (row["REASON"], row["EVENTS"]) == ("DeliveryFailing", "video.asset.*")
    assert json.loads(folder.run(list_endpoints, "my-app", "-o", "json").stdout)["status"]["pending"] == 7
    assert yaml.safe_load(folder.run(list_endpoints, "-o", "yaml").stdout)[0]["spec"] == spec


def test_an_endpoint_whose_namespace_has_no_streams_is_remarked(folder: Folder) -> None:
    folder.put("WebhookEndpoint", "my-app", {"url": "http://a.example/"}, conditions("True", "Delivering"), "events")
    assert "my-app: nothing will be sent: namespace events has no LiveStream" in folder.run(list_endpoints).stderr
    folder.put("LiveStream", "a", {}, {}, "events")
    assert "nothing will be sent" not in folder.run(list_endpoints).stderr
    assert "no WebhookEndpoint" in folder.run(list_endpoints, "other").stderr


# onair streams, onair assets


def live_stream(**status: Any) -> Object:
    metadata = {"name": "keynote", "namespace": "default"}
    return {"kind": "LiveStream", "metadata": metadata, "spec": {}, "status": {**conditions("True", "X"), **status}}


def test_an_open_reconnect_window_is_shown_with_what_is_left_of_it() -> None:
    away = live_stream(connected=False, broadcast={"id": "b", "deadline": "1970-01-01T00:01:40Z"})
    assert [stream_row(away, now=now, figures=None)[3] for now in (62.0, 100.0, None)] == ["no (38s left)", "no", "no"]
    assert stream_row(live_stream(connected=True), now=0.0, figures=None)[3] == "yes"


def test_a_disabled_stream_is_neither_ready_nor_not() -> None:
    disabled = {**live_stream(phase="Disabled"), "status": {"phase": "Disabled", **conditions("True", "Disabled")}}
    assert stream_row(disabled, now=None, figures=None)[2:5] == ["Disabled", "no", ""]


def test_streams_are_sorted_by_namespace_and_name_and_figures_are_missing_without_a_process(folder: Folder) -> None:
    for name, namespace in (("a", "z"), ("keynote", "default"), ("keynote-2", "default")):
        folder.put("LiveStream", name, {}, conditions("True", "AcceptingPublisher"), namespace)
    rows = folder.table(streams, "-o", "wide")
    assert [(row["NAME"], row["HEALTH"], row["BITRATE"]) for row in rows] == [
        ("keynote", "-", "-"), ("keynote-2", "-", "-"), ("a", "-", "-")
    ]  # fmt: skip


def test_the_wide_table_has_the_figures_of_the_process() -> None:
    figures = Figures(health="good", values={"bitrate_bits": 2_512_345.0})
    assert stream_row(live_stream(), now=0.0, figures=figures)[6:8] == ["good", "2.5M"]


GOP_TOO_LONG = {"reason": "GopTooLong", "message": "Keyframes are 12.0 s apart."}


def test_the_wide_table_marks_what_is_wrong() -> None:
    wrong = live_stream(conditions=[{"type": "IngestHealthy", "status": "False", **GOP_TOO_LONG}])
    assert stream_row(wrong, now=0.0, figures=Figures(health="good"))[6] == "good, GopTooLong"
    assert stream_row(wrong, now=0.0, figures=Figures())[6] == "GopTooLong"


# onair health


def test_health_says_what_is_wrong_and_what_is_judged() -> None:
    text = """
onair_publisher_connected{namespace="default",name="keynote"} 1.0
onair_ingest_health{namespace="default",name="keynote",rating="excellent"} 1.0
onair_ingest_bitrate_bits{namespace="default",name="keynote"} 128000.0
onair_ingest_drift_milliseconds{namespace="default",name="keynote"} -1132.0
onair_ingest_drift_deviation_milliseconds{namespace="default",name="keynote"} 12.0
onair_dropped_units_total{namespace="default",name="keynote",reason="sound before the first picture"} 3.0
onair_broadcast_seconds{namespace="default",name="keynote"} 42.0
"""
    figures = parse_figures(text)["default", "keynote"]
    assert figures.media == 42.0
    assert list(health_lines(figures, GOP_TOO_LONG)) == [
        ("Problem", "GopTooLong: Keyframes are 12.0 s apart."),
        ("Health", "excellent: media keeps up with the clock"),
        ("Bitrate", "0.1 Mbit/s"),
        ("Frame rate", "-"),
        ("Keyframe interval", "-"),
        ("Longest interval", "-"),
        ("Off its pace by", "12.0 ms"),
        ("Dropped", "3 × sound before the first picture (usual at the beginning of a connection)"),
    ]


@pytest.mark.parametrize(
    ("connected", "values", "said"),
    [
        (False, {}, "no encoder is publishing"),
        (True, {}, "an encoder is connected, and has sent nothing yet"),
        (True, {"bitrate_bits": 1e6, "keyframes": 0.0}, "waiting for the first keyframe"),
        (
            True,
            {"bitrate_bits": 1e6, "keyframes": 1.0, "keyframe_interval_seconds": 3.2},
            "waiting for the second keyframe, 3.2 s since the first",
        ),
    ],
)
def test_health_says_what_it_waits_for(connected: bool, values: dict[str, float], said: str) -> None:
    lines = dict(health_lines(Figures(connected=connected, values=values), None))
    assert lines["Health"] == f"unknown: {said}"
    assert ("Bitrate" in lines) is connected


def test_recordings_are_listed_by_time_and_one_that_grows_has_no_stale_duration(folder: Folder) -> None:
    watch = [{"name": "main", "id": "abcdefgh", "url": "http://a.example/abcdefgh.m3u8"}]
    times = {"keynote-zz": "2026-01-01T00:00:00Z", "keynote-aa": "2026-01-02T00:00:00Z"}
    for name, at in times.items():
        status = {
            "state": "Ready",
            "startedAt": at,
            "duration": 3725.9,
            "isLive": name == "keynote-aa",
            "playback": watch,
        }
        folder.put("Asset", name, {"liveStream": {"name": "keynote"}}, status, creationTimestamp=at)
    rows = folder.table(assets, "-o", "wide")
    assert [(row["NAME"], row["DURATION"]) for row in rows] == [("keynote-zz", "1:02:05"), ("keynote-aa", "-")]
    assert rows[0]["WATCH"] == "http://a.example/watch/abcdefgh"
    began = {
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"liveStream": {"name": "c"}},
        "status": {"isLive": True, "startedAt": "1970-01-01T00:00:10Z"},
    }
    assert asset_row(began, {("b", "c"): Figures(media=42.7)}, wide=False)[4] == "0:42+", "media, not the clock"


# onair key, onair complete, onair rotate-key


def test_a_key_can_be_had_as_url_in_json(folder: Folder) -> None:
    ingest = {"rtmp": "rtmp://a/app", "rtmps": "rtmps://a/app", "streamKeySecret": {"name": "s", "key": "k"}}
    folder.put("LiveStream", "keynote", {}, {"ingest": ingest})
    path = folder.state.path("Secret", "default", "s")
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"data": {"k": base64.b64encode(b"k" * 20).decode()}}))
    told = json.loads(folder.run(key, "keynote", "--url", "--rtmps", "-o", "json").stdout)
    assert told == {"server": "rtmps://a/app", "streamKey": "k" * 20, "url": f"rtmps://a/app/{'k' * 20}"}


def test_changes_are_told_as_json_too(folder: Folder, tmp_path: Path) -> None:
    file = tmp_path / "keynote.yaml"
    file.write_text("apiVersion: onair.dev/v1alpha1\nkind: LiveStream\nmetadata: {name: keynote}\nspec: {}\n")
    folder.put("LiveStream", "keynote", {}, {"broadcast": {"id": "b"}})
    stored = folder.state.path("LiveStream", "default", "keynote")
    stored.write_text(stored.read_text() + yaml.safe_dump({"bookkeeping": {"source": str(file)}}))
    told = json.loads(folder.run(rotate_key, "keynote", "-o", "json").stdout)
    assert (told["file"], told["reset"]) == (str(file), False)
    assert told["rotation"] in file.read_text()
    assert "Going back to an earlier value makes its key work again." in folder.run(rotate_key, "keynote").stdout
    assert json.loads(folder.run(complete, "keynote", "-o", "json").stdout) == {"broadcast": "b", "complete": False}


# onair events


def keep_event(folder: Folder, kind: EventType = EventType.STREAM_CREATED, **more: Any) -> None:
    entry = Entry(
        seq=1, id="e", type=kind, at=1.25, recorded_at=2.5, source="own/created",
        object=ObjectRef("live", "uid-keynote"), **{"data": {}, **more},
    )  # fmt: skip
    log = EventLog(subject=Subject("LiveStream", "default", "keynote", "uid-keynote"), next_seq=2, entries=(entry,))
    asyncio.run(FileEventLogs(folder.state.event_logs).save(log, None))


def test_times_of_events_are_the_same_in_every_form(folder: Folder) -> None:
    folder.put("LiveStream", "keynote", {}, {})
    keep_event(folder)
    (event,) = json.loads(folder.run(events, "keynote", "-o", "json").stdout)
    assert (event["at"], event["recorded_at"]) == ("1970-01-01T00:00:01.250Z", "1970-01-01T00:00:02.500Z")
    assert yaml.safe_load(folder.run(events, "keynote", "-o", "yaml").stdout) == [event]
    assert folder.run(events, "keynote").stdout.startswith("1970-01-01T00:00:01Z")


def test_a_warning_is_shown_with_its_message(folder: Folder) -> None:
    folder.put("LiveStream", "keynote", {}, {})
    warning = {"type": "gop_too_long", "message": GOP_TOO_LONG["message"]}
    keep_event(folder, EventType.STREAM_WARNING, reason="GopTooLong", data={"warning": warning})
    assert folder.run(events, "keynote").stdout.endswith(" GopTooLong: Keyframes are 12.0 s apart.\n")


def test_following_says_when_the_process_is_gone_and_ends_quietly_by_ctrl_c(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("LiveStream", "keynote", {}, {})
    keep_event(folder)
    turns = iter((None, None, KeyboardInterrupt))

    def sleep(_: float) -> None:
        if error := next(turns):
            raise error

    monkeypatch.setattr("onair_operator.verbs.events.time.sleep", sleep)
    result = folder.run(events, "keynote", "--follow")
    assert result.exit_code == 130
    assert result.stdout.count("video.live_stream.created") == 1
    assert result.stderr == "onair local is not running; waiting for it\n"
