"""The publisher of the soak: a day of a small stream at many times the clock, with what happens to encoders in a day."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable

from encoder import encode_small, message, publish, read_flv

CHUNK = 4096
KINDS = ("drop", "restart", "jump")
JUMP_MS = 3_600_000
# Where the timestamps of a connection begin: shortly before 32 bits are full, shortly before they have to be written as
# extended ones (4.66 h), and as most encoders do.
STARTS = (2**32 - 100_000, 0xFFFFFF - 100_000, 0)
RETURNS_WITHIN_SECONDS = 30.0


class SoakEncoder(threading.Thread):
    """Sends at `speed` times the clock, or as fast as the server takes it, until `stop`.

    `disturb` asks for one of `KINDS`: the connection is reset and another one comes, or the timestamps begin anew at 0,
    or they go on an hour later. `disturbances` counts what was done, by kind.
    """

    def __init__(self, port: int, key: str, speed: float) -> None:
        super().__init__(daemon=True)
        self.disturbances = dict.fromkeys(KINDS, 0)
        self.failure: BaseException | None = None
        self._port, self._key, self._speed = port, key, speed
        self._tags = read_flv(encode_small())
        self._period = self._tags[-1][1] + 33
        self._wanted: list[str] = []
        self._stopped = threading.Event()

    def disturb(self, kind: str) -> None:
        self._wanted.append(kind)

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)

    def run(self) -> None:
        try:
            self._run()
        except BaseException as error:  # told to the main thread
            self.failure = error

    def _run(self) -> None:
        starts = itertools.cycle(STARTS)
        sock, stamp, first = self._connect(), next(starts), True
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            # What the server is too slow for is not made up for.
            due = max(due, time.monotonic() - 1) + self._period / 1000 / self._speed
            if self._wanted:
                kind = self._wanted.pop()
                self.disturbances[kind] += 1
                if kind == "drop":
                    _reset(sock)
                    sock, stamp, first = self._connect(), next(starts), True
                else:
                    stamp = 0 if kind == "restart" else stamp + JUMP_MS
            sock.sendall(self._turn(stamp, headers=first))
            stamp, first = stamp + self._period, False
        sock.close()

    def _turn(self, start: int, *, headers: bool) -> bytes:
        """The ten seconds that are repeated."""
        data = bytearray()
        for kind, stamp, body in self._tags:
            if headers or not (len(body) > 1 and body[1] == 0 and (kind == 8 or body[0] == 0x17)):
                data += message(kind, (start + stamp) % 2**32, body, CHUNK)
        return bytes(data)

    def _connect(self) -> socket.socket:
        """At once, or as soon as the server has noticed that the one before is gone."""
        sock = _until_accepted(lambda: publish(self._port, self._key, CHUNK))
        sock.settimeout(60)
        return sock


def _until_accepted(attempt: Callable[[], socket.socket]) -> socket.socket:
    until = time.monotonic() + RETURNS_WITHIN_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionError):
            return attempt()
        time.sleep(0.1)
    return attempt()


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
