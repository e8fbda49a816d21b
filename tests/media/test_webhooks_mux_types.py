"""Every webhook, held against the types of Mux's SDK by the TypeScript compiler: for receivers in typed languages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from onair_core.contract import BroadcastRef, EventType, JournalEvent
from onair_operator.eventlog import Attempt, Subject, append_journal, new_log
from onair_operator.webhooks import Endpoint, Environment, payload, snapshot

STREAM: dict[str, Any] = {
    "metadata": {"name": "keynote", "uid": "stream-uid", "creationTimestamp": "2026-11-23T10:00:00Z"},
    "spec": {"title": "Keynote", "passthrough": "7", "audioOnly": True, "newAssetSettings": {"playback": [{}]}},
    "status": {
        "phase": "Active",
        "connected": True,
        "recording": True,
        "playback": [{"id": "keynote", "policy": "public"}],
        "activeAsset": "keynote-1",
        "recentAssets": ["keynote-1"],
    },
}
ASSET: dict[str, Any] = {
    "metadata": {"name": "keynote-1", "creationTimestamp": "2026-11-23T10:00:00Z"},
    "spec": {"liveStream": {"name": "keynote", "uid": "stream-uid"}, "title": "Keynote", "passthrough": "7"},
    "status": {"state": "Ready", "isLive": True, "playback": [{"id": "recording", "policy": "public"}]},
}
# What Mux's SDK does not describe: OnAir's own part, and the deprecated fields that captured bodies have.
UNTYPED = ("accessor", "accessor_source", "request_id")


def webhook(event_type: EventType, asset: dict[str, Any]) -> dict[str, Any]:
    """The whole webhook of an event with as much in it as there can be."""
    event = JournalEvent(
        epoch=1,
        n=1,
        type=event_type,
        at=1795431600.5,
        broadcast=BroadcastRef("keynote-1", 1),
        data={
            "reason": "NoMedia",
            "message": "No audio or video came.",
            "duration": 12.5,
            "tracks": [
                {"type": "video", "max_width": 1280, "max_height": 720, "max_frame_rate": 30.0},
                {"type": "audio", "max_channels": 2},
            ],
            "recording_times": [{"started_at": 1795431600.5, "duration": 12.5}],
        },
    )
    subject = Subject("LiveStream", "events", "keynote", "stream-uid")
    log = append_journal(
        new_log(subject), [event], lambda e: snapshot(e.type, stream=STREAM, asset=asset, event=e), now=1.0
    )
    endpoint = Endpoint(
        uid="e", revision="1", namespace="events", name="h", url="http://x.test", secrets=(b"s",), created_at=0.0
    )
    tries = [Attempt(number=1, at=1.0, problem="no answer"), Attempt(number=2, at=2.0, status=500, body="oops")]
    entry = log.entries[0]
    whole = payload.envelope(
        entry, subject, Environment("test", "Test"), payload.attempts_shown(entry, endpoint, tries, 30)
    )
    assert whole["data"].pop("onair")["name"] == "keynote"
    return {name: value for name, value in whole.items() if name not in UNTYPED}


def test_every_webhook_has_the_types_of_muxs_sdk(js_packages: Path, tmp_path: Path) -> None:
    failed = {**ASSET, "status": {"state": "Errored"}}
    bodies = [
        webhook(event_type, failed if event_type is EventType.ASSET_ERRORED else ASSET) for event_type in EventType
    ]
    source = 'import Mux from "@mux/mux-node";\nexport const all: Mux.Webhooks.UnwrapWebhookEvent[] = [\n'
    (tmp_path / "webhooks.ts").write_text(source + "".join(f"{json.dumps(body)},\n" for body in bodies) + "];\n")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(js_packages / "node_modules")
    compiler = ["node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck"]
    modules = ["--module", "nodenext", "--moduleResolution", "nodenext", "--preserveSymlinks"]
    checked = subprocess.run(
        [*compiler, *modules, "webhooks.ts"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
