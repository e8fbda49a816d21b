"""The watch page in headless Chromium: what a viewer sees from before the stream until after it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from aiohttp import web
from playback_stream import Channel, Recording
from playwright.async_api import Page, async_playwright, expect

from onair_media.playback import Directory, add_routes
from onair_media.player import assets, vendor

pytestmark = pytest.mark.browser

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

PATIENCE = 40_000  # ms; the machine may be busy

Watch = Callable[[Directory], Awaitable["Viewer"]]


@pytest.fixture(scope="session", autouse=True)
def hls_js() -> None:
    if not vendor.vendored():
        try:
            vendor.vendor()
        except vendor.VendorError as error:
            pytest.skip(f"hls.js could not be fetched: {error}")
        assets.load.cache_clear()


class Server:
    """A playback server that can go away and come back at the same address."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        add_routes(app, self._directory)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


class Viewer:
    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    async def open(self, path: str = "/watch/keynote-2026") -> None:
        await self.page.goto(f"http://127.0.0.1:{self.server.port}{path}")

    async def sees(self, state: str, text: str = "") -> None:
        await self.page.wait_for_selector(f'html[data-state="{state}"]', state="attached", timeout=PATIENCE)
        if text:
            await expect(self.page.locator("#headline")).to_have_text(text, timeout=PATIENCE)

    async def value(self, expression: str) -> float:
        return float(await self.page.evaluate(expression))

    async def moves_on(self) -> None:
        """The picture advances by two seconds."""
        await self.page.evaluate(
            """() => new Promise((resolve) => {
                const until = video.currentTime + 2;
                video.addEventListener("timeupdate", () => video.currentTime >= until && resolve());
            })"""
        )


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("Chromium is not installed")
    servers: list[Server] = []
    viewers: list[Viewer] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)

        async def open_for(directory: Directory) -> Viewer:
            server = Server(directory)
            await server.start()
            servers.append(server)
            viewer = Viewer(await browser.new_page(viewport={"width": 1000, "height": 700}), server)
            viewers.append(viewer)
            await viewer.open()
            return viewer

        yield open_for
        await browser.close()
    for server in servers:
        await server.stop()
    for viewer in viewers:
        assert viewer.problems == []


@asynccontextmanager
async def live(channel: Channel, *, discontinuity: bool = False) -> AsyncIterator[None]:
    """The encoder sends."""
    sending = asyncio.create_task(channel.run(discontinuity=discontinuity))
    try:
        yield
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


async def test_a_page_opened_early_goes_live_survives_a_drop_and_follows_the_next_broadcast(watch: Watch) -> None:
    """The whole story, without one reload."""
    channel = Channel("Opening keynote")
    viewer = await watch(channel)
    loaded = await viewer.value("performance.timeOrigin")
    await viewer.sees("waiting", "Waiting for the stream to start")

    channel.start()
    async with live(channel):
        await viewer.sees("playing")
        await viewer.moves_on()
        await expect(viewer.page.locator("#live-text")).to_have_text("Live")
    await viewer.sees("stalled", "Stream interrupted")
    async with live(channel, discontinuity=True):
        await viewer.sees("playing")
        await viewer.moves_on()
    channel.window.end()
    await viewer.sees("ended", "The stream has ended")
    channel.window.clear()
    await viewer.sees("waiting", "Waiting for the stream to start")

    channel.start()
    async with live(channel):
        await viewer.sees("playing")
        await viewer.moves_on()
    assert await viewer.value("performance.timeOrigin") == loaded
    assert viewer.hosts == {f"127.0.0.1:{viewer.server.port}"}, "nothing comes from elsewhere"


async def test_the_next_broadcast_is_followed_though_the_last_one_is_still_served(watch: Watch) -> None:
    """The last playlist stays until the next `active`: there may be no 412 in between."""
    channel = Channel()
    channel.start()
    viewer = await watch(channel)
    await viewer.sees("playing")
    channel.window.end()
    await viewer.sees("ended")
    channel.start()
    async with live(channel):
        await viewer.sees("playing")
        await viewer.moves_on()


