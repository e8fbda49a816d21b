"""CPU and memory of N publishers: OnAir beside nginx-rtmp with HLS, and pyrtmp, in one run on one machine.

    .venv/bin/python bench/ingest.py [--publishers 1 10 50] [--chunks 128 4096 60000] [--seconds 12] [--rounds 3]

One 1080p30 stream of about 6 Mbit/s (H.264 with B-frames, AAC) is encoded once and kept in `.cache/bench`. A pusher
process per run connects N times, and sends each message when it is due, as one write or, with `--mtu`, in pieces of 1448
bytes. CPU is user and system time of the server and its children from /proc, in percent of one core per stream, over a
window that begins when all publishers are up. Servers take turns inside each round, so that they meet the same weather.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
KEY = "bench-stream-key-{:04d}-abcdefgh"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = _options()
    tags = load_stream()
    size = sum(len(body) for _, _, body in tags)
    seconds = tags[-1][1] / 1000
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"stream {size * 8 / seconds / 1e6:.2f} Mbit/s; {'1448-byte writes' if options.mtu else 'one write a message'}; "
        f"{options.rounds} rounds of {options.seconds} s\n"
    )
    servers = [s for s in (OnAir(), Nginx(), Pyrtmp()) if s.name in options.servers and s.available()]
    print(
        "| publishers | chunk | "
        + " | ".join(f"{s.name}: CPU %/stream, MB" for s in servers)
        + " | OnAir / nginx-rtmp |"
    )
    print("|---|---|" + "---|" * (len(servers) + 1))
    for count in options.publishers:
        for chunk in options.chunks:
            found: dict[str, list[tuple[float, float]]] = {s.name: [] for s in servers}
            for _ in range(options.rounds):
                for server in servers:
                    if server.name == "pyrtmp" and count > 10:
                        continue  # one core is not enough
                    found[server.name].append(measure(server, count, chunk, options.seconds, mtu=options.mtu))
            print(_row(count, chunk, servers, found), flush=True)


def _row(count: int, chunk: int, servers: list, found: dict[str, list[tuple[float, float]]]) -> str:
    cells = []
    medians = {}
    for server in servers:
        runs = found[server.name]
        if not runs:
            cells.append("–")
            continue
        cpu = sorted(run[0] / count for run in runs)
        medians[server.name] = statistics.median(cpu)
        memory = statistics.median(run[1] for run in runs)
        cells.append(f"{medians[server.name]:.2f} [{cpu[0]:.2f}..{cpu[-1]:.2f}], {memory:.0f}")
    ratio = "–"
    if medians.get("nginx-rtmp"):
        ratio = f"{medians.get('OnAir', 0) / medians['nginx-rtmp']:.2f}"
    return f"| {count} | {chunk} | " + " | ".join(cells) + f" | {ratio} |"


def measure(server, count: int, chunk: int, seconds: float, *, mtu: bool) -> tuple[float, float]:
    """(CPU in % of one core, resident MB) of the server with `count` publishers."""
    with tempfile.TemporaryDirectory(prefix="onair-bench-") as folder:
        process = server.start(Path(folder), count)
        try:
            await_port(server.port)
            command = [
                sys.executable,
                __file__,
                "--push",
                json.dumps(
                    {"port": server.port, "count": count, "chunk": chunk, "mtu": mtu, "keys": server.keys(count)}
                ),
            ]
            pusher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            try:
                assert pusher.stdout is not None
                if pusher.stdout.readline().strip() != "up":
                    raise SystemExit(f"{server.name}: the publishers were not accepted")
                time.sleep(4)  # past the first segments
                before, started = cpu_seconds(process.pid), time.monotonic()
                time.sleep(seconds)
                used, elapsed = cpu_seconds(process.pid) - before, time.monotonic() - started
                if pusher.poll() is not None:
                    raise SystemExit(f"{server.name}: a publisher was cut")
                server.check(Path(folder))
                return used / elapsed * 100, resident_mb(process.pid)
            finally:
                pusher.kill()
                pusher.wait()
        finally:
            process.send_signal(signal.SIGINT if server.name != "pyrtmp" else signal.SIGKILL)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# Servers


class OnAir:
    name = "OnAir"

    def available(self) -> bool:
        return True

    def start(self, folder: Path, count: int) -> subprocess.Popen[bytes]:
        manifests = folder / "manifests"
        manifests.mkdir()
        names = "---\n".join(
            _STREAM.format(index=index) + _KEY_SECRET.format(index=index, key=KEY.format(index))
            for index in range(count)
        )
        (manifests / "streams.yaml").write_text(names)
        self.port = _free_port()
        self.http = _free_port()
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
        _await((folder / "state" / "endpoint.json").exists, "onair local")
        return process

    def keys(self, count: int) -> list[str]:
        return [KEY.format(index) for index in range(count)]

    def check(self, folder: Path) -> None:
        """That it really packages: the first stream's playlist is live."""
        import urllib.request

        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/bench-stream-0/video.m3u8", timeout=5) as answer:
            assert answer.read().count(b"#EXTINF") >= 2


