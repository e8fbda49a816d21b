"""One encoded stream, and many RTMP publishers that send it as it is, cheaply enough to load a server on the same machine."""

from __future__ import annotations

import contextlib
import functools
import heapq
import io
import json
import socket
import ssl
import struct
import time
from dataclasses import asdict, dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "bench"
# So many publishers of 6 Mbit/s are more than one sending process can do.
MANY = 100


@dataclass(frozen=True)
class Load:
    """What publishers do: `chunk` size in bytes; `mtu`: small writes."""

    count: int
    chunk: int
    mtu: bool = False
    tls: bool = False

    @property
    def kilobits(self) -> int:
        """A second, of each stream's video."""
        return 6000 if self.count <= MANY else 2500

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Load:
        return cls(**json.loads(text))


@functools.cache
def load_stream(kilobits: int = 6000, gop: int = 60) -> list[tuple[int, int, bytes]]:
    """(message type, milliseconds, body), encoded once; `gop` in frames."""
    file = CACHE / f"1080p30-{kilobits}k-gop{gop}.flv"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        encode(file.with_suffix(".new"), kilobits, gop)
        file.with_suffix(".new").rename(file)
    return read_flv(file.read_bytes())


def read_flv(data: bytes) -> list[tuple[int, int, bytes]]:
    """(message type, milliseconds, body) of a file's audio and video tags."""
    tags, at = [], 13
    while at < len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        if kind in (8, 9):
            tags.append((kind, stamp, data[at + 11 : at + 11 + size]))
        at += 15 + size
    return tags


def encode(file: Path, kilobits: int, gop: int) -> None:
    """10 s of 1080p30, 2 B-frames, AAC 128 kbit/s, by FFmpeg in PyAV."""
    import av
    from av.video.frame import PictureType

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
        video.width, video.height, video.pix_fmt, video.bit_rate = 1920, 1080, "yuv420p", kilobits * 1000
        video.options = {
            "preset": "veryfast",
            "g": str(gop),
            "bf": "2",
            "x264-params": f"nal-hrd=cbr:vbv-maxrate={kilobits}:vbv-bufsize={kilobits}",
        }
        audio = output.add_stream("aac", rate=48000)
        audio.layout, audio.bit_rate = "stereo", 128_000
        for graph_sink, stream in ((sink, video), (sound_sink, audio)):
            while True:
                try:
                    frame = graph_sink.pull()
                except (av.EOFError, av.BlockingIOError):
                    break
                if isinstance(frame, av.VideoFrame):
                    frame.pict_type = PictureType.NONE  # the filter marks every picture as a key frame
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))


def encode_small() -> bytes:
    """10 s of 160x90 at 30 frames a second, GOP of 2 s, with sound: an FLV file."""
    import av
    from av.video.frame import PictureType

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flv") as output:
        video = output.add_stream("libx264", rate=30, options={"preset": "veryfast", "g": "60", "sc_threshold": "0"})
        video.width, video.height, video.pix_fmt, video.bit_rate = 160, 90, "yuv420p", 60_000
        audio = output.add_stream("aac", rate=48000)
        audio.layout, audio.bit_rate = "stereo", 32_000
        for number in range(300):
            frame = av.VideoFrame(160, 90, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((number % 200,)) * plane.buffer_size)
            frame.pts, frame.pict_type = number, PictureType.NONE
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for number in range(469):
            sound = av.AudioFrame("fltp", "stereo", 1024)
            sound.rate, sound.pts = 48000, number * 1024
            for plane in sound.planes:
                plane.update(bytes(plane.buffer_size))
            output.mux(audio.encode(sound))
        output.mux(audio.encode(None))
    return buffer.getvalue()


def push(load: Load, targets: list[tuple[int, str]]) -> None:
    """Publishes to each (port, key) until killed; prints `up` when all are accepted."""
    tags, count = load_stream(load.kilobits), load.count
    period = tags[-1][1] + 33
    sockets = [publish(port, key, load.chunk, tls=load.tls) for port, key in targets]
    print("up", flush=True)
    started = time.monotonic()
    # Streams are spread over the frame interval, as real ones are.
    heap = [(index / count * 0.033, index, 0, 0) for index in range(count)]
    heapq.heapify(heap)
    while True:
        due, index, at, turn = heapq.heappop(heap)
        wait = started + due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        kind, stamp, body = tags[at]
        if not (turn and len(body) > 1 and body[1] == 0 and (kind == 8 or body[0] == 0x17)):
            data = message(kind, stamp + turn * period, body, load.chunk)
            sock = sockets[index]
            if load.mtu:
                for offset in range(0, len(data), 1448):
                    sock.sendall(data[offset : offset + 1448])
            else:
                sock.sendall(data)
            _drain(sock)
        at, turn = (at + 1, turn) if at + 1 < len(tags) else (0, turn + 1)
        next_due = (tags[at][1] + turn * period) / 1000 + index / count * 0.033
        heapq.heappush(heap, (next_due, index, at, turn))


def publish(port: int, key: str, chunk: int, *, tls: bool = False) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
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
            raise ConnectionError(f"closed while waiting for {wanted!r}")
        seen += data
    sock.settimeout(None)


def _drain(sock: socket.socket) -> None:
    """Takes what the server says, as encoders do."""
    if isinstance(sock, ssl.SSLSocket):
        sock.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            sock.recv(65536)
        sock.setblocking(True)
        return
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
    extended = stamp.to_bytes(4, "big") if stamp >= 0xFFFFFF else b""
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    return header + extended + (bytes((0xC0 | csid,)) + extended).join(pieces)


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
