"""An ingest pod's process, with the access that the operator derives for it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from free_ports import free_ports
from onair_core.contract import (
    Applied,
    AssetSettings,
    ChannelConfig,
    Cursor,
    EventType,
    JournalEvent,
    PlaybackEntry,
    PodConfig,
    StoreSettings,
    StreamRef,
)
from onair_operator.desired.control_access import control_access
from onair_operator.desired.naming import Incarnation

ROOT = bytes(range(32))
KEY = "key-of-the-pods-only-stream"
E = EventType
GOING_LIVE = [E.STREAM_CONNECTED, E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_ACTIVE, E.ASSET_READY]


class Pod:
    """`config` and `data` are its volumes. It listens at `host`. `credentials` are those of `store`, mounted as well."""

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        *,
        store: StoreSettings | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self.host = host
        self.folder = folder
        self.secret, self.data, self.credentials = folder / "secret", folder / "data", folder / "store"
        self.secret.mkdir(parents=True)
        self.credentials.mkdir()
        for name, value in (credentials or {}).items():
            (self.credentials / name).write_text(value)
        self.log = folder / "log"
        self.rtmp, self.http, self.control, self.probes = free_ports(4)
        self.config = PodConfig(
            channel=ChannelConfig(
                stream=StreamRef("events", "keynote", "uid-1"),
                keys=(KEY,),
                key_generation="1",
                playback=(PlaybackEntry("main", "keynote-playback"),),
                asset=AssetSettings(store=store or StoreSettings(url=f"file://{self.data}/recordings")),
            ),
            title="Opening keynote",
        )
        self.begins_with(self.config)
        self.access = control_access(ROOT, Incarnation("uid-1", 1))
        (self.secret / "token").write_text(self.access.token)
        (self.secret / "tls.crt").write_text(self.access.certificate)
        (self.secret / "tls.key").write_text(self.access.private_key)
        self.process: asyncio.subprocess.Process | None = None

    def begins_with(self, config: PodConfig) -> None:
        self.config = config
        (self.secret / "config.json").write_bytes(msgspec.json.encode(config))

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onair_core.cli", "ingest", "--config", self.secret, "--data", self.data),
            *("--rtmp", f"{self.host}:{self.rtmp}", "--http", f"{self.host}:{self.http}"),
            *("--control", f"{self.host}:{self.control}", "--probes", f"{self.host}:{self.probes}"),
            f"--store-credentials={self.credentials}",
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
        self, method: str, path: str, token: str | None = None, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The certificate is pinned, as the operator does it."""
        pin = aiohttp.Fingerprint(self.access.fingerprint)
        headers = {"Authorization": f"Bearer {token or self.access.token}"}
        url = f"https://127.0.0.1:{self.control}{path}"
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, url, ssl=pin, **more) as answer,
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


def types(events: list[JournalEvent]) -> list[EventType]:
    return [event.type for event in events]
