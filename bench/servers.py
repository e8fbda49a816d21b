"""The servers that are measured, each started as its documentation says, with HLS where it has it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path
from typing import Protocol

import msgspec
from encoder import CACHE
from process import free_port, have, wait_for

from onair_core.contract import ChannelConfig, PackagingSettings, PlaybackEntry, PodConfig, StreamRef
from onair_media.ingest.tls import self_signed

_NGINX_MODULES = Path("/usr/lib/nginx/modules")
# Playlists are this long, to be in the steady state soon: twice as long, since segments outlive their playlist.
WINDOW_SECONDS = 10
KEY = "bench-stream-key-{:04d}-abcdefgh"


class Server(Protocol):
    """One server: `start` it once. `port` takes publishers, with TLS if it was asked for."""

    name: str
    port: int

    def available(self, *, tls: bool = False) -> bool: ...
    def start(self, folder: Path, count: int, *, tls: bool = False) -> subprocess.Popen[bytes]: ...
    def keys(self, count: int) -> list[str]: ...
    def check(self) -> None:
        """That it really packages, if it is one that does."""


class OnAir:
    """`recording`: whether broadcasts are kept; `default_class`: the manifest of another LiveStreamClass."""

    name = "OnAir"

    def __init__(
        self, *, window_seconds: int = WINDOW_SECONDS, recording: bool = False, default_class: str = ""
    ) -> None:
        self._recording = recording
        self._class = default_class or _CLASS.format(window=window_seconds)

    def available(self, *, tls: bool = False) -> bool:
        return True

    def start(self, folder: Path, count: int, *, tls: bool = False) -> subprocess.Popen[bytes]:
        manifests = folder / "manifests"
        manifests.mkdir()
        names = "---\n".join(
            _STREAM.format(index=index, recording=str(self._recording).lower())
            + _KEY_SECRET.format(index=index, key=KEY.format(index))
            for index in range(count)
        )
        (manifests / "streams.yaml").write_text(names)
        (manifests / "class.yaml").write_text(self._class)
        self.port = free_port()
        self.http = free_port()
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("onair"),
                "local",
                manifests,
                "--state-dir",
                folder / "state",
                "--rtmp",
                f"127.0.0.1:{self.port}",
                "--http",
                f"127.0.0.1:{self.http}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("wb"),
        )
        wait_for((folder / "state" / "endpoint.json").exists, "onair local")
        return process

    def keys(self, count: int) -> list[str]:
        return [KEY.format(index) for index in range(count)]

    def check(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/bench-stream-0/video.m3u8", timeout=5) as answer:
            assert answer.read().count(b"#EXTINF") >= 2


_CLASS = """apiVersion: onair.dev/v1alpha1
kind: LiveStreamClass
metadata: {{name: bench, annotations: {{onair.dev/is-default-class: "true"}}}}
spec:
  packaging: {{liveWindowSeconds: {window}}}
  limits: {{maxConnectionsPerSecondPerAddress: 1000}}  # hundreds of publishers come at once
"""
_STREAM = """apiVersion: onair.dev/v1alpha1
kind: LiveStream
metadata: {{name: bench-{index}}}
spec:
  playback: [{{id: bench-stream-{index}}}]
  streamKey: {{secretRef: {{name: bench-{index}}}}}
  newAssetSettings: {{recording: {recording}, playback: [{{policy: public}}]}}
