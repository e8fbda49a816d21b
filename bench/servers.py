"""The servers that are measured, each started as its documentation says, with HLS where it has it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

from encoder import CACHE
from process import free_port, have, wait_for

KEY = "bench-stream-key-{:04d}-abcdefgh"


class OnAir:
    """`recording`: whether broadcasts are kept; `more`: manifests beside the streams."""

    name = "OnAir"

    def __init__(self, *, recording: bool = False, more: str = "") -> None:
        self._recording = recording
        self._more = more

    def available(self) -> bool:
        return True

    def start(self, folder: Path, count: int) -> subprocess.Popen[bytes]:
        manifests = folder / "manifests"
        manifests.mkdir()
        names = "---\n".join(
            _STREAM.format(index=index, recording=str(self._recording).lower())
            + _KEY_SECRET.format(index=index, key=KEY.format(index))
            for index in range(count)
        )
        (manifests / "streams.yaml").write_text(names)
        if self._more:
            (manifests / "more.yaml").write_text(self._more)
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

    def check(self, folder: Path) -> None:
        """That it really packages: the first stream's playlist is live."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/bench-stream-0/video.m3u8", timeout=5) as answer:
            assert answer.read().count(b"#EXTINF") >= 2


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


class Nginx:
    name = "nginx-rtmp"

    def available(self) -> bool:
        return have(
            shutil.which("nginx") and Path("/usr/lib/nginx/modules/ngx_rtmp_module.so").exists(),
            "nginx-rtmp (Debian: nginx libnginx-mod-rtmp)",
        )

    def start(self, folder: Path, count: int) -> subprocess.Popen[bytes]:
        self.port = free_port()
        self._folder = folder
        for name in ("hls", "logs"):
            (folder / name).mkdir(mode=0o777)
            (folder / name).chmod(0o777)
        folder.chmod(0o755)
        config = folder / "nginx.conf"
        config.write_text(f"""
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/logs/error.log; user root;
events {{ worker_connections 1024; }}
rtmp {{ server {{ listen 127.0.0.1:{self.port}; chunk_size 4096;
  application app {{ live on; hls on; hls_path {folder}/hls; hls_fragment 2s; hls_playlist_length 30s; }} }} }}
""")
        return subprocess.Popen(
            ["nginx", "-c", str(config), "-p", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def keys(self, count: int) -> list[str]:
        return [f"stream{index}" for index in range(count)]

    def check(self, folder: Path) -> None:
        assert (folder / "hls" / "stream0.m3u8").exists(), "nginx-rtmp makes no HLS"


class Pyrtmp:
    """RTMP only: it packages nothing."""

    name = "pyrtmp"

    def available(self) -> bool:
        self._python = CACHE / "pyrtmp" / "bin" / "python"
        if not self._python.exists():
            venv.create(CACHE / "pyrtmp", with_pip=True)
            done = subprocess.run([self._python, "-m", "pip", "install", "-q", "pyrtmp==0.3.1"], check=False)
            if done.returncode:
                shutil.rmtree(CACHE / "pyrtmp")
        return have(self._python.exists(), "pyrtmp (PyPI)")

    def start(self, folder: Path, count: int) -> subprocess.Popen[bytes]:
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

    def check(self, folder: Path) -> None:
        pass
