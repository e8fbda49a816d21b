"""Mux's own Node SDK as the receiver: what works with Mux's webhooks works with OnAir's."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from webhook_receivers import say

from onair_operator.eventlog import FileEventLogs
from onair_operator.webhooks import Deliverer, Endpoint, Environment, OutboundPolicy
from onair_operator.webhooks.settings import SystemClock

SECRET = "s3cret with spaces, and ümlauts"


class SdkReceiver:
    """`tests/js/mux_receiver.mjs` in Node."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}/"

    async def next(self) -> dict[str, Any]:
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        received: dict[str, Any] = json.loads(line)
        return received


@asynccontextmanager
async def sdk_receiver(js_packages: Path) -> AsyncIterator[SdkReceiver]:
    process = await asyncio.create_subprocess_exec(
        "node",
        "mux_receiver.mjs",
        cwd=js_packages,
        env={**os.environ, "MUX_WEBHOOK_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        yield SdkReceiver(process, int(await asyncio.wait_for(process.stdout.readline(), 30)))
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def delivering(store: FileEventLogs, url: str, *secrets: str) -> AsyncIterator[Deliverer]:
    deliverer = Deliverer(store, policy=OutboundPolicy(allow_loopback=True), environment=Environment("test", "Test"))
    endpoint = Endpoint(
        uid="hook",
        revision="1",
        namespace="events",
        name="hook",
        url=url,
        secrets=tuple(secret.encode() for secret in secrets),
        created_at=0.0,
    )
    await deliverer.start([endpoint])
    try:
        yield deliverer
    finally:
        await deliverer.stop()


async def test_muxs_sdk_verifies_and_unwraps_our_webhooks(js_packages: Path, tmp_path: Path) -> None:
    store = FileEventLogs(tmp_path)
    async with sdk_receiver(js_packages) as receiver, delivering(store, receiver.url, SECRET) as deliverer:
        deliverer.wake(await say(store, SystemClock(), "1", "2"))
        first, second = await receiver.next(), await receiver.next()
        await deliverer.idle()
        assert deliverer.status("hook").last_failure is None
    assert (first["type"], first["object"]) == (
        "video.live_stream.updated",
        {"type": "live", "id": "uid-of-keynote"},
    )
    assert [event["data"]["onair"]["sequence"] for event in (first, second)] == [1, 2]


async def test_muxs_sdk_accepts_either_secret_while_one_replaces_the_other(js_packages: Path, tmp_path: Path) -> None:
    store = FileEventLogs(tmp_path)
    async with (
        sdk_receiver(js_packages) as receiver,
        delivering(store, receiver.url, "next", SECRET) as deliverer,
    ):
        deliverer.wake(await say(store, SystemClock(), "1"))
        assert "refused" not in await receiver.next()


async def test_muxs_sdk_refuses_another_secret_and_the_owner_sees_its_words(js_packages: Path, tmp_path: Path) -> None:
    store = FileEventLogs(tmp_path)
    async with sdk_receiver(js_packages) as receiver, delivering(store, receiver.url, "another") as deliverer:
        deliverer.wake(await say(store, SystemClock(), "1"))
        refused = (await receiver.next())["refused"]
        await deliverer.idle()
        failure = deliverer.status("hook").last_failure
    assert failure is not None
    assert (failure.code, failure.excerpt) == (400, refused)
