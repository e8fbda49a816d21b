"""OBS Studio under Xvfb, configured as a user would, and driven over obs-websocket v5."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from free_ports import free_ports

_BASIC = """\
[General]
Name=T
[Output]
Mode=Advanced
Reconnect=true
RetryDelay=1
MaxRetries=25
[AdvOut]
Encoder=obs_x264
TrackIndex=1
Track1Bitrate=96
ApplyServiceSettings=false
[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSCommon=30
[Audio]
SampleRate=48000
"""
_GLOBAL = """\
[General]
FirstRun=true
EnableAutoUpdates=false
[Basic]
Profile=T
ProfileDir=T
SceneCollection=T
SceneCollectionFile=T
[OBSWebSocket]
FirstLoad=false
ServerEnabled=true
ServerPort={port}
AuthRequired=false
"""
_ENCODER = {
    "rate_control": "CBR", "bitrate": 600, "keyint_sec": 1, "preset": "ultrafast", "profile": "main", "tune": "zerolatency",
}  # fmt: skip
_SCENES = {
    "name": "T",
    "current_scene": "Scene",
    "current_program_scene": "Scene",
    "scene_order": [{"name": "Scene"}],
    "sources": [
        {
            "id": "color_source_v3",
            "versioned_id": "color_source_v3",
            "name": "Colour",
            "settings": {"color": 4289374890},
        },
        {
            "id": "scene",
            "versioned_id": "scene",
            "name": "Scene",
            "settings": {"id_counter": 1, "items": [{"name": "Colour", "id": 1, "visible": True}]},
        },
    ],
}


class OBS:
    """An `Encoder`; it stays open between streams, and comes back by itself after a loss.

    `trusted`: a folder of certificates that it sees in place of the system's, in a mount namespace of its own.
    """

    def __init__(self, home: Path, trusted: Path | None = None) -> None:
        for program in ("obs", "Xvfb"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
        self._home = home
        self._trusted = trusted
        self._log = home / "obs.log"
        self._processes: list[asyncio.subprocess.Process] = []
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._ids = itertools.count(1)

    async def open(self) -> None:
        """Starts Xvfb and OBS; returns when obs-websocket answers."""
        [port] = free_ports(1)
        config = self._home / ".config" / "obs-studio"
        _write(config / "global.ini", _GLOBAL.format(port=port))
        _write(config / "basic" / "profiles" / "T" / "basic.ini", _BASIC)
        _write(config / "basic" / "profiles" / "T" / "streamEncoder.json", json.dumps(_ENCODER))
        _write(config / "basic" / "scenes" / "T.json", json.dumps(_SCENES))
        environment = {
            **os.environ, "HOME": str(self._home), "XDG_CONFIG_HOME": str(self._home / ".config"),
            "DISPLAY": await self._display(), "LIBGL_ALWAYS_SOFTWARE": "1", "LP_NUM_THREADS": "1",
            "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9",
        }  # fmt: skip
        with self._log.open("ab") as log:
            self._processes.append(
                await asyncio.create_subprocess_exec(
                    *self._seeing_certificates(), "obs", "--multi", "--minimize-to-tray", "--profile", "T", "--collection", "T", "--scene", "Scene",
                    "--disable-updater", "--disable-missing-files-check", env=environment, stdout=log, stderr=log,
                )
            )  # fmt: skip
        await self._connect(port)

    async def start(self, url: str) -> None:
        server, _, key = url.rpartition("/")
        settings = {"server": server, "key": key, "use_auth": False}
        await self.request(
            "SetStreamServiceSettings", {"streamServiceType": "rtmp_custom", "streamServiceSettings": settings}
        )
        await self.request("StartStream")

    async def stop(self) -> None:
        await self.request("StopStream")

    async def kill(self) -> None:
        """A power cut: every process at once."""
        for process in reversed(self._processes):
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._processes.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def streaming(self) -> dict[str, Any]:
        """`GetStreamStatus`: outputActive, outputReconnecting, …"""
        return await self.request("GetStreamStatus")

    async def request(self, kind: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request; its response's data. AssertionError when OBS refuses it."""
        assert self._socket is not None
        number = str(next(self._ids))
        payload = {"requestType": kind, "requestId": number, "requestData": data or {}}
        await self._socket.send_json({"op": 6, "d": payload})
        while True:
            message = await self._socket.receive_json(timeout=20)
            if message["op"] == 7 and message["d"]["requestId"] == number:
                status = message["d"]["requestStatus"]
                assert status["result"], f"{kind}: {status}"
                found: dict[str, Any] = message["d"].get("responseData", {})
                return found

    def _seeing_certificates(self) -> list[str]:
        if self._trusted is None:
            return []
        if os.geteuid() != 0:
            pytest.skip("OBS is given a certificate to trust by a bind mount, which only root may make")
        script = 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-ec", script, "sh", os.fspath(self._trusted)]

    async def _display(self) -> str:
        reader, writer = os.pipe()
        xvfb = await asyncio.create_subprocess_exec(
            "Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x720x24", "-nolisten", "tcp",
            pass_fds=[writer], stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._processes.append(xvfb)
        os.close(writer)
        with os.fdopen(reader) as file:
            number = await asyncio.wait_for(asyncio.to_thread(file.readline), 20)
        return f":{number.strip()}"

    async def _connect(self, port: int) -> None:
        self._session = aiohttp.ClientSession()
        async with asyncio.timeout(40):
            while self._socket is None:
                try:
                    self._socket = await self._session.ws_connect(f"http://127.0.0.1:{port}")
                except aiohttp.ClientError:
                    assert self._processes[-1].returncode is None, self._log.read_text(errors="replace")[-2000:]
                    await asyncio.sleep(0.2)
            assert (await self._socket.receive_json())["op"] == 0
            await self._socket.send_json({"op": 1, "d": {"rpcVersion": 1, "eventSubscriptions": 0}})
            assert (await self._socket.receive_json())["op"] == 2
            # OBS takes requests before its window is ready, and answers 207 until then.
            while True:
                try:
                    await self.request("GetVersion")
                    return
                except AssertionError:
                    await asyncio.sleep(0.2)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
