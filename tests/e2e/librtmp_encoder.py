"""An encoder made of librtmp itself, as rtmpdump and many hardware encoders have it: librtmp_encoder.py URL [FFMPEG OPTION …]

ffmpeg encodes in real time, librtmp.so.1 publishes its FLV tags; the options are put before ffmpeg's output. A process of
its own, for librtmp ends the process that uses it wrongly. SIGINT stops in order, with FCUnpublish and deleteStream.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import BinaryIO

LIBRARY = "librtmp.so.1"
_FLV_HEADER, _TAG_HEADER, _TAG_SIZE = 13, 11, 4

FFMPEG = [
    "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error",
    "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-re", "-f", "lavfi", "-i", "sine=sample_rate=48000",
    "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "30", "-b:v", "300k",
    "-c:a", "aac",
]  # fmt: skip


def main(url: str, *options: str) -> int:
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    rtmp = Publisher(url)
    # A session of its own: Ctrl-C is for us, and without a reader it ends by itself.
    encoder = subprocess.Popen([*FFMPEG, *options, "-f", "flv", "-"], stdout=subprocess.PIPE, start_new_session=True)
    assert encoder.stdout is not None
    try:
        for tag in tags(encoder.stdout):
            if stopped:
                break
            rtmp.write(tag)
    except ConnectionError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        encoder.kill()
        encoder.wait()
        rtmp.close()
    return 0


class Publisher:
    """What librtmp's own documentation calls a stream that is written. Raises ConnectionError."""

    def __init__(self, url: str) -> None:
        self._library = library = ctypes.CDLL(LIBRARY)
        library.RTMP_Alloc.restype = ctypes.c_void_p
        self._rtmp = ctypes.c_void_p(library.RTMP_Alloc())
        library.RTMP_Init(self._rtmp)
        self._url = ctypes.create_string_buffer(f"{url} live=1".encode())  # it is parsed in place, and kept
        if not library.RTMP_SetupURL(self._rtmp, self._url):
            raise ConnectionError("librtmp does not take this URL")
        library.RTMP_EnableWrite(self._rtmp)
        if not library.RTMP_Connect(self._rtmp, None):
            raise ConnectionError("librtmp cannot connect")
        if not library.RTMP_ConnectStream(self._rtmp, 0):
            raise ConnectionError("librtmp cannot publish")

    def write(self, tag: bytes) -> None:
        """One FLV tag with the size behind it, the file's header before the first."""
        if self._library.RTMP_Write(self._rtmp, tag, len(tag)) <= 0:
            raise ConnectionError("librtmp cannot write")

    def close(self) -> None:
        self._library.RTMP_Close(self._rtmp)
        self._library.RTMP_Free(self._rtmp)


def tags(flv: BinaryIO) -> Iterator[bytes]:
    """The pieces that `Publisher.write` takes."""
    before = flv.read(_FLV_HEADER)
    while len(header := flv.read(_TAG_HEADER)) == _TAG_HEADER:
        yield before + header + flv.read(int.from_bytes(header[1:4], "big") + _TAG_SIZE)
        before = b""


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except ConnectionError as error:
        sys.exit(str(error))
