"""Whatever the internet throws at port 5222, a healthy publisher and its viewers do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from attackers import Attack, attacker
from encoders import FFmpeg, need
from hls_rules import Follower
from hostile_publishers import SLOW as SLOW_PUBLISHERS
from hostile_publishers import WITH_KEY
from hostile_unknown import SLOW as SLOW_UNKNOWN
from hostile_unknown import WITHOUT_KEY
from service import Manifests, Service, until
from viewers import following

SLOW = SLOW_UNKNOWN | SLOW_PUBLISHERS

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What the server may grow by while all of this goes on, in megabytes: what waiting connections may hold (64 in all), one
# publisher's unfinished messages (24 and a read), the live windows of the attackers' own streams. Measured: 31.
MEMORY_BOUND_MB = 120
# The healthy stream's segments are two seconds long: a viewer must have seen a new one within three of them.
LATE_SECONDS = 6.0


@dataclass
class Healthy:
    """The stream that must not notice, and its viewer."""

    service: Service
    followers: dict[str, Follower]
    memory_before: float
    seen: dict[str, int] = field(default_factory=dict)
    progress: float = 0.0

    async def watch(self) -> None:
        """Notes when the viewer last saw something new."""
        self.progress = time.monotonic()
        while True:
            seen = {name: len(follower.by_number) for name, follower in self.followers.items()}
            if all(count > self.seen.get(name, 0) for name, count in seen.items()):
                self.seen, self.progress = seen, time.monotonic()
            await asyncio.sleep(0.1)

    def has_not_noticed(self) -> None:
        assert time.monotonic() - self.progress < LATE_SECONDS, "the healthy stream's playlist is late"
        assert not any(follower.discontinuities for follower in self.followers.values())
        assert self.memory() - self.memory_before < MEMORY_BOUND_MB

    def memory(self) -> float:
        """Megabytes."""
        status = Path(f"/proc/{self.service.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def onair_local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("hostile")
    manifests = Manifests(folder / "manifests")
    manifests.stream("keynote")
    for name in ("attacked", "slow", "half-open"):
        manifests.stream(name, reconnectWindowSeconds=0)
    service = Service(manifests, folder / "state")
    await service.start()
    for name in ("keynote", "attacked", "slow", "half-open"):
        await service.provisioned(name)
    yield service
    await service.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def healthy(onair_local: Service, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Healthy]:
    need("ffmpeg")
    encoder = FFmpeg(tmp_path_factory.mktemp("encoder") / "ffmpeg.log")
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    async with following(onair_local.playback_url("keynote")) as followers:
        found = Healthy(onair_local, followers, 0.0)
        found.memory_before = found.memory()
        watching = asyncio.create_task(found.watch())
        yield found
        watching.cancel()
    await encoder.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def slow(onair_local: Service, healthy: Healthy) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
    """Those that take their time begin first, and go on beside all others."""
    keys = {name: onair_local.key("half-open" if name.startswith("41") else "slow") for name in SLOW}
    tasks = {name: asyncio.create_task(carry_out(onair_local, keys[name], SLOW[name])) for name in SLOW}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def carry_out(service: Service, key: str, attack: Attack) -> None:
    async with asyncio.timeout(60), attacker(service, key) as it:
        await attack(it)


def cases(attacks: dict[str, Attack]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", attacks)


@cases(WITHOUT_KEY)
async def test_without_a_key(onair_local: Service, healthy: Healthy, name: str) -> None:
    await carry_out(onair_local, onair_local.key("attacked"), WITHOUT_KEY[name])
    healthy.has_not_noticed()


@cases(WITH_KEY)
async def test_with_a_key(onair_local: Service, healthy: Healthy, name: str) -> None:
    await carry_out(onair_local, onair_local.key("attacked"), WITH_KEY[name])
    healthy.has_not_noticed()


async def test_over_tls_with_the_handshake_and_then_noise(onair_local: Service, healthy: Healthy) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for data in (bytes(5000), b"\3" + bytes(3072) + b"\xff" * 99):
        async with attacker(onair_local, "", tls=context) as it:
            with contextlib.suppress(ConnectionError):
                await it.send(data)
            await it.is_cut()
    healthy.has_not_noticed()


async def test_all_of_them_at_once(onair_local: Service, healthy: Healthy) -> None:
    """What each of them comes to is not looked at: those with the key are in each other's way."""
    key = onair_local.key("attacked")
    attacks = [*WITHOUT_KEY.values(), *(attack for name, attack in WITH_KEY.items() if name[:2] not in ("42", "43"))]
    outcomes = await asyncio.gather(
        *(carry_out(onair_local, key, attack) for attack in attacks), return_exceptions=True
    )
    assert not any(isinstance(outcome, TimeoutError) for outcome in outcomes)
    healthy.has_not_noticed()
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
    "play",
]


async def counted(service: Service) -> set[str]:
    """The reasons in the metrics."""
    assert service.endpoint is not None
    async with aiohttp.ClientSession() as session, session.get(f"{service.endpoint.http}/metrics") as answer:
        return set(re.findall(r'onair_ingest_rejected_total\{reason="(\w+)"\}', await answer.text()))


@cases(SLOW)
async def test_in_their_own_time(healthy: Healthy, slow: dict[str, asyncio.Task[None]], name: str) -> None:
    await slow[name]
    healthy.has_not_noticed()


async def test_nobody_noticed_and_nothing_was_a_defect(onair_local: Service, healthy: Healthy) -> None:
    seen = dict(healthy.seen)
    await until(lambda: all(healthy.seen[name] > seen[name] for name in seen), "the stream goes on")
    healthy.has_not_noticed()
    assert onair_local.types("keynote").count("disconnected") == 0
    assert "Traceback" not in onair_local.log.read_text()
