"""An ingest pod's process, as the operator drives it: over its control port, with a real encoder."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from ingest_pod import GOING_LIVE, KEY, E, Pod, types

from onair_core.contract import (
    Cursor,
    Drained,
    HttpLimitsSpec,
    LimitsSpec,
    PlaybackEntry,
    PodConfig,
    StreamRef,
    config_hash,
)
from onair_core.contract.control import CONFIG_HEADER


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    pod = Pod(tmp_path)
    await pod.start()
    yield pod
    await pod.stop(signal.SIGKILL)


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
    async with pod.asked("GET", "/v1/events") as answer:
        assert answer.headers[CONFIG_HEADER] == applied.hash


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
    assert "onair_playback_requests_total" in text and KEY not in text and pod.access.token not in text


async def test_without_a_host_it_is_reached_by_ipv4_and_ipv6(tmp_path: Path) -> None:
    """In a cluster a pod may have addresses of one of them, or of both."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")
    pod = Pod(tmp_path, host="")
    await pod.start()
    try:
        for host in ("127.0.0.1", "::1"):
            for port in (pod.rtmp, pod.http, pod.control, pod.probes):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
    finally:
        await pod.stop()


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
            drained = msgspec.json.decode(await answer.read(), type=Drained)
            assert not drained.idle and drained.newest >= Cursor(events[-1].epoch, events[-1].n)
        broadcast = events[0].broadcast
        assert broadcast is not None
        async with pod.asked("POST", f"/v1/broadcasts/{broadcast.id}/complete"):
            pass
        last = (await pod.events_until(E.ASSET_COMPLETED))[-1]
    newest = Cursor(last.epoch, last.n)
    for config in (pod.config, msgspec.structs.replace(pod.config, taken=newest)):
        await pod.put(config)
        async with pod.asked("POST", "/v1/drain") as answer:
            assert msgspec.json.decode(await answer.read(), type=Drained) == Drained(idle=True, newest=newest)
    async with pod.publisher() as publisher, asyncio.timeout(30):
        await publisher.wait()
    async with pod.asked("POST", "/v1/drain") as answer:
        assert msgspec.json.decode(await answer.read(), type=Drained).newest == newest, "and so nothing has happened"


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
