"""Webhooks to a real receiver: in order, signed, and none lost or renamed when `onair local` is killed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from encoders import FFmpeg
from service import Service, until

SECRET = "whsec-of-the-test"

BROADCAST = [
    "video.live_stream.connected",
    "video.asset.created",
    "video.live_stream.recording",
    "video.live_stream.active",
    "video.asset.ready",
    "video.live_stream.disconnected",
]


@dataclass
class Receiver:
    """Verifies each webhook as Mux's SDK does; answers 503 while it is `down`."""

    url: str = ""
    down: bool = False
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        fields = dict(part.split("=", 1) for part in request.headers["Mux-Signature"].split(","))
        expected = hmac.new(SECRET.encode(), f"{fields['t']}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(fields["v1"], expected):
            self.refused.append(request.headers["Mux-Signature"])
            return web.Response(status=400)
        if self.down:
            return web.Response(status=503)
        self.taken.append(json.loads(body))
        return web.Response()

    def types(self) -> list[str]:
        """Each event once, as a receiver that knows ids sees them."""
        return list({event["id"]: event["type"] for event in self.taken}.values())


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def test_a_broadcast_told_in_order(onair_local: Service, ffmpeg: FFmpeg, receiver: Receiver) -> None:
    onair_local.manifests.webhook("my-app", receiver.url, SECRET)
    await until(lambda: onair_local.state.read("WebhookEndpoint", "default", "my-app"), "the endpoint")
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    await ffmpeg.stop()
    await onair_local.has("keynote", "disconnected")
    onair_local.complete("keynote")
    await until(
        lambda: {"video.live_stream.idle", "video.asset.live_stream_completed"} <= set(receiver.types()), "all came"
    )
    told = [kind for kind in receiver.types() if kind != "video.live_stream.created"]
    assert told[: len(BROADCAST)] == BROADCAST
    assert receiver.refused == []
    logged = [event["id"] for event in onair_local.events("keynote")]
    assert [i for i in logged if i in {e["id"] for e in receiver.taken}] == list({e["id"]: 0 for e in receiver.taken})
    assert onair_local.key("keynote") not in json.dumps(receiver.taken)
    by_type = {event["type"]: event for event in receiver.taken}
    assert by_type["video.live_stream.active"]["object"]["type"] == "live"
    assert by_type["video.live_stream.active"]["data"]["status"] == "active"
    onair_local.manifests.remove("keynote")
    await until(lambda: receiver.types()[-1] == "video.live_stream.deleted", "the last word on the stream")


async def test_none_is_lost_or_renamed_when_onair_local_is_killed(
    onair_local: Service, ffmpeg: FFmpeg, receiver: Receiver
) -> None:
    onair_local.manifests.webhook("my-app", receiver.url, SECRET)
    await until(lambda: onair_local.state.read("WebhookEndpoint", "default", "my-app"), "the endpoint")
    receiver.down = True
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    before = {event["id"] for event in onair_local.events("keynote")}
    await onair_local.kill()
    receiver.down = False
    await onair_local.start()
    await ffmpeg.kill()
    await until(lambda: set(BROADCAST) <= set(receiver.types()), "all came", patience=60)
    told = [kind for kind in receiver.types() if kind != "video.live_stream.created"]
    assert told == BROADCAST
    logged = {event["id"] for event in onair_local.events("keynote")}
    assert before <= logged
    assert {event["id"] for event in receiver.taken} <= logged
