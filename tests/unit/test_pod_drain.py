"""What a drained pod answers: idle only when the end of its last broadcast would survive it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from onair_core.contract import Cursor, Drained, EventType, JournalEvent, StreamRef
from onair_media.ingest.journal import Journal
from onair_media.pod import channel as pod_channel
from onair_media.pod.channel import PodChannel


async def test_it_is_not_idle_before_the_disk_has_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_channel, "DRAIN_SECONDS", 0.05)
    disk_works = threading.Event()
    with ThreadPoolExecutor(1) as disk:
        disk.submit(disk_works.wait)
        journal = Journal(tmp_path / "journal", disk, lambda: None)
        channel = SimpleNamespace(broadcast=None, journal=journal)
        host: Any = SimpleNamespace(draining=False, channel=lambda _: channel)
        pod = PodChannel(host, StreamRef("events", "keynote", "uid-1"))
        journal.append([JournalEvent(epoch=3, n=9, type=EventType.STREAM_IDLE, at=1.0)], 3, b"{}")
        assert await pod.drain() == Drained(idle=False, newest=Cursor())
        assert host.draining
        disk_works.set()
        assert await journal.settled(30)
        assert await pod.drain() == Drained(idle=True, newest=Cursor(3, 9))
        channel.broadcast = object()
        assert await pod.drain() == Drained(idle=False, newest=Cursor(3, 9))


async def test_a_pod_whose_operator_does_not_come_back_takes_publishers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_channel, "DRAINED_SECONDS", 0.05)
    host: Any = SimpleNamespace(draining=False, channel=lambda _: None)
    pod = PodChannel(host, StreamRef("events", "keynote", "uid-1"))
    await pod.drain()
    assert host.draining and pod.applied is None
    async with asyncio.timeout(10):
        while host.draining:
            await asyncio.sleep(0.01)


async def test_a_pod_without_a_channel_is_idle() -> None:
    host: Any = SimpleNamespace(draining=False, channel=lambda _: None)
    pod = PodChannel(host, StreamRef("events", "keynote", "uid-1"))
    assert await pod.drain() == Drained(idle=True, newest=Cursor())
