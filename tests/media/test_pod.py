"""An ingest pod's process, as the operator drives it: over its control port, with a real encoder."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from free_ports import free_ports
from onair_core.contract import (
    Applied,
    AssetSettings,
    ChannelConfig,
    Cursor,
    Drained,
    EventType,
    HttpLimitsSpec,
    JournalEvent,
    LimitsSpec,
    PlaybackEntry,
    PodConfig,
    StoreSettings,
    StreamRef,
    config_hash,
)
from onair_media.ingest.tls import self_signed

KEY = "key-of-the-pods-only-stream"
TOKEN = "token-of-the-operator-and-of-nobody-else"
E = EventType
GOING_LIVE = [E.STREAM_CONNECTED, E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_ACTIVE, E.ASSET_READY]


class Pod:
    """`config` and `data` are its volumes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret, self.data = folder / "secret", folder / "data"
        self.secret.mkdir()
        self.log = folder / "log"
        self.rtmp, self.http, self.control, self.probes = free_ports(4)
        self.config = PodConfig(
            channel=ChannelConfig(
                stream=StreamRef("events", "keynote", "uid-1"),
                keys=(KEY,),
                key_generation="1",
                playback=(PlaybackEntry("main", "keynote-playback"),),
                asset=AssetSettings(store=StoreSettings(url=f"file://{self.data}/recordings")),
            ),
            title="Opening keynote",
        )
        (self.secret / "config.json").write_bytes(msgspec.json.encode(self.config))
        (self.secret / "token").write_text(TOKEN)
        self_signed(self.secret)
        (self.secret / "rtmps.crt").rename(self.secret / "tls.crt")
        (self.secret / "rtmps.key").rename(self.secret / "tls.key")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onair_core.cli", "ingest", "--config", self.secret, "--data", self.data),
            *("--rtmp", f"127.0.0.1:{self.rtmp}", "--http", f"127.0.0.1:{self.http}"),
            *("--control", f"127.0.0.1:{self.control}", "--probes", f"127.0.0.1:{self.probes}"),
            stderr=self.log.open("ab"),
        )
        async with asyncio.timeout(30):
            while await self.get(f"http://127.0.0.1:{self.probes}/readyz") != 200:
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def get(self, url: str) -> int:
        try:
            async with aiohttp.ClientSession() as http, http.get(url) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(30):
            return await self.process.wait()

    @contextlib.asynccontextmanager
    async def asked(
        self, method: str, path: str, token: str = TOKEN, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The certificate is pinned, as the operator does it."""
        context = ssl.create_default_context(cafile=str(self.secret / "tls.crt"))
        headers = {"Authorization": f"Bearer {token}"}
        url = f"https://127.0.0.1:{self.control}{path}"
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, url, ssl=context, **more) as answer,
        ):
            yield answer

    async def put(self, config: PodConfig) -> Applied:
        async with self.asked("PUT", "/v1/config", data=msgspec.json.encode(config)) as answer:
            assert answer.status == 200, await answer.text()
            return msgspec.json.decode(await answer.read(), type=Applied)

    async def events_until(
        self,
        last: EventType,
        after: Cursor = Cursor(),  # noqa: B008
        listening: asyncio.Event | None = None,
    ) -> list[JournalEvent]:
        found: list[JournalEvent] = []
        async with asyncio.timeout(60), self.asked("GET", f"/v1/events?after={after}") as answer:
            if listening is not None:
                listening.set()
            async for line in answer.content:
                if line.strip():
                    found.append(msgspec.json.decode(line, type=JournalEvent))
                    if found[-1].type is last:
                        return found
        raise AssertionError(f"the pod went away; it had told {[event.type for event in found]}")

    @contextlib.asynccontextmanager
    async def publisher(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onair_core.cli", "push", f"rtmp://127.0.0.1:{self.rtmp}/app/{KEY}"),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    pod = Pod(tmp_path)
    await pod.start()
    yield pod
    await pod.stop(signal.SIGKILL)


def types(events: list[JournalEvent]) -> list[EventType]:
    return [event.type for event in events]


async def test_a_broadcast_from_the_first_event_to_the_last(pod: Pod) -> None:
    assert await pod.get(f"http://127.0.0.1:{pod.http}/keynote-playback.m3u8") == 412
    async with pod.publisher():
        events = await pod.events_until(E.ASSET_READY)
        assert types(events) == GOING_LIVE
        assert await pod.get(f"http://127.0.0.1:{pod.http}/keynote-playback.m3u8") == 200
        broadcast = events[0].broadcast
        assert broadcast is not None
        taken = Cursor(events[-1].epoch, events[-1].n)
        async with pod.asked("POST", "/v1/broadcasts/another/complete") as answer:
            assert answer.status == 404
        async with pod.asked("POST", f"/v1/broadcasts/{broadcast.id}/complete") as answer:
            assert answer.status == 204
        rest = await pod.events_until(E.ASSET_COMPLETED, taken)
        assert types(rest)[-2:] == [E.STREAM_IDLE, E.ASSET_COMPLETED]


async def test_a_configuration_takes_effect_and_says_which_it_is(pod: Pod) -> None:
    assert (await pod.put(pod.config)).hash == config_hash(pod.config)
    other = msgspec.structs.replace(pod.config.channel, playback=(PlaybackEntry("main", "another-playback"),))
    changed = msgspec.structs.replace(pod.config, channel=other)
    applied = await pod.put(changed)
    assert applied.hash == config_hash(changed) != config_hash(pod.config)
    assert await pod.get(f"http://127.0.0.1:{pod.http}/keynote-playback.m3u8") == 404
    assert await pod.get(f"http://127.0.0.1:{pod.http}/another-playback.m3u8") == 412
    assert (await pod.put(msgspec.structs.replace(changed, taken=Cursor(7, 3)))).hash == applied.hash


async def test_the_limits_of_the_class_hold_in_a_pod(pod: Pod) -> None:
    limits = LimitsSpec(max_connections=1, http=HttpLimitsSpec(max_connections=1))
    await pod.put(msgspec.structs.replace(pod.config, limits=limits))
    first, second = [await asyncio.open_connection("127.0.0.1", pod.rtmp) for _ in range(2)]
    async with asyncio.timeout(10):
        assert await second[0].read() == b"", "there is room for one"
    for _, writer in (first, second):
        writer.close()


async def test_probes_and_metrics_need_no_token(pod: Pod) -> None:
    assert await pod.get(f"http://127.0.0.1:{pod.probes}/livez") == 200
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{pod.probes}/metrics") as answer:
        text = await answer.text()
    assert 'onair_publisher_connected{name="keynote",namespace="events"} 0.0' in text
    assert "onair_playback_requests_total" in text and KEY not in text and TOKEN not in text


async def test_nothing_is_told_or_done_without_the_token(pod: Pod) -> None:
    for method, path in [("GET", "/v1/events"), ("PUT", "/v1/config"), ("POST", "/v1/drain"), ("GET", "/anything")]:
        async with pod.asked(method, path, token="another-token-of-the-same-length-as-that") as answer:
            assert answer.status == 401


async def test_what_makes_no_sense_is_refused_with_a_reason(pod: Pod) -> None:
    async with pod.asked("PUT", "/v1/config", data=b"{}") as answer:
        assert answer.status == 422 and "channel" in await answer.text()
    foreign = msgspec.structs.replace(pod.config.channel, stream=StreamRef("events", "keynote", "uid-2"))
    async with pod.asked("PUT", "/v1/config", data=msgspec.json.encode(PodConfig(channel=foreign))) as answer:
        assert answer.status == 409
    async with pod.asked("GET", "/v1/events?after=yesterday") as answer:
        assert answer.status == 400


async def test_a_drained_pod_keeps_its_broadcast_and_begins_no_other(pod: Pod) -> None:
    async with pod.publisher():
        events = await pod.events_until(E.STREAM_ACTIVE)
        async with pod.asked("POST", "/v1/drain") as answer:
            assert msgspec.json.decode(await answer.read(), type=Drained) == Drained(idle=False)
        broadcast = events[0].broadcast
        assert broadcast is not None
        async with pod.asked("POST", f"/v1/broadcasts/{broadcast.id}/complete"):
            pass
        await pod.events_until(E.STREAM_IDLE)
    async with pod.asked("POST", "/v1/drain") as answer:
        assert msgspec.json.decode(await answer.read(), type=Drained) == Drained(idle=True)
    async with pod.publisher() as publisher, asyncio.timeout(30):
        await publisher.wait()
    assert types(await pod.events_until(E.ASSET_COMPLETED)).count(E.STREAM_CONNECTED) == 1


async def test_stopped_while_live_it_tells_the_last_events_and_goes_on_in_the_next_process(pod: Pod) -> None:
    async with pod.publisher():
        events = await pod.events_until(E.ASSET_READY)
        listening = asyncio.Event()
        reading = asyncio.create_task(pod.events_until(E.STREAM_DISCONNECTED, listening=listening))
        await listening.wait()
        assert await pod.stop() == 0
        last = (await reading)[-1]
    assert last.data["reason"] == "ServerRestarted"
    await pod.start()
    async with pod.publisher():
        again = (await pod.events_until(E.STREAM_CONNECTED, Cursor(last.epoch, last.n)))[-1]
    assert again.broadcast is not None and events[0].broadcast is not None
    assert again.broadcast.id == events[0].broadcast.id and again.broadcast.epoch > events[0].broadcast.epoch


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", b'{"channel": 1}', "config.json"),
        ("token", b"short", "shorter than 32"),
        ("tls.key", b"x", "tls"),
    ],
)
async def test_a_mounted_file_that_cannot_be_used_is_named(
    tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    pod = Pod(tmp_path)
    (pod.secret / file).write_bytes(content)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "onair_core.cli", "ingest", "--config", pod.secret, "--data", pod.data),
        *("--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--control", "127.0.0.1:0", "--probes", "127.0.0.1:0"),
        stderr=subprocess.PIPE,
    )
    _, error = await process.communicate()
    assert process.returncode == 1 and said in error.decode() and KEY not in error.decode()