async def test_a_restarted_server_is_found_again(watch: Watch) -> None:
    channel = Channel()
    channel.start()
    viewer = await watch(channel)
    async with live(channel):
        await viewer.sees("playing")
        await viewer.server.stop()
        await viewer.sees("stalled")
        await viewer.server.start()
        await viewer.sees("playing")
        await viewer.moves_on()


async def test_a_viewer_who_fell_behind_is_told_and_can_go_live(watch: Watch) -> None:
    channel = Channel()
    channel.start(14)
    viewer = await watch(channel)
    async with live(channel):
        await viewer.sees("playing")
        await viewer.page.evaluate("video.currentTime = video.seekable.start(0)")
        button = viewer.page.get_by_role("button", name="Go live")
        await expect(button).to_be_visible()
        await button.click()
        await expect(viewer.page.locator("#live-text")).to_have_text("Live")


async def test_sound_and_pause_by_button_and_by_key(watch: Watch) -> None:
    channel = Channel()
    channel.start(10)
    viewer = await watch(channel)
    await viewer.sees("playing")
    assert await viewer.value("video.muted") == 1, "browsers only start muted video by themselves"
    await viewer.page.get_by_role("button", name="Turn on sound").click()
    assert await viewer.value("video.muted") == 0
    await viewer.page.keyboard.press("m")
    assert await viewer.value("video.muted") == 1
    await viewer.page.keyboard.press("k")
    await expect(viewer.page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    await viewer.page.keyboard.press(" ")
    await expect(viewer.page.get_by_role("button", name="Pause")).to_be_visible()


async def test_a_recording_has_a_seek_bar_and_can_be_watched_again(watch: Watch) -> None:
    recording = Recording(12)
    recording.end()
    viewer = await watch(recording)
    await viewer.sees("playing")
    await expect(viewer.page.get_by_role("slider", name="Seek")).to_be_visible()
    await expect(viewer.page.locator("#time")).to_contain_text("/ 0:12")
    await expect(viewer.page.locator("#live")).to_be_hidden()
    assert await viewer.value("video.currentTime") < 6, "it begins at the beginning"
    await viewer.page.evaluate("video.currentTime = 10")
    await viewer.sees("ended", "The recording has ended")
    await viewer.page.get_by_role("button", name="Watch again").click()
    await viewer.sees("playing")
    await viewer.moves_on()


async def test_a_growing_recording_is_live_and_can_be_rewound(watch: Watch) -> None:
    recording = Recording(40)
    viewer = await watch(recording)
    await viewer.sees("playing")
    assert await viewer.value("video.currentTime") > 30, "it begins where it is live"
    await expect(viewer.page.locator("#state-text")).to_have_text("On air")
    await expect(viewer.page.locator("#live")).to_be_visible()
    await expect(viewer.page.get_by_role("slider", name="Seek")).to_be_visible()
    await viewer.page.keyboard.press("Home")
    await viewer.moves_on()
    assert await viewer.value("video.currentTime") < 12


async def test_sound_without_picture_is_played(watch: Watch) -> None:
    channel = Channel(renditions=["audio"])
    channel.start(10)
    viewer = await watch(channel)
    await viewer.sees("playing")
    await expect(viewer.page.locator(".sound")).to_be_visible()


async def test_an_unknown_stream_is_said_to_be_unknown(watch: Watch) -> None:
    viewer = await watch(Channel())
    await viewer.open("/watch/unknown-id-1")
    await viewer.sees("error", "There is no stream here")


async def test_without_hls_js_the_browser_plays_natively(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = assets.load()
    bare = replace(whole, files={name: file for name, file in whole.files.items() if name != "hls.min.js"})
    monkeypatch.setattr(assets, "load", lambda: bare)
    channel = Channel()
    channel.start(10)
    viewer = await watch(channel)
    async with live(channel):
        await viewer.sees("playing")
        await viewer.moves_on()
    await expect(viewer.page.locator("#note")).to_be_visible()


async def test_a_title_cannot_break_out_of_the_page(watch: Watch) -> None:
    title = """</title><script>alert(1)</script>"'&"""
    viewer = await watch(Channel(title))
    await viewer.sees("waiting")
    assert await viewer.page.title() == title
    await expect(viewer.page.locator("h1")).to_have_text(title)
    assert await viewer.page.locator("script").count() == 2
