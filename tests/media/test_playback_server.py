"""The playback routes over real HTTP (mux.md 1.9, RFC 9110, rules of RFC 8216bis)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import av
import m3u8
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from playback_stream import Channel
from prometheus_client import CollectorRegistry

from onair_media.hls import Entry, GrowingPlaylist, Playlist
from onair_media.playback import Media, Playable, PlaybackMetrics, PlaybackServer, add_routes, request_logger
from onair_media.store import StoreError


class Recording:
    """A recording whose segments come from elsewhere."""

    def __init__(self, fails: str = "") -> None:
        self._playlist = GrowingPlaylist(2)
        self._playlist.append(Entry("a/1/video/0.m4s", "a/1/video/init-0.mp4", 2, 1_790_000_000))
        self._fails = fails

    def multivariant(self, playback_id: str) -> Playlist | None:
        return None

    def media_playlist(self, rendition: str) -> Playlist | None:
        return self._playlist.playlist() if rendition == "video" else None

    async def media(self, path: str) -> Media | None:
        return Media(200_000, self) if path == "a/1/video/0.m4s" else None

    async def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        if self._fails == "at once":
            raise StoreError("the disk is gone")
        for at in range(start, stop, 65536):
            await asyncio.sleep(0)
            yield bytes(min(65536, stop - at))
            if self._fails == "later":
                raise OSError("the disk is gone")
            if self._fails == "ends early":
                return
        if self._fails == "goes on":
            yield bytes(1000)


class Channels:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.recordings = {
            "recording-1": Recording(),
            "recording-2": Recording(fails="later"),
            "recording-3": Recording(fails="at once"),
            "recording-4": Recording(fails="ends early"),
            "recording-5": Recording(fails="goes on"),
        }

    def at_hand(self, playback_id: str) -> Playable | None:
        if playback_id == "keynote-2026":
            return self.channel.playable
        return self.recordings.get(playback_id)

    async def lookup(self, playback_id: str) -> Playable | None:
        if playback_id == "recording-0":
            raise StoreError("the disk is gone")
        return self.at_hand(playback_id)

    def title(self, playback_id: str) -> str | None:
        return "" if self.at_hand(playback_id) is not None or playback_id == "recording-0" else None


class Client:
    """A viewer of one server."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.port = port
        self.get, self.head, self.options, self.post = session.get, session.head, session.options, session.post


@asynccontextmanager
async def serve(channels: Channels, way: str, metrics: PlaybackMetrics | None = None) -> AsyncIterator[Client]:
    """`aiohttp`: the routes alone; `express`: with the short way in front."""
    metrics = metrics or PlaybackMetrics()
    app = web.Application()
    add_routes(app, channels, metrics)
    runner = web.AppRunner(app, logger=request_logger(), shutdown_timeout=0)
    await runner.setup()
    server = PlaybackServer(runner, channels.at_hand, metrics)
    if way == "express":
        port = await server.listen("127.0.0.1", 0)
    else:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield Client(session, port)
    await server.close()
    await runner.cleanup()


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture(params=["aiohttp", "express"])
async def client(channel: Channel, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with serve(Channels(channel), request.param) as client:
        yield client


def listed(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


async def test_idle_is_412_with_retry_after(client: Client) -> None:
    for path in ("/keynote-2026.m3u8", "/keynote-2026/video.m3u8"):
        response = await client.get(path)
        assert response.status == 412
        assert int(response.headers["Retry-After"]) > 0
        assert (await response.json())["error"]["type"] == "not_playable"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/unknown-id-1.m3u8", 404),
        ("/unknown-id-1/video.m3u8", 404),
        ("/unknown-id-1/a/1/video/0.m4s", 404),
        ("/short.m3u8", 400),
        ("/with%20space.m3u8", 400),
        ("/keynote-2026/a/1/video/0.m4s", 404),
        ("/keynote-2026/..%2f..%2fetc%2fpasswd", 404),
        ("/keynote-2026/nothing", 404),
    ],
)
async def test_unknown_is_404_and_malformed_400(client: Client, path: str, status: int) -> None:
    response = await client.get(path)
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_player_finds_its_way_from_the_multivariant_playlist_to_the_media(
    channel: Channel, client: Client
) -> None:
    channel.start(8)
    response = await client.get("/keynote-2026.m3u8")
    assert response.status == 200
    assert response.content_type == "application/vnd.apple.mpegurl"
    top = m3u8.M3U8(await response.text(), strict=True)
    assert top.playlists[0].uri == "keynote-2026/video.m3u8"
    assert top.media[0].uri == "keynote-2026/audio.m3u8"
    for name in ("video", "audio"):
        media = m3u8.M3U8(await (await client.get(f"/keynote-2026/{name}.m3u8")).text(), strict=True)
        init = media.segment_map[0].uri
        joined = b""
        for uri in (init, *(segment.uri for segment in media.segments)):
            part = await client.get(f"/keynote-2026/{uri}")
            assert part.status == 200
            assert part.content_type == f"{name}/mp4"
            joined += await part.read()
        with av.open(io.BytesIO(joined)) as container:
            frames = sum(1 for _ in container.decode(**{name: 0}))
        assert frames >= (8 * 15 if name == "video" else 8 * 46)


