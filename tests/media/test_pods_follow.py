"""Followers read the journals of ingest pods: real ones, which come and go, and such that want to do harm."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from fake_pods import EVENTS, Connection, FakePod, News, cursor, event, lines
from ingest_pod import GOING_LIVE, E, Pod, types
from prometheus_client import REGISTRY

from free_ports import free_ports
from onair_core.backoff import Backoff
from onair_core.contract import Cursor, JournalEvent, PlaybackEntry, config_hash
from onair_operator.pods.client import Address, Patience
from onair_operator.pods.errors import PodRefused, PodUnreachable
from onair_operator.pods.follower import Habits
from onair_operator.pods.followers import Followers

POD = "uid-of-the-pod"
QUICKLY = Habits(backoff=Backoff(0.02, 0.2))


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    pod = Pod(tmp_path)
    await pod.start()
    yield pod
    await pod.stop(signal.SIGKILL)


@contextlib.asynccontextmanager
async def following(habits: Habits = QUICKLY, **more: Patience) -> AsyncIterator[tuple[Followers, News]]:
    news = News()
    async with Followers(news, habits=habits, **more) as followers:
        yield followers, news


def follow(followers: Followers, pod: Pod | FakePod, uid: str = POD, after: Cursor = Cursor()) -> None:  # noqa: B008
    if isinstance(pod, FakePod):
        followers.follow(uid, pod.stream, pod.address, pod.access, after)
    else:
        followers.follow(uid, pod.config.channel.stream, address_of(pod), pod.access, after)


def address_of(pod: Pod) -> Address:
    return "127.0.0.1", pod.control


async def trouble(followers: Followers, uid: str = POD) -> str:
    """The next one that is told."""
    async with asyncio.timeout(30):
        while (said := followers.trouble(uid)) is None:
            await asyncio.sleep(0.01)
    return said


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"onair_operator_{name}", labels) or 0.0


# Real ingest pods


async def test_events_are_read_until_they_are_taken(pod: Pod) -> None:
    async with following() as (followers, news):
        follow(followers, pod)
        await news.until(lambda: followers.is_connected(POD))
        assert followers.pending(POD) == () and followers.pods() == (POD,)
        async with pod.publisher():
            await news.until(lambda: E.ASSET_READY in types(list(followers.pending(POD))))
            events = followers.pending(POD)
            assert types(list(events)) == GOING_LIVE
            followers.taken(POD, cursor(events[1]))
            assert followers.pending(POD) == events[2:]
            follow(followers, pod, after=cursor(events[3]))
            assert followers.pending(POD) == events[4:]
            followers.taken(POD, cursor(events[1]))
            assert followers.pending(POD) == events[4:]
            taken = msgspec.structs.replace(pod.config, taken=cursor(events[3]))
            assert (await followers.client(POD).put(taken)).hash == followers.applied(POD)
            assert events[0].broadcast is not None
            assert not await followers.client(POD).complete("another")
            assert await followers.client(POD).complete(events[0].broadcast.id)
            await news.until(lambda: E.ASSET_COMPLETED in types(list(followers.pending(POD))))
        assert set(news.heard) == {pod.config.channel.stream}


async def test_a_drained_pod_is_read_to_its_newest_event(pod: Pod) -> None:
    async with following() as (followers, news):
        follow(followers, pod)
        async with pod.publisher():
            await news.until(lambda: E.STREAM_ACTIVE in types(list(followers.pending(POD))))
            drained = await followers.client(POD).drain()
            assert not drained.idle
            broadcast = followers.pending(POD)[0].broadcast
            assert broadcast is not None and await followers.client(POD).complete(broadcast.id)
            async with asyncio.timeout(30):
                while not drained.idle:
                    drained = await followers.client(POD).drain()
        await news.until(lambda: cursor(followers.pending(POD)[-1]) >= drained.newest)
        newest = followers.pending(POD)[-1]
        assert (cursor(newest), newest.type) == (drained.newest, E.ASSET_COMPLETED)


async def test_the_configuration_in_force_is_known_for_as_long_as_the_connection_lasts(pod: Pod) -> None:
    other = msgspec.structs.replace(pod.config.channel, playback=(PlaybackEntry("main", "another-playback"),))
    changed = msgspec.structs.replace(pod.config, channel=other)
    async with following() as (followers, news):
        follow(followers, pod)
        followers.note_applied(POD, "said too early")
        assert followers.applied(POD) is None
        await news.until(lambda: followers.is_connected(POD))
        assert followers.applied(POD) == config_hash(pod.config)
        followers.note_applied(POD, (await followers.client(POD).put(changed)).hash)
        assert followers.applied(POD) == config_hash(changed)
        await pod.stop(signal.SIGKILL)
        await news.until(lambda: not followers.is_connected(POD))
        assert followers.applied(POD) is None
        await pod.start()
        await news.until(lambda: followers.is_connected(POD))
        assert followers.applied(POD) == config_hash(pod.config), "it began with what its Secret has"


async def test_a_killed_pod_is_read_on_where_it_was_without_gap_or_repeat(pod: Pod) -> None:
    async with following() as (followers, news):
        follow(followers, pod)
        async with pod.publisher():
            await news.until(lambda: E.ASSET_READY in types(list(followers.pending(POD))))
            before = followers.pending(POD)
            followers.taken(POD, cursor(before[2]))
            await pod.stop(signal.SIGKILL)
            await news.until(lambda: not followers.is_connected(POD))
            assert followers.pending(POD) == before[3:]
        await pod.start()
        async with pod.publisher():
            await news.until(lambda: types(list(followers.pending(POD)))[-1] is E.STREAM_CONNECTED)
            everything = [*before[:3], *followers.pending(POD)]
        assert types(everything).count(E.STREAM_CONNECTED) == 2
        assert everything == (await events_of(pod, len(everything)))


async def events_of(pod: Pod, count: int) -> list[JournalEvent]:
    """The first ones of its journal, read by something else."""
    found: list[JournalEvent] = []
    async with asyncio.timeout(30), pod.asked("GET", "/v1/events") as answer:
        async for line in answer.content:
            if line.strip():
                found.append(msgspec.json.decode(line, type=JournalEvent))
            if len(found) == count:
                return found
    raise AssertionError(f"only {len(found)} events")


async def test_another_certificate_or_token_is_told_and_nothing_is_read(pod: Pod) -> None:
    stream = pod.config.channel.stream
    impostor = dataclasses.replace(pod.access, fingerprint=bytes(32))
    stranger = dataclasses.replace(pod.access, token="a" * 40)
    async with following() as (followers, news):
        followers.follow("impostor", stream, address_of(pod), impostor, Cursor())
        followers.follow("stranger", stream, address_of(pod), stranger, Cursor())
        assert "somebody else" in await trouble(followers, "impostor")
        assert "401: a bearer token is needed" in await trouble(followers, "stranger")
        with pytest.raises(PodUnreachable):
            await followers.client("impostor").drain()
        with pytest.raises(PodRefused) as refused:
            await followers.client("stranger").put(pod.config)
        assert refused.value.status == 401
        assert len(news.heard) == 2, "of each, that it cannot be read"
        followers.follow("stranger", stream, address_of(pod), pod.access, Cursor())
        await news.until(lambda: followers.is_connected("stranger"))
        assert not followers.is_connected("impostor") and followers.trouble("stranger") is None


async def test_a_pod_is_followed_to_another_address(pod: Pod) -> None:
    stream = pod.config.channel.stream
    async with following() as (followers, news):
        followers.follow(POD, stream, ("127.0.0.1", free_ports(1)[0]), pod.access, Cursor())
        assert "Connect" in await trouble(followers)
        follow(followers, pod)
        await news.until(lambda: followers.is_connected(POD))
        followers.follow(POD, stream, ("127.0.0.1", free_ports(1)[0]), pod.access, Cursor())
        await news.until(lambda: not followers.is_connected(POD))


# Such that want to do harm


async def test_it_is_news_once_that_nobody_answers(tmp_path: Path) -> None:
    """A reconcile that waits for the first try has to know how it went."""

    async def silence(_: str, __: Connection) -> None:
        pass

    fake = FakePod(tmp_path, "nobody", silence)
    fake.address = ("127.0.0.1", free_ports(1)[0])
    async with following() as (followers, news):
        follow(followers, fake)
        assert followers.trouble(POD) is None
        await news.until(lambda: followers.trouble(POD))
        await asyncio.sleep(0.3)
        assert news.heard == [fake.stream]


async def test_who_is_left_is_forgotten(tmp_path: Path) -> None:
    async def answer(_: str, connection: Connection) -> None:
        await connection.say(EVENTS + lines(event(1, 1)))
        await connection.ended()
        gone.set()

    gone = asyncio.Event()
    before = figure("pods_followed"), figure("pods_connected")
    async with FakePod(tmp_path, "a", answer).serving() as fake, following() as (followers, news):
        follow(followers, fake)
        await news.until(lambda: followers.pending(POD))
        assert (figure("pods_followed"), figure("pods_connected")) == (before[0] + 1, before[1] + 1)
        heard = len(news.heard)
        followers.leave(POD)
        followers.leave(POD)
        assert (followers.pods(), followers.pending(POD), followers.is_connected(POD)) == ((), (), False)
        followers.taken(POD, Cursor(1, 1))
        followers.note_applied(POD, "x")
        assert followers.applied(POD) is None and followers.trouble(POD) is None
        with pytest.raises(KeyError):
            followers.client(POD)
        async with asyncio.timeout(30):
            await gone.wait()
        assert len(news.heard) == heard
    assert (figure("pods_followed"), figure("pods_connected")) == before


async def test_more_than_fits_is_left_with_the_pod(tmp_path: Path) -> None:
    count = 20_000

    async def answer(_: str, connection: Connection) -> None:
        said.append(connection)
        await connection.say(EVENTS)
        for first in range(1, count + 1, 50):
            await connection.say(lines(*(event(1, n, text="x" * 200) for n in range(first, first + 50))))
        await connection.ended()

    said: list[Connection] = []
    most = 0
    numbers: list[int] = []
    habits = dataclasses.replace(QUICKLY, most_events=100)
    async with FakePod(tmp_path, "a", answer).serving() as fake, following(habits) as (followers, news):
        follow(followers, fake)
        while len(numbers) < count:
            enough = min(100, count - len(numbers))
            await news.until(lambda enough=enough: len(followers.pending(POD)) >= enough)
            pending = followers.pending(POD)
            most = max(most, len(pending))
            numbers += [one.n for one in pending]
            followers.taken(POD, cursor(pending[-1]))
    assert numbers == list(range(1, count + 1))
    assert len(said) == 1, "in one connection"
    assert most < 100 + 512 * 1024 // 250, "a hundred, and what comes in one piece"


async def test_few_events_that_are_large_are_too_much_as_well(tmp_path: Path) -> None:
    async def answer(_: str, connection: Connection) -> None:
        said.append(connection)
        await connection.say(EVENTS)
        for n in range(1, 1000):
            await connection.say(lines(event(1, n, text="x" * 100_000)))

    said: list[Connection] = []
    async with FakePod(tmp_path, "a", answer).serving() as fake, following() as (followers, news):
        follow(followers, fake)
        await news.until(lambda: len(followers.pending(POD)) >= 10)
        async with asyncio.timeout(30):
            sent = -1
            while sent != said[0].sent:  # until it stands still
                sent = said[0].sent
                for _ in range(100):
                    await asyncio.sleep(0)
        assert len(followers.pending(POD)) < 20
        followers.taken(POD, Cursor(1, 5))
        followers.taken(POD, cursor(followers.pending(POD)[-1]))
        await news.until(lambda: len(followers.pending(POD)) >= 10)


async def test_what_was_taken_meanwhile_is_not_read_again(tmp_path: Path) -> None:
    """Another operator led for a while, or this one has read it from the pod before this one."""

    async def answer(_: str, connection: Connection) -> None:
        await connection.say(EVENTS)
        await may_go_on.wait()
        await connection.say(lines(*(event(1, n) for n in range(1, 8))))
        await connection.ended()

    may_go_on = asyncio.Event()
    async with FakePod(tmp_path, "a", answer).serving() as fake, following() as (followers, news):
        follow(followers, fake)
        await news.until(lambda: followers.is_connected(POD))
        follow(followers, fake, after=Cursor(1, 5))
        may_go_on.set()
        await news.until(lambda: followers.pending(POD))
        assert [one.n for one in followers.pending(POD)] == [6, 7]


async def test_one_that_does_harm_does_none_to_the_others(tmp_path: Path) -> None:
    async def honest(_: str, connection: Connection) -> None:
        await connection.say(EVENTS)
        for n in itertools.count(1):
            await connection.say(lines(event(1, n)))
            if enough_harm.is_set():
                break
            await asyncio.sleep(0.05)
        await connection.say(lines(event(2, 1)))
        await connection.ended()

    async def endless(_: str, connection: Connection) -> None:
        await connection.say(EVENTS)
        while True:
            await connection.say(b"x" * 65536)

    async def empty(_: str, connection: Connection) -> None:
        await connection.say(EVENTS)
        while True:
            await connection.say(b"\n" * 100)

    async def garbage(_: str, connection: Connection) -> None:
        await connection.say(EVENTS + b"{'}\n")

    async def backwards(_: str, connection: Connection) -> None:
        await connection.say(EVENTS + lines(event(1, 1), event(1, 1)))

    async def silent(_: str, connection: Connection) -> None:
        await connection.say(EVENTS)
        await connection.ended()

    async def mute(_: str, connection: Connection) -> None:
        await connection.ended()

    async def brief(_: str, connection: Connection) -> None:
        await connection.say(EVENTS)

    enough_harm = asyncio.Event()
    harmful = {"endless": "bytes", "empty": "empty lines", "garbage": "no event", "backwards": "after 1.1"}
    harmful |= {"silent": "in time", "mute": "in time", "brief": ""}
    answers = [endless, empty, garbage, backwards, silent, mute, brief]
    async with contextlib.AsyncExitStack() as stack:
        followers, news = await stack.enter_async_context(following(patience=Patience(answer=1.0, silence=1.0)))
        good = await stack.enter_async_context(FakePod(tmp_path, "honest", honest).serving())
        bad = [
            await stack.enter_async_context(FakePod(tmp_path, name, answer).serving())
            for name, answer in zip(harmful, answers, strict=True)
        ]
        follow(followers, good, "honest")
        for fake in bad:
            follow(followers, fake, fake.stream.name)
        async with asyncio.timeout(60):
            while any(len(fake.requests) < 3 for fake in bad):
                await asyncio.sleep(0.02)
        for name, said in harmful.items():
            if said:
                assert said in await trouble(followers, name)
            assert followers.pending(name) == ()
        enough_harm.set()
        await news.until(lambda: followers.pending("honest")[-1].epoch == 2)
        *told, _ = followers.pending("honest")
        assert [one.n for one in told] == list(range(1, len(told) + 1))
        assert len(good.requests) == 1 and followers.is_connected("honest")


async def test_a_reader_that_fails_does_not_end_the_reading(tmp_path: Path) -> None:
    async def answer(_: str, connection: Connection) -> None:
        await connection.say(EVENTS + lines(event(1, 1)))
        await connection.ended()

    def fails(_: object) -> None:
        raise RuntimeError

    async with FakePod(tmp_path, "a", answer).serving() as fake, Followers(fails, habits=QUICKLY) as followers:
        follow(followers, fake)
        async with asyncio.timeout(30):
            while not followers.pending(POD):
                await asyncio.sleep(0.01)
        assert followers.is_connected(POD)


async def test_a_connection_that_brings_something_is_followed_by_another_soon(tmp_path: Path) -> None:
    """Whoever brings nothing is asked ever more rarely; the delays are `Backoff`'s."""

    async def answer(_: str, connection: Connection) -> None:
        n = len(fake.requests)
        await connection.say(EVENTS + (lines(event(1, n)) if n % 3 == 0 else b""))

    fake = FakePod(tmp_path, "a", answer)
    habits = Habits(backoff=Backoff(0.001, 600.0, jitter=0.0))
    before = figure("pod_disconnects_total", reason="ended")
    async with fake.serving(), following(habits) as (followers, news):
        follow(followers, fake)
        await news.until(lambda: len(followers.pending(POD)) == 20)
    assert len(fake.requests) == 60, "with no way back it would wait for centuries by now"
    assert figure("pod_disconnects_total", reason="ended") >= before + 59
    assert "after=1.57" in fake.requests[-1]
