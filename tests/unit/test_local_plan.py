"""What each LiveStream shall be: class, key, playback IDs, readiness; and what events make of status."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onair_core.contract import BroadcastRef, EventType, JournalEvent, Takeover
from onair_operator.decide.conditions import Verdict, with_condition
from onair_operator.decide.plan import Plan
from onair_operator.decide.status import MAX_EVENTS, asset_status_after, new_asset_status, stream_status_after
from onair_operator.local.plan import plan

ROOT = bytes(32)
E = EventType


def stream(
    name: str, created: str = "2026-01-01T00:00:00Z", status: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "creationTimestamp": created,
        "generation": 1,
    }
    return {"kind": "LiveStream", "metadata": metadata, "spec": spec, "status": status or {}}


def secret(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}


def planned(
    *streams: dict[str, Any], classes: dict[str, Any] | None = None, secrets: dict[str, Any] | None = None
) -> list[Plan]:
    return plan(
        streams,
        classes or {},
        root=ROOT,
        secret=lambda _, name: (secrets or {}).get(name),
        asset_ids={"asset-playback-id": "Asset old"},
        default_store="file:///rec",
    )


def test_a_plain_stream_gets_a_derived_key_and_id_and_the_defaults() -> None:
    (made,) = planned(stream("keynote", playback=[{"name": "main"}]))
    assert made.ready.holds and made.ready.reason == "AcceptingPublisher"
    assert made.config.keys == (made.generated_key,) and made.config.reconnect_window == 60
    assert made.config.asset.store is not None and made.config.asset.store.url == "file:///rec"
    (again,) = planned(stream("keynote", playback=[{"name": "main"}]))
    assert again.config == made.config
    (rotated,) = planned(stream("keynote", streamKey={"rotation": "2"}, playback=[{"name": "main"}]))
    assert rotated.config.key_generation != made.config.key_generation
    assert rotated.config.playback == made.config.playback


def test_a_key_of_ones_own_is_used_and_must_be_there_and_long_enough() -> None:
    own = stream("own", streamKey={"secretRef": {"name": "mine", "key": "k"}})
    (made,) = planned(own, secrets={"mine": secret("mine", k="a-long-enough-stream-key")})
    assert made.config.keys == ("a-long-enough-stream-key",) and made.generated_key is None
    (missing,) = planned(own)
    assert missing.ready.reason == "StreamKeySecretMissing" and missing.config.keys == ()
    (short,) = planned(own, secrets={"mine": secret("mine", k="short")})
    assert short.ready.reason == "StreamKeyUnusable"
    assert "short" not in short.ready.message.replace("shorter", "")


def test_an_id_stays_with_who_holds_it_else_with_the_older() -> None:
    older = stream("older", "2026-01-01T00:00:00Z", playback=[{"name": "main", "id": "same-playback-id"}])
    newer = stream("newer", "2026-02-01T00:00:00Z", playback=[{"name": "main", "id": "same-playback-id"}])
    by_name = {p.ref.name: p for p in planned(newer, older)}
    assert by_name["older"].ready.holds
    told = "same-playback-id belongs to default/older; choose another id"
    assert by_name["newer"].ready == Verdict(False, "PlaybackIdTaken", told)
    newer["status"] = {"playback": [{"id": "same-playback-id"}]}
    by_name = {p.ref.name: p for p in planned(newer, older)}
    assert by_name["newer"].ready.holds and not by_name["older"].ready.holds


def test_who_is_taken_from_is_not_told_to_another_namespace() -> None:
    older = stream("older", "2026-01-01T00:00:00Z", playback=[{"name": "main", "id": "same-playback-id"}])
    newer = stream("newer", "2026-02-01T00:00:00Z", playback=[{"name": "main", "id": "same-playback-id"}])
    newer["metadata"]["namespace"] = "another"
    by_name = {p.ref.name: p for p in planned(newer, older)}
    told = "same-playback-id belongs to a LiveStream of another namespace; choose another id"
    assert by_name["newer"].ready == Verdict(False, "PlaybackIdTaken", told)


def test_a_recordings_id_is_taken_too() -> None:
    (made,) = planned(stream("s", playback=[{"name": "main", "id": "asset-playback-id"}]))
    assert made.ready.reason == "PlaybackIdTaken" and made.config.playback == ()


def test_of_two_that_are_as_old_the_first_by_name_gets_it() -> None:
    claims = [stream(name, playback=[{"name": "main", "id": "same-playback-id"}]) for name in ("b", "a")]
    claims[0]["metadata"]["uid"] = "0"
    ready = {made.ref.name: made.ready.holds for made in planned(*claims)}
    assert ready == {"a": True, "b": False}


def test_a_stream_that_makes_no_sense_costs_nothing_else() -> None:
    contained: list[str] = []

    @contextmanager
    def within(name: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            contained.append(name)

    bad = stream("bad", playback=5)
    made = plan(
        [bad, stream("good")], {}, root=ROOT, secret=lambda *_: None, asset_ids={}, default_store="", contained=within
    )
    assert [one.ref.name for one in made] == ["good"] and contained == ["default/bad"]


def test_a_class_limits_what_publishers_send() -> None:
    cls = {"metadata": {"name": "c"}, "spec": {"ingest": {"maxIngestBitrate": "20M"}}}
    (made,) = planned(stream("s", className="c"), classes={"c": cls})
    assert made.config.max_ingest_bitrate == 20_000_000
    (unlimited,) = planned(stream("s"))
    assert unlimited.config.max_ingest_bitrate is None


def test_two_streams_with_one_key_cannot_both_have_it() -> None:
    reference = {"secretRef": {"name": "mine", "key": "k"}}
    secrets = {"mine": secret("mine", k="a-long-enough-stream-key")}
    by_name = {
        p.ref.name: p
        for p in planned(
            stream("a", "2026-01-01T00:00:00Z", streamKey=reference),
            stream("b", "2026-01-02T00:00:00Z", streamKey=reference),
            secrets=secrets,
        )
    }
    assert by_name["a"].config.keys and not by_name["b"].config.keys
    assert by_name["b"].ready.reason == "StreamKeyTaken"


def test_classes_are_named_bound_once_or_default() -> None:
    fast = {"metadata": {"name": "fast", "annotations": {"onair.dev/is-default-class": "true"}},
            "spec": {"ingest": {"takeover": "Newest"}, "packaging": {"segmentSeconds": 1}}}  # fmt: skip
    (made,) = planned(stream("s"), classes={"fast": fast})
    assert made.class_name == "fast" and made.config.takeover is Takeover.NEWEST
    assert made.config.packaging.segment_seconds == 1
    (bound,) = planned(stream("s", status={"className": "standard"}), classes={"fast": fast})
    assert bound.class_name == "standard"
    (unknown,) = planned(stream("s", className="slow"), classes={"fast": fast})
    assert unknown.ready == Verdict(False, "ClassNotFound", "no LiveStreamClass slow; there are: fast, standard")


def test_a_class_for_other_namespaces_is_refused() -> None:
    cls = {"metadata": {"name": "c"}, "spec": {"allowedNamespaces": {"from": "Selector", "names": ["events"]}}}
    (made,) = planned(stream("s", className="c"), classes={"c": cls})
    assert made.ready.reason == "NamespaceNotAllowed" and made.config.keys == ()


# Status


def event(n: int, kind: EventType, at: float, **data: Any) -> JournalEvent:
    return JournalEvent(epoch=1, n=n, type=kind, at=at, broadcast=BroadcastRef("s-abc", 1), data=data)


def told(status: dict[str, Any], *events: JournalEvent) -> dict[str, Any]:
    for given in events:
        status = stream_status_after(status, given, window=60, disabled=False)
    return status


def test_status_follows_a_broadcast_from_connect_to_idle() -> None:
    status = told({"phase": "Idle"}, event(1, E.STREAM_CONNECTED, 100, recorded=True))
    assert status["phase"] == "Idle" and status["connected"] and status["activeAsset"] == "s-abc"
    status = told(status, event(2, E.STREAM_RECORDING, 101), event(3, E.STREAM_ACTIVE, 102))
    assert status["phase"] == "Active" and status["recording"]
    status = told(status, event(4, E.STREAM_DISCONNECTED, 200, reason="ConnectionLost"))
    assert status["phase"] == "Active" and not status["connected"]
    assert status["broadcast"]["deadline"] == "1970-01-01T00:04:20Z"
    status = told(status, event(5, E.STREAM_CONNECTED, 210, recorded=True))
    assert status["broadcast"] == {"id": "s-abc", "epoch": 1, "startedAt": "1970-01-01T00:01:40Z"}
    status = told(status, event(6, E.STREAM_DISCONNECTED, 300), event(7, E.STREAM_IDLE, 360))
    assert status["phase"] == "Idle" and "broadcast" not in status and "activeAsset" not in status
    assert status["recentAssets"] == ["s-abc"]


def test_a_test_stream_that_is_over_shows_as_disabled() -> None:
    assert told({}, event(1, E.STREAM_IDLE, 1, reason="TestStreamOver"))["phase"] == "Disabled"


def test_only_the_newest_events_are_kept() -> None:
    status = told({}, *(event(n, E.STREAM_CONNECTED, n) for n in range(1, 50)))
    assert len(status["events"]) == MAX_EVENTS and status["events"][-1]["at"] == "1970-01-01T00:00:49Z"


def test_an_asset_becomes_ready_grows_and_is_completed() -> None:
    status = new_asset_status(event(1, E.ASSET_CREATED, 10), [])
    assert status["state"] == "Preparing" and status["isLive"]
    track = {"type": "video", "codec": "avc1", "max_width": 640}
    status = asset_status_after(status, event(2, E.ASSET_READY, 20, duration=4.0, tracks=[track]))
    assert status["state"] == "Ready" and status["tracks"] == [{"type": "video", "codec": "avc1", "maxWidth": 640}]
    status = asset_status_after(status, event(3, E.ASSET_COMPLETED, 30, duration=9.5))
    assert not status["isLive"] and status["duration"] == 9.5
    errored = asset_status_after({}, event(2, E.ASSET_ERRORED, 20, reason="NoMedia", message="No audio or video came."))
    assert errored["state"] == "Errored" and errored["error"] == "No audio or video came."


def test_a_condition_moves_its_time_only_with_its_status() -> None:
    first = with_condition([], "Ready", Verdict(True, "A"), generation=1, now=100)
    second = with_condition(first, "Ready", Verdict(True, "B"), generation=2, now=200)
    third = with_condition(second, "Ready", Verdict(False, "C"), generation=2, now=300)
    assert second[0]["lastTransitionTime"] == first[0]["lastTransitionTime"] and second[0]["reason"] == "B"
    assert third[0]["lastTransitionTime"] != first[0]["lastTransitionTime"] and len(third) == 1


def test_what_is_wrong_with_the_encoder_is_a_condition_until_the_next_one_connects() -> None:
    def healthy(status: dict[str, Any]) -> tuple[str, str]:
        (found,) = [c for c in status["conditions"] if c["type"] == "IngestHealthy"]
        return found["status"], found["reason"]

    status = told({"phase": "Idle"}, event(1, E.STREAM_CONNECTED, 100))
    assert healthy(status) == ("True", "Publishing")
    status = told(status, event(2, E.STREAM_WARNING, 101, reason="GopTooLong", message="Keyframes are 5.0 s apart."))
    assert healthy(status) == ("False", "GopTooLong")
    status = told(status, event(3, E.STREAM_WARNING, 102, reason="RecordingStalled", message="The store is away."))
    assert healthy(status) == ("False", "GopTooLong"), "that is another matter"
    status = told(status, event(4, E.STREAM_DISCONNECTED, 200))
    assert healthy(status) == ("Unknown", "NotPublishing")
    status = told(status, event(5, E.STREAM_CONNECTED, 210))
    assert healthy(status) == ("True", "Publishing")
    reason = "UnsupportedVideoCodec"
    status = told(
        status, event(6, E.STREAM_WARNING, 211, reason=reason), event(7, E.STREAM_DISCONNECTED, 211, reason=reason)
    )
    assert healthy(status) == ("False", reason)
    status = told(status, event(8, E.STREAM_IDLE, 300))
    assert healthy(status) == ("False", reason), "what ended the last connection can still be seen"
    status = told(status, event(9, E.STREAM_CONNECTED, 310), event(10, E.STREAM_IDLE, 320))
    assert healthy(status) == ("Unknown", "NotPublishing")