async def test_measured_bandwidth_covers_what_is_sent(channel: Channel, client: Client) -> None:
    """RFC 8216bis 4.4.6.2 and Apple's limits: peak and average include audio."""
    channel.start(12)
    top = m3u8.M3U8(await (await client.get("/keynote-2026.m3u8")).text()).playlists[0].stream_info
    sent, peak = 0, 0.0
    for number in range(12):
        sizes = []
        for name in ("video", "audio"):
            part = await client.get(f"/keynote-2026/keynote-1/1/{name}/{number}.m4s")
            sizes.append(int(part.headers["Content-Length"]))
        sent += sum(sizes)
        peak = max(peak, sum(sizes) * 8.0)
    assert peak <= top.bandwidth * 1.05
    assert top.average_bandwidth == pytest.approx(sent * 8 / 12, rel=0.02)


async def test_gzip_where_welcome(channel: Channel, client: Client) -> None:
    channel.start(8)
    plain = await client.get("/keynote-2026/video.m3u8", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    packed = await client.get("/keynote-2026/video.m3u8", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 2
    assert await packed.read() == await plain.read()


async def test_unchanged_is_304_until_the_next_segment(channel: Channel, client: Client) -> None:
    channel.start()
    first = await client.get("/keynote-2026/video.m3u8")
    again = {"If-None-Match": first.headers["ETag"]}
    unchanged = await client.get("/keynote-2026/video.m3u8", headers=again)
    assert (unchanged.status, await unchanged.read()) == (304, b"")
    channel.add()
    assert (await client.get("/keynote-2026/video.m3u8", headers=again)).status == 200


async def test_head_has_the_fields_and_no_body(channel: Channel, client: Client) -> None:
    channel.start()
    for path in ("/keynote-2026.m3u8", "/keynote-2026/video.m3u8", "/keynote-2026/keynote-1/1/video/0.m4s"):
        full = await client.get(path, headers={"Accept-Encoding": "identity"})
        head = await client.head(path, headers={"Accept-Encoding": "identity", "Range": "bytes=0-1"})
        assert (head.status, await head.read()) == (200, b"")
        assert head.headers["Content-Length"] == full.headers["Content-Length"]
        assert head.headers["ETag"] == full.headers["ETag"]


async def test_ranges_of_a_segment(channel: Channel, client: Client) -> None:
    channel.start()
    path = "/keynote-2026/keynote-1/1/video/0.m4s"
    whole = await (await client.get(path)).read()
    part = await client.get(path, headers={"Range": "bytes=100-199"})
    assert (part.status, await part.read()) == (206, whole[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    tail = await client.get(path, headers={"Range": "bytes=-50"})
    assert await tail.read() == whole[-50:]
    beyond = await client.get(path, headers={"Range": f"bytes={len(whole)}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")


async def test_preflight(client: Client) -> None:
    for path in ("/keynote-2026.m3u8", "/keynote-2026/video.m3u8", "/keynote-2026/a/1/video/0.m4s"):
        response = await client.options(
            path,
            headers={
                "Origin": "https://example.com",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "range",
            },
        )
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Range" in response.headers["Access-Control-Allow-Headers"]


async def test_a_token_on_a_public_id_is_403_and_unsupported_cuts_are_400(channel: Channel, client: Client) -> None:
    channel.start()
    assert (await client.get("/keynote-2026.m3u8?token=abc")).status == 403
    assert (await client.get("/keynote-2026.m3u8?program_start_time=1")).status == 400
    assert (await client.get("/keynote-2026.m3u8?redundant_streams=true")).status == 200


async def test_other_methods_are_405(client: Client) -> None:
    assert (await client.post("/keynote-2026.m3u8")).status == 405


async def test_the_last_playlist_stays_with_endlist_then_412(channel: Channel, client: Client) -> None:
    channel.start()
    channel.window.end()
    text = await (await client.get("/keynote-2026/video.m3u8")).text()
    assert text.endswith("#EXT-X-ENDLIST\n")
    channel.window.clear()
    assert (await client.get("/keynote-2026/video.m3u8")).status == 412


async def test_media_from_a_store_is_streamed_with_ranges(client: Client) -> None:
    whole = await client.get("/recording-1/a/1/video/0.m4s")
    assert (whole.status, len(await whole.read())) == (200, 200_000)
    part = await client.get("/recording-1/a/1/video/0.m4s", headers={"Range": "bytes=150000-"})
    assert (part.status, len(await part.read())) == (206, 50_000)
    assert (await client.get("/recording-1/audio.m3u8")).status == 412


async def test_a_store_that_fails_ends_the_connection_not_the_body(client: Client) -> None:
    """A viewer must not take half a segment for a whole one."""
    response = await client.get("/recording-2/a/1/video/0.m4s")
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()
    assert (await client.get("/healthz")).status == 200


async def test_a_store_that_fails_before_anything_was_sent_is_503(client: Client) -> None:
    for path in (
        "/recording-0.m3u8",
        "/recording-0/video.m3u8",
        "/recording-0/a/1/video/0.m4s",
        "/recording-3/a/1/video/0.m4s",
    ):
        response = await client.get(path)
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert (await response.json())["error"]["type"] == "unavailable"


@pytest.mark.parametrize("recording", ["recording-2", "recording-4", "recording-5"])
async def test_a_body_of_another_length_never_runs_into_the_next_answer(client: Client, recording: str) -> None:
    segment = f"GET /{recording}/a/1/video/0.m4s HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    answer = await raw(client, segment + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 200000" in head
    assert len(body) <= 200_000
    assert b"HTTP/1.1" not in body


async def raw(client: Client, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(request)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await asyncio.wait_for(reader.read(65536), 30):
            answer += piece
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()
    return answer


async def test_connections_close_when_asked_to(channel: Channel, client: Client) -> None:
    channel.start()
    answer = await raw(client, b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert b"\r\nDate: " in answer
    old = await raw(client, b"GET /keynote-2026.m3u8 HTTP/1.0\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in old


async def test_pipelined_requests_are_answered_in_order(channel: Channel, client: Client) -> None:
    channel.start()
    one = b"GET /keynote-2026/video.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n"
    two = b"GET /keynote-2026/keynote-1/1/video/0.m4s HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await raw(client, one + two + one + last)
    kinds = [line for line in answer.split(b"\r\n") if line.startswith(b"Content-Type")]
    playlist, media = b"Content-Type: application/vnd.apple.mpegurl", b"Content-Type: video/mp4"
    assert kinds[:3] == [playlist, media, playlist]
    assert answer.endswith(b"ok\n")


async def test_a_viewer_that_leaves_disturbs_nobody(channel: Channel, client: Client) -> None:
    channel.start()
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /recording-1/a/1/video/0.m4s HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
        await writer.drain()
        writer.transport.abort()
    assert (await client.get("/keynote-2026.m3u8")).status == 200


@pytest.mark.parametrize("way", ["aiohttp", "express"])
async def test_requests_and_bytes_are_counted_without_playback_ids(channel: Channel, way: str) -> None:
    registry = CollectorRegistry()
    async with serve(Channels(channel), way, PlaybackMetrics(registry)) as client:
        await client.get("/keynote-2026.m3u8")
        channel.start()
        plain = {"Accept-Encoding": "identity"}
        body = await (await client.get("/keynote-2026/video.m3u8", headers=plain)).read()
        await client.head("/keynote-2026/video.m3u8")

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"onair_playback_{name}_total", labels)

    assert value("requests", kind="multivariant", status="412") == 1
    assert value("requests", kind="media", status="200") == 2
    assert value("sent_bytes", kind="media") == len(body)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n",
        b"GET /keynote-2026.m3u8?redundant_streams=true HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ],
)
async def test_unusual_requests_are_answered_as_well(channel: Channel, client: Client, request_bytes: bytes) -> None:
    channel.start()
    assert (await raw(client, request_bytes)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_request_in_pieces_is_answered(channel: Channel, client: Client) -> None:
    channel.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    for piece in (b"GET /keynote-2026.m", b"3u8 HTTP/1.1\r\nHost: a\r\nConn", b"ection: close\r\n\r\n"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\n\x00\r\n\r\n",
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 40\r\n\r\n",
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\n\nGET /secret HTTP/1.1\r\nHost: b\r\n\r\n",
    ],
)
async def test_garbage_is_refused(channel: Channel, client: Client, garbage: bytes) -> None:
    """The stream is playable, so whoever overlooks the garbage would say 200."""
    channel.start()
    answer = await raw(client, garbage)
    assert b" 400 " in answer.split(b"\r\n")[0]


async def test_garbage_is_not_worth_a_line_but_a_defect_is(
    channel: Channel, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await raw(client, b"\x16\x03\x01\x02\x00\r\n\r\n")
    assert caplog.records == []

    def defect(_: str) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(channel.playable, "media", defect)
    assert (await client.get("/keynote-2026/a/1/video/0.m4s", headers={"Range": "bytes=0-1"})).status == 500
    assert "a defect" in caplog.text


async def test_a_rendition_that_is_not_there_is_404_while_others_play(channel: Channel, client: Client) -> None:
    """412 would have a player ask for it for ever."""
    assert (await client.get("/keynote-2026/subtitles.m3u8")).status == 412
    channel.start()
    assert (await client.get("/keynote-2026/video.m3u8")).status == 200
    for name in ("subtitles", "audio-1"):
        response = await client.get(f"/keynote-2026/{name}.m3u8")
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (404, "*")


async def test_a_connection_goes_on_after_the_short_way_was_left(channel: Channel) -> None:
    """One connection: playlist, range, playlist, page."""
    channel.start()
    async with (
        serve(Channels(channel), "express") as client,
        aiohttp.ClientSession(f"http://127.0.0.1:{client.port}", connector=aiohttp.TCPConnector(limit=1)) as viewer,
    ):
        for path, headers, status in (
            ("/keynote-2026.m3u8", {}, 200),
            ("/keynote-2026/keynote-1/1/video/0.m4s", {"Range": "bytes=0-9"}, 206),
            ("/keynote-2026/video.m3u8", {}, 200),
            ("/watch/keynote-2026", {}, 200),
        ):
            async with viewer.get(path, headers=headers) as response:
                assert response.status == status
                assert await response.read()


async def test_strict_hls_parser_accepts_every_playlist(channel: Channel, client: Client, js_packages: Path) -> None:
    """npm's hls-parser in strict mode: live, sliding, discontinuous, ended, and a recording."""
    playlists = []

    async def keep(stage: str) -> None:
        for path in ("/keynote-2026.m3u8", "/keynote-2026/video.m3u8", "/keynote-2026/audio.m3u8"):
            text = await (await client.get(path, headers={"Accept-Encoding": "identity"})).text()
            playlists.append({"name": f"{stage} {path}", "text": text})

    channel.start(2)
    await keep("first")
    channel.add(30)
    await keep("sliding")
    channel.add(2, discontinuity=True)
    await keep("after a drop")
    channel.window.end()
    await keep("ended")
    recording = await client.get("/recording-1/video.m3u8", headers={"Accept-Encoding": "identity"})
    playlists.append({"name": "recording", "text": await recording.text()})
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", "hls_parser_strict.mjs"],
        cwd=js_packages,
        input="\n".join(json.dumps(playlist) for playlist in playlists),
        capture_output=True,
        text=True,
        check=True,
    )
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) == len(playlists)
    assert [verdict for verdict in verdicts if verdict["error"]] == []


async def test_the_watch_page_trusts_nobody_else_and_its_files_may_be_kept(client: Client) -> None:
    page = await client.get("/watch/keynote-2026")
    text = await page.text()
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in text.replace("http://www.w3.org", "")
    address = next(part for part in text.split('"') if part.endswith("/player.js"))
    script = await client.get(address)
    assert script.content_type == "text/javascript"
    assert "immutable" in script.headers["Cache-Control"]
    stale = await client.get("/watch/assets/v000000000000/player.js")
    assert "immutable" not in stale.headers["Cache-Control"], "an upgrade must not be cached under the old name"
    assert (await client.get(address, headers={"If-None-Match": script.headers["ETag"]})).status == 304
    assert (await client.get("/watch/assets/..%2f..%2fvendor.py")).status == 404
    assert (await client.get("/watch/unknown-id-1")).status == 404
    malformed = await client.get("/watch/short")
    assert (malformed.status, malformed.content_type) == (400, "text/html")
    assert "player.css" in await malformed.text() and "That is not a playback ID" in await malformed.text()


async def test_the_page_at_the_root_says_what_this_is_and_names_no_stream(channel: Channel, client: Client) -> None:
    channel.start()
    page = await client.get("/")
    text = await page.text()
    assert (page.status, page.content_type) == (200, "text/html")
    assert "OnAir" in text
    assert "keynote-2026" not in text
    assert "recording-1" not in text
    assert "/metrics" not in text, "it is not served here"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy + text
    links = re.findall(r'(?:href|src)="([^"]+)"', text)
    assert "/healthz" in links
    for link in links:
        assert (await client.get(link)).status == 200


async def test_the_page_at_the_root_links_to_metrics_where_there_are_some(channel: Channel) -> None:
    app = web.Application()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response()

    app.router.add_get("/metrics", metrics)
    add_routes(app, Channels(channel))
    async with TestClient(TestServer(app)) as client:
        assert 'href="/metrics"' in await (await client.get("/")).text()


async def test_the_watch_page_opens_no_recording(client: Client) -> None:
    """`lookup` of this one fails: all that is needed is its title."""
    assert (await client.get("/watch/recording-0")).status == 200
