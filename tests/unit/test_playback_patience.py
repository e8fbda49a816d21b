"""When a viewer's connection has used up its time: on a clock of the test's own."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiohttp import web

from onair_media.playback import Limits, PlaybackMetrics, PlaybackServer
from onair_media.playback.express import Connection

LIMITS = Limits(head_seconds=10, idle_seconds=75)
UNKNOWN = b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n"


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 40000)})
        self.unsent = 0
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Aiohttp(asyncio.Protocol):
    """Takes everything and says nothing."""


class Story:
    """A connection, and a clock in seconds since it began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        server = PlaybackServer(cast("web.AppRunner", None), lambda _: None, PlaybackMetrics(), LIMITS)
        monkeypatch.setattr(server, "aiohttp", Aiohttp)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)
        self.now = 0.0
        self.connection = Connection(server)
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    def overdue_at(self, now: float) -> bool:
        self.now = now
        return self.connection.abort_if_overdue(now)

    def receives(self, now: float, data: bytes) -> None:
        self.now = now
        self.connection.data_received(data)


@pytest.fixture
async def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(monkeypatch)


async def test_idle_time_counts_from_the_last_byte(story: Story) -> None:
    assert not story.overdue_at(74)
    story.receives(74, UNKNOWN)
    assert not story.overdue_at(148)
    assert story.overdue_at(150)
    assert story.transport.aborted


async def test_a_head_has_ten_seconds_whatever_comes_of_it(story: Story) -> None:
    for second in range(40, 50):
        story.receives(second, b"G")
        assert not story.overdue_at(second + 0.5)
    assert story.overdue_at(51)


async def test_behind_an_answered_request_a_head_has_ten_seconds_as_well(story: Story) -> None:
    story.receives(0, UNKNOWN)
    story.receives(60, UNKNOWN + b"GET")
    assert not story.overdue_at(69)
    story.receives(69, b" / HTTP/1.1\r\nHost: a\r\n\r")
    story.receives(70, b"\nGET")
    assert not story.overdue_at(79), "another head began at 70"
    assert story.overdue_at(81)


async def test_an_answer_that_moves_keeps_the_connection(story: Story) -> None:
    story.receives(0, UNKNOWN)
    for second in range(0, 700, 70):
        story.transport.unsent = 1_000_000 - second
        assert not story.overdue_at(second)
    assert not story.overdue_at(700)
    assert story.overdue_at(710)
