"""Viewers: ffprobe decodes, a follower holds every reload against the rules, Chromium plays the watch page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import pytest
from encoders import need
from hls_rules import Follower, MediaPlaylist, parse, same_discontinuities
from playwright.async_api import Page, async_playwright, expect

from onair_media.player import assets, vendor

PATIENCE_MS = 40_000
CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@dataclass(frozen=True)
class Decoded:
    """Frames that a real decoder made of a stream, and what it complained about."""

    video: int
    audio: int
    complaints: str


async def decode(url: str, *, first_seconds: float | None = None) -> Decoded:
    """Reads and decodes with ffprobe: all of it, or the first seconds."""
    interval = ["-read_intervals", f"%+{first_seconds}"] if first_seconds else []
    process = await asyncio.create_subprocess_exec(
        need("ffprobe"), "-v", "error", *interval, "-count_frames", "-show_entries",
        "stream=codec_type,nb_read_frames", "-of", "json", url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, complaints = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        raise
    frames = {"video": 0, "audio": 0}
    for stream in json.loads(output or "{}").get("streams", []):
        frames[stream["codec_type"]] = max(frames[stream["codec_type"]], int(stream.get("nb_read_frames", 0)))
    return Decoded(frames["video"], frames["audio"], complaints.decode(errors="replace").strip())


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


def watch_url(playback_url: str) -> str:
    """The page that plays it."""
    base, _, last = playback_url.rpartition("/")
    return f"{base}/watch/{last.removesuffix('.m3u8')}"


async def rendition_urls(url: str) -> dict[str, str]:
    """The media playlists of a multivariant playlist, by the rendition's name."""
    status, text = await get(url)
    assert status == 200, f"{status} {text}"
    base = url.rpartition("/")[0]
    uris = [line for line in text.splitlines() if line and not line.startswith("#")]
    uris += [part.split('"')[1] for line in text.splitlines() for part in line.split(",") if part.startswith("URI=")]
    return {uri.rpartition("/")[2].removesuffix(".m3u8"): f"{base}/{uri}" for uri in uris}


async def playlists(url: str) -> dict[str, MediaPlaylist]:
    """The media playlists as they are now."""
    found = {}
    for name, address in (await rendition_urls(url)).items():
        status, text = await get(address)
        assert status == 200, f"{status} {text}"
        found[name] = parse(text)
    return found


@asynccontextmanager
async def following(url: str) -> AsyncIterator[dict[str, Follower]]:
    """Reloads every rendition all the time and holds each reload against the last ones; a broken rule fails the test."""
    urls = await rendition_urls(url)
    followers = {name: Follower() for name in urls}

    async def reload(name: str) -> None:
        while True:
            with suppress(aiohttp.ClientConnectionError):  # the server is being restarted
                status, text = await get(urls[name])
                if status == 200:
                    followers[name].see(text)
            await asyncio.sleep(0.3)

    tasks = [asyncio.create_task(reload(name)) for name in urls]
    try:
        yield followers
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if not isinstance(result, asyncio.CancelledError) and isinstance(result, BaseException):
            raise result
    same_discontinuities(followers.values())


@dataclass
class Viewer:
    """The watch page in headless Chromium."""

    page: Page

    async def open(self, url: str) -> None:
        await self.page.goto(url)

    async def sees(self, *states: str) -> None:
        """Waits until the page is in one of these states."""
        await expect(self.page.locator("html")).to_have_attribute(
            "data-state", re.compile("|".join(states)), timeout=PATIENCE_MS
        )

    async def moves_on(self, seconds: float = 1.0) -> None:
        """Frames are really played from here on."""
        start = await self._position()
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while await self._position() < start + seconds:
                await asyncio.sleep(0.1)

    async def _position(self) -> float:
        # Not wait_for_function: the page's Content-Security-Policy forbids it to evaluate strings.
        found: float = await self.page.evaluate("document.querySelector('video').currentTime")
        return found

    async def origin(self) -> float:
        found: float = await self.page.evaluate("performance.timeOrigin")
        return found


@asynccontextmanager
async def chromium(*hosts: str) -> AsyncIterator[Viewer]:
    """A page of headless Chromium that has hls.js; nothing but loopback and `hosts` resolves. No script may fail."""
    known = ", ".join(f"EXCLUDE {host}" for host in ("127.0.0.1", *hosts))
    executable = need("chromium")
    if not vendor.vendored():
        try:
            vendor.vendor()
        except vendor.VendorError as error:
            pytest.skip(f"hls.js could not be fetched: {error}")
        assets.load.cache_clear()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=[*CHROMIUM, f"--host-resolver-rules=MAP * ~NOTFOUND, {known}"]
        )
        page = await browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield Viewer(page)
        await browser.close()
    assert problems == []