---
"""
_KEY_SECRET = """apiVersion: v1
kind: Secret
metadata: {{name: bench-{index}}}
stringData: {{streamKey: {key}}}
"""


class OnAirPod(OnAir):
    """The process of an ingest pod: one channel, and no control plane beside it."""

    def start(self, folder: Path, count: int, *, tls: bool = False) -> subprocess.Popen[bytes]:
        assert count == 1
        self.port, self.http, control, probes = (free_port() for _ in range(4))
        channel = ChannelConfig(
            stream=StreamRef("bench", "bench-0", "uid-0"),
            keys=tuple(self.keys(1)),
            playback=(PlaybackEntry("main", "bench-stream-0"),),
            packaging=PackagingSettings(live_window_seconds=WINDOW_SECONDS),
        )
        self_signed(folder)
        for suffix in ("crt", "key"):
            (folder / f"rtmps.{suffix}").rename(folder / f"tls.{suffix}")
        (folder / "config.json").write_bytes(msgspec.json.encode(PodConfig(channel=channel)))
        (folder / "token").write_text("token-of-the-benchmark-that-nobody-uses")
        addresses = {"rtmp": self.port, "http": self.http, "control": control, "probes": probes}
        command = ["ingest", f"--config={folder}", f"--data={folder / 'data'}"]
        command += [f"--{name}=127.0.0.1:{port}" for name, port in addresses.items()]
        command += [f"--rtmps={folder}"] if tls else []
        log = (folder / "log").open("wb")
        return subprocess.Popen([Path(sys.executable).with_name("onair"), *command], stdout=log, stderr=log)


class Nginx:
    name = "nginx-rtmp"

    def available(self, *, tls: bool = False) -> bool:
        modules = ["rtmp", "stream"] if tls else ["rtmp"]
        return have(
            shutil.which("nginx") and all((_NGINX_MODULES / f"ngx_{module}_module.so").exists() for module in modules),
            f"nginx-rtmp (Debian: nginx {' '.join(f'libnginx-mod-{module}' for module in modules)})",
        )

    def start(self, folder: Path, count: int, *, tls: bool = False) -> subprocess.Popen[bytes]:
        self.port = rtmp = free_port()
        self._folder = folder
        for name in ("hls", "logs"):
            (folder / name).mkdir(mode=0o777)
            (folder / name).chmod(0o777)
        folder.chmod(0o755)
        config, front, stream = folder / "nginx.conf", "", ""
        if tls:
            self.port = free_port()
            self_signed(folder)
            stream = f"load_module {_NGINX_MODULES}/ngx_stream_module.so;"
            front = (
                f"stream {{ server {{ listen 127.0.0.1:{self.port} ssl; proxy_pass 127.0.0.1:{rtmp}; "
                f"ssl_certificate {folder}/rtmps.crt; ssl_certificate_key {folder}/rtmps.key; }} }}"
            )
        config.write_text(f"""
{stream}
load_module {_NGINX_MODULES}/ngx_rtmp_module.so;
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/logs/error.log; user root;
events {{ worker_connections 1024; }}
{front}
rtmp {{ server {{ listen 127.0.0.1:{rtmp}; chunk_size 4096;
  application app {{ live on; hls on; hls_path {folder}/hls; hls_fragment 2s; hls_playlist_length {WINDOW_SECONDS}s; }} }} }}
""")
        return subprocess.Popen(
            ["nginx", "-c", str(config), "-p", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def keys(self, count: int) -> list[str]:
        return [f"stream{index}" for index in range(count)]

    def check(self) -> None:
        assert (self._folder / "hls" / "stream0.m3u8").exists(), "nginx-rtmp makes no HLS"


class Pyrtmp:
    """RTMP only: it packages nothing."""

    name = "pyrtmp"
    _python = CACHE / "pyrtmp" / "bin" / "python"

    def available(self, *, tls: bool = False) -> bool:
        if tls:
            return have(False, "pyrtmp, which has no TLS")
        if not self._python.exists():
            venv.create(CACHE / "pyrtmp", with_pip=True)
            done = subprocess.run([self._python, "-m", "pip", "install", "-q", "pyrtmp==0.3.1"], check=False)
            if done.returncode:
                shutil.rmtree(CACHE / "pyrtmp")
        return have(self._python.exists(), "pyrtmp (PyPI)")

    def start(self, folder: Path, count: int, *, tls: bool = False) -> subprocess.Popen[bytes]:
        self.port = free_port()
        script = folder / "server.py"
        script.write_text(f"""
import asyncio, logging
from pyrtmp import StreamClosedException
from pyrtmp.rtmp import SimpleRTMPController, RTMPProtocol, SimpleRTMPServer
logging.disable(logging.CRITICAL)
class Server(SimpleRTMPServer):
    async def create(self, host, port):
        loop = asyncio.get_event_loop()
        self.server = await loop.create_server(lambda: RTMPProtocol(controller=SimpleRTMPController()), host=host, port=port)
        self.on_start = self.on_stop = None
async def main():
    server = Server(); await server.create("127.0.0.1", {self.port}); await server.server.serve_forever()
asyncio.run(main())
""")
        return subprocess.Popen([self._python, script], stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"))

    def keys(self, count: int) -> list[str]:
        return [f"stream{index}" for index in range(count)]

    def check(self) -> None:
        pass