_STREAM = """apiVersion: onair.dev/v1alpha1
kind: LiveStream
metadata: {{name: bench-{index}}}
spec:
  playback: [{{id: bench-stream-{index}}}]
  streamKey: {{secretRef: {{name: bench-{index}}}}}
  newAssetSettings: {{recording: false}}
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
        return _have(
            shutil.which("nginx") and Path("/usr/lib/nginx/modules/ngx_rtmp_module.so").exists(),
            "nginx-rtmp (Debian: nginx libnginx-mod-rtmp)",
        )

    def start(self, folder: Path, count: int) -> subprocess.Popen[bytes]:
        self.port = _free_port()
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
        return _have(self._python.exists(), "pyrtmp (PyPI)")

    def start(self, folder: Path, count: int) -> subprocess.Popen[bytes]:
        self.port = _free_port()
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


# The stream and the pusher


def load_stream(gop: int = 60) -> list[tuple[int, int, bytes]]:
    """(message type, milliseconds, body), encoded once; `gop` in frames."""
    file = CACHE / f"stream-{gop}.flv"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        encode(file.with_suffix(".new"), gop)
        file.with_suffix(".new").rename(file)
    data = file.read_bytes()
    tags, at = [], 13
    while at < len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        if kind in (8, 9):
            tags.append((kind, stamp, data[at + 11 : at + 11 + size]))
        at += 15 + size
    return tags


def encode(file: Path, gop: int) -> None:
    """10 s of 1080p30 at about 6 Mbit/s, 2 B-frames, AAC 128 kbit/s, by FFmpeg in PyAV."""
    import av

    graph = av.filter.Graph()
    source = graph.add("testsrc2", "size=1920x1080:rate=30:duration=10")
    noise = graph.add("noise", "alls=12:allf=t")
    pixels = graph.add("format", "yuv420p")
    sink = graph.add("buffersink")
    source.link_to(noise)
    noise.link_to(pixels)
    pixels.link_to(sink)
    graph.configure()
    sound = av.filter.Graph()
    tone = sound.add("sine", "frequency=440:sample_rate=48000:duration=10")
    layout = sound.add("aformat", "sample_fmts=fltp:channel_layouts=stereo")
    sound_sink = sound.add("abuffersink")
    tone.link_to(layout)
    layout.link_to(sound_sink)
    sound.configure()
    with av.open(str(file), "w", format="flv") as output:
        video = output.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt, video.bit_rate = 1920, 1080, "yuv420p", 6_000_000
        video.options = {
            "preset": "veryfast",
            "g": str(gop),
            "bf": "2",
            "x264-params": "nal-hrd=cbr:vbv-maxrate=6000:vbv-bufsize=6000",
        }
        audio = output.add_stream("aac", rate=48000)
        audio.layout, audio.bit_rate = "stereo", 128_000
        for graph_sink, stream in ((sink, video), (sound_sink, audio)):
            while True:
                try:
                    frame = graph_sink.pull()
                except (av.EOFError, av.BlockingIOError):
                    break
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))


def push(port: int, count: int, chunk: int, keys: list[str], *, mtu: bool) -> None:
    """Publishes until killed; prints `up` when all are accepted and the first messages are sent."""
    tags = load_stream()
    period = tags[-1][1] + 33
    sockets = [publish(port, keys[index], chunk) for index in range(count)]
    print("up", flush=True)
    started = time.monotonic()
    # Streams are spread over the frame interval, as real ones are.
    heap = [(index / count * 0.033, index, 0, 0) for index in range(count)]
    import heapq

    heapq.heapify(heap)
    headers_sent = 0
    while True:
        due, index, at, turn = heapq.heappop(heap)
        wait = started + due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        kind, stamp, body = tags[at]
        if not (turn and len(body) > 1 and body[1] == 0 and (kind == 8 or body[0] == 0x17)):
            data = message(kind, stamp + turn * period, body, chunk)
            sock = sockets[index]
            if mtu:
                for offset in range(0, len(data), 1448):
                    sock.sendall(data[offset : offset + 1448])
            else:
                sock.sendall(data)
            _drain(sock)
        headers_sent += 1
        at, turn = (at + 1, turn) if at + 1 < len(tags) else (0, turn + 1)
        next_due = (tags[at][1] + turn * period) / 1000 + index / count * 0.033
        heapq.heappush(heap, (next_due, index, at, turn))


def publish(port: int, key: str, chunk: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"\3" + bytes(1536))
    answer = b""
    while len(answer) < 3073:
        answer += sock.recv(65536)
    sock.sendall(answer[1:1537])
    sock.sendall(_control(1, struct.pack(">I", chunk)))
    url = f"rtmp://127.0.0.1:{port}/app"
    sock.sendall(
        _command(
            chunk,
            0,
            _text("connect")
            + _number(1)
            + _object({"app": "app", "tcUrl": url, "type": "nonprivate", "flashVer": "FMLE/3.0"}),
        )
    )
    _await_bytes(sock, b"NetConnection.Connect.Success")
    sock.sendall(_command(chunk, 0, _text("createStream") + _number(2) + b"\5"))
    _await_bytes(sock, b"_result")
    sock.sendall(_command(chunk, 1, _text("publish") + _number(3) + b"\5" + _text(key) + _text("live")))
    _await_bytes(sock, b"NetStream.Publish.Start")
    return sock


def _await_bytes(sock: socket.socket, wanted: bytes) -> None:
    sock.settimeout(10)
    seen = b""
    while wanted not in seen:
        data = sock.recv(65536)
        if not data:
            raise SystemExit(f"closed while waiting for {wanted!r}")
        seen += data
    sock.settimeout(None)


def _drain(sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        sock.recv(65536, socket.MSG_DONTWAIT)


def message(kind: int, stamp: int, body: bytes, chunk: int) -> bytes:
    csid = 4 if kind == 8 else 6
    header = (
        bytes((csid,))
        + min(stamp, 0xFFFFFF).to_bytes(3, "big")
        + len(body).to_bytes(3, "big")
        + bytes((kind,))
        + b"\1\0\0\0"
    )
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    return header + bytes((0xC0 | csid,)).join(pieces)


def _control(kind: int, body: bytes) -> bytes:
    return b"\2\0\0\0" + len(body).to_bytes(3, "big") + bytes((kind,)) + bytes(4) + body


def _command(chunk: int, stream: int, body: bytes) -> bytes:
    header = b"\3\0\0\0" + len(body).to_bytes(3, "big") + b"\x14" + struct.pack("<I", stream)
    return header + b"\xc3".join(body[at : at + chunk] for at in range(0, len(body), chunk))


def _text(value: str) -> bytes:
    return b"\2" + struct.pack(">H", len(value)) + value.encode()


def _number(value: float) -> bytes:
    return b"\0" + struct.pack(">d", value)


def _object(values: dict[str, str]) -> bytes:
    return b"\3" + b"".join(struct.pack(">H", len(k)) + k.encode() + _text(v) for k, v in values.items()) + b"\0\0\t"


# /proc


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    total = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_mb(pid: int) -> float:
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _have(there: object, what: str) -> bool:
    if not there:
        print(f"not measured, because it is not here: {what}\n")
    return bool(there)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def await_port(port: int) -> None:
    def open_() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    _await(open_, f"port {port}")


def _await(probe, what: str) -> None:
    deadline = time.monotonic() + 20
    while not probe():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come up")
        time.sleep(0.05)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishers", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--chunks", type=int, nargs="+", default=[128, 4096, 60000])
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", nargs="+", default=["OnAir", "nginx-rtmp", "pyrtmp"])
    parser.add_argument("--mtu", action="store_true", help="1448-byte writes, like a network")
    parser.add_argument("--push", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.push:
        wanted = json.loads(options.push)
        push(wanted["port"], wanted["count"], wanted["chunk"], wanted["keys"], mtu=wanted["mtu"])
    return options


if __name__ == "__main__":
    main()
