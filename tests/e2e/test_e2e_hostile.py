"""Whatever the internet throws at port 5222, a healthy publisher and its viewers do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from attackers import ALONE_SECONDS, SETTINGS, TOGETHER_SECONDS, Attack, attacker
from encoders import FFmpeg, need
from healthy import Healthy
from hostile_media import WITH_REAL_MEDIA
from hostile_publishers import SLOW as SLOW_PUBLISHERS
from hostile_publishers import WITH_KEY
from hostile_unknown import SLOW as SLOW_UNKNOWN
from hostile_unknown import WITHOUT_KEY
from service import Manifests, Service, until
from viewers import rendition_urls

SLOW = SLOW_UNKNOWN | SLOW_PUBLISHERS

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What the server may grow by at any moment of all this, in megabytes: one publisher's unfinished messages (24 and a
# read), the live windows and open segments of the attackers' streams, what they hold while they have no key. Measured: 34.
MEMORY_BOUND_MB = 80
# With a publisher that fills its live window (64), the segment that is open and the one being made (50 each), its
# unfinished messages (24), and what the allocator keeps of all that and of a decoder of large pictures (64). Measured:
# 270; it sends 600.
WINDOW_BOUND_MB = 330
# A storm of its own.
NOT_TOGETHER = {"42 a hundred publishes"}


def stream_of(name: str) -> str:
    """Each that has a key has a stream for itself: nobody may publish to one too often."""
    return ("own-" + re.sub(r"[^a-z0-9]+", "-", name.lower()))[:50].strip("-")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def onair_local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("hostile")
    manifests = Manifests(folder / "manifests", SETTINGS)
    manifests.stream("keynote")
    theirs = ["attacked", *map(stream_of, SLOW_PUBLISHERS | WITH_KEY | WITH_REAL_MEDIA)]
    for name in theirs:
        manifests.stream(name, reconnectWindowSeconds=0)
    service = Service(manifests, folder / "state")
    await service.start()
    for name in ("keynote", *theirs):
        await service.provisioned(name)
    yield service
    await service.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def healthy(onair_local: Service, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Healthy]:
    need("ffmpeg")
    encoder = FFmpeg(tmp_path_factory.mktemp("encoder") / "ffmpeg.log")
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    renditions = await rendition_urls(onair_local.playback_url("keynote"))
    with Healthy(onair_local, renditions, MEMORY_BOUND_MB) as found:
        yield found
    await encoder.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def slow(onair_local: Service, healthy: Healthy) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """Those that take their time begin first, and go on beside all others."""
    streams = {name: stream_of(name) if name in SLOW_PUBLISHERS else "attacked" for name in SLOW}
    tasks = {name: asyncio.create_task(carry_out(onair_local, streams[name], SLOW[name])) for name in SLOW}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def carry_out(service: Service, stream: str, attack: Attack, slack: float = ALONE_SECONDS) -> None:
    async with asyncio.timeout(60), attacker(service, stream, slack=slack) as it:
        await attack(it)


def cases(attacks: dict[str, Attack]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", attacks)


@cases(WITHOUT_KEY)
async def test_without_a_key(onair_local: Service, healthy: Healthy, name: str) -> None:
    with healthy.unharmed():
        await carry_out(onair_local, "attacked", WITHOUT_KEY[name])


@cases(WITH_KEY)
async def test_with_a_key(onair_local: Service, healthy: Healthy, name: str) -> None:
    with healthy.unharmed():
        await carry_out(onair_local, stream_of(name), WITH_KEY[name])


async def test_over_tls_with_the_handshake_and_then_noise(onair_local: Service, healthy: Healthy) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with healthy.unharmed():
        for data in (bytes(5000), b"\3" + bytes(3072) + b"\xff" * 99):
            async with attacker(onair_local, "attacked", tls=context) as it:
                with contextlib.suppress(ConnectionError):
                    await it.send(data)
                await it.is_cut()


@cases(SLOW)
async def test_in_their_own_time(healthy: Healthy, slow: dict[str, asyncio.Task[None]], name: str) -> None:
    with healthy.unharmed():
        await slow[name]


async def test_all_of_them_at_once(onair_local: Service, healthy: Healthy) -> None:
    """Each comes to what it comes to alone."""
    with_key = {name: attack for name, attack in WITH_KEY.items() if name not in NOT_TOGETHER}
    with healthy.unharmed():
        async with asyncio.TaskGroup() as together:
            for name, attack in (WITHOUT_KEY | with_key).items():
                stream = stream_of(name) if name in with_key else "attacked"
                together.create_task(carry_out(onair_local, stream, attack, TOGETHER_SECONDS), name=name)
    assert set(REASONS) <= await counted(onair_local)


REASONS = [
    "protocol",
    "waiting_per_address",
    "unknown_key",
    "refused",
    "application",
    "min_chunk_size",
    "max_message",
    "max_buffered",
    "max_chunk_streams",
    "unaccepted_messages",
    "commands_per_second",
    "controls_per_second",
    "max_streams_created",
    "max_name",
    "amf",
    "amf_limits",
    "unknown_message_type",
    "handshake_deadline",
    "publish_deadline",
    "media_deadline",
    "play",
]


async def counted(service: Service) -> set[str]:
    """The reasons in the metrics."""
    assert service.endpoint is not None
    async with aiohttp.ClientSession() as session, session.get(f"{service.endpoint.http}/metrics") as answer:
        return set(re.findall(r'onair_ingest_rejected_total\{reason="(\w+)"\}', await answer.text()))


@cases(WITH_REAL_MEDIA)
async def test_with_real_media(onair_local: Service, healthy: Healthy, name: str) -> None:
    with healthy.unharmed(bound_mb=WINDOW_BOUND_MB):
        await carry_out(onair_local, stream_of(name), WITH_REAL_MEDIA[name])


async def goes_on(healthy: Healthy) -> None:
    seen = healthy.seen
    await until(lambda: all(healthy.seen[name] > seen[name] for name in seen), "the stream goes on")


async def test_nobody_noticed_and_nothing_was_a_defect(onair_local: Service, healthy: Healthy) -> None:
    await goes_on(healthy)
    with healthy.unharmed(bound_mb=math.inf):  # each attack has been judged for its own peak
        await goes_on(healthy)
    assert onair_local.types("keynote").count("disconnected") == 0
    for name, rendition in healthy.renditions.items():
        assert rendition.decoded() == rendition.continuity.samples, name
    assert "Traceback" not in onair_local.log.read_text()
