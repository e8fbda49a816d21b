"""`onair webhooks listen`: sees real deliveries, and refuses what is not signed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from webhook_receivers import say

from onair_core.contract import EventType
from onair_operator.eventlog import FileEventLogs
from onair_operator.webhooks import Deliverer, Endpoint, Environment, OutboundPolicy
from onair_operator.webhooks.settings import SystemClock


class Listener:
    """The command in its own process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode().strip()


@asynccontextmanager
async def listening(*arguments: str) -> AsyncIterator[tuple[Listener, str]]:
    program = "from onair_operator.webhooks.commands import webhooks; webhooks()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "listen", "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    listener = Listener(process)
    try:
        first = await listener.line()
        yield listener, first.removeprefix("listening on ").partition(",")[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def deliver(directory: Path, url: str, secret: bytes) -> None:
    store = FileEventLogs(directory)
    deliverer = Deliverer(store, policy=OutboundPolicy(allow_loopback=True), environment=Environment("test", "Test"))
    await deliverer.start(
        [Endpoint(uid="h", revision="1", namespace="events", name="h", url=url, secrets=(secret,), created_at=0.0)]
    )
    deliverer.wake(await say(store, SystemClock(), "created", event_type=EventType.STREAM_CREATED))
    await deliverer.idle()
    await deliverer.stop()


async def test_verified_events_are_shown_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n")
    async with listening("--secret-file", str(tmp_path / "secret")) as (listener, url):
        await deliver(tmp_path / "events", url, b"hush")
        shown = await listener.line()
    assert "video.live_stream.created" in shown
    assert "events/keynote  #1" in shown
    assert "REFUSED" not in shown


async def test_a_wrong_signature_is_refused_and_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n")
    async with listening("--secret-file", str(tmp_path / "secret")) as (listener, url):
        await deliver(tmp_path / "events", url, b"another")
        assert "REFUSED: no signature matches the secret" in await listener.line()
        async with aiohttp.ClientSession() as session, session.post(url, data=b"\x1b[2J") as response:
            assert response.status == 400
        assert "REFUSED: no signature" in await listener.line()


async def test_whole_webhooks_can_be_had_as_json(tmp_path: Path) -> None:
    async with listening("-o", "json") as (listener, url):
        await deliver(tmp_path / "events", url, b"whatever")
        webhook = json.loads(await listener.line())
    assert webhook["type"] == "video.live_stream.created"
    assert webhook["object"] == {"type": "live", "id": "uid-of-keynote"}
