"""Publishes a source over RTMP in real time, and comes back after a loss, as OBS does."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import av
import av.logging

from onair_media.push.encode import Paced, Source

FIRST_DELAY = 1.0
DELAY_FACTOR = 1.5
LONGEST_DELAY = 30.0
ATTEMPTS = 25

_REFUSAL = "Server error: "  # how libavformat reports an onStatus of level error


@dataclass(frozen=True, slots=True)
class Target:
    """Where to publish: `address` is shown, `url` is the same with the stream key and is not."""

    address: str
    url: str = field(repr=False)


class NoTargetError(Exception):
    """It is not known now where to publish; the message says why."""


class PublishError(Exception):
    """Publishing failed for good; the message holds no stream key."""


class _LostError(Exception):
    """A connection failed or ended; the message says how."""


@dataclass(frozen=True, slots=True)
class Options:
    """`duration` in seconds (None: until stopped or the file's end); `reconnect`: whether a loss is retried."""

    duration: float | None = None
    reconnect: bool = True


class Publisher:
    """Publishes until the source ends, the duration is over or `stop` is set.

    `target` is asked before each connection, as key and address may have changed; it may raise `NoTargetError`. `say`
    is called with one line when something changes.
    """

    def __init__(
        self,
        source: Source,
        target: Callable[[], Target],
        options: Options,
        *,
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._stop = stop
        self._say = say
        self._sent = 0.0
        self._connected = False

    def run(self) -> float:
        """Seconds of media sent. Raises `PublishError` when the first connect fails or a loss is not retried."""
        delays = retry_delays()
        while True:
            before = self._sent
            try:
                self._once()
                return self._sent
            except _LostError as error:
                if not self._connected:
                    raise PublishError(str(error)) from None
                if self._sent > before:
                    delays = retry_delays()
                delay = next(delays, None) if self._options.reconnect else None
                if delay is None:
                    raise PublishError(f"the connection is lost: {error}") from None
                self._say(f"{error}; trying again in {delay:.1f} s")
            if self._stop.wait(delay):
                return self._sent

    def _once(self) -> None:
        """One connection, from connect to unpublish. Raises `_LostError`."""
        try:
            target = self._target()
        except NoTargetError as error:
            raise _LostError(str(error)) from None
        self._publish(target)

    def _publish(self, target: Target) -> None:
        with _lost(target):
            container = av.open(target.url, "w", format="flv", container_options={"flvflags": "no_duration_filesize"})
        begun = self._sent
        try:
            paced = self._source.run(container, time.time(), begun)
            first = next(paced, None)
            if first is None:
                return
            self._connect(container, target)
            self._send(container, itertools.chain([first], paced), begun, target)
        finally:
            with contextlib.suppress(av.FFmpegError):  # the connection may be gone
                container.close()  # the trailer, then FCUnpublish and deleteStream

    def _connect(self, container: av.container.OutputContainer, target: Target) -> None:
        # Only here: PyAV's log callback may deadlock while encoder threads run.
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)  # a second refusal in the same words is one, too
        lines: list[str] = []
        try:
            with _lost(target, lines), av.logging.Capture() as captured:
                try:
                    container.start_encoding()
                finally:
                    lines += [text for _, _, text in captured]
        finally:
            av.logging.set_level(None)
        self._say(f"{'reconnected' if self._connected else 'publishing'} to {target.address}")
        self._connected = True

    def _send(self, container: av.container.OutputContainer, paced: Paced, begun: float, target: Target) -> None:
        start = time.monotonic()
        for due, packets in paced:
            if self._options.duration is not None and begun + due >= self._options.duration:
                return
            if self._stop.wait(max(0.0, start + due - time.monotonic())):
                return
            with _lost(target):
                container.mux(packets)
            self._sent = begun + due


@contextlib.contextmanager
def _lost(target: Target, log_lines: Sequence[str] = ()) -> Iterator[None]:
    """Errors of libavformat within are a lost connection; `log_lines`, filled meanwhile, may say it better."""
    try:
        yield
    except av.FFmpegError as error:
        refusals = [line.split(_REFUSAL, 1)[1].strip() for line in log_lines if _REFUSAL in line]
        if refusals:
            problem = f"the server refused: {refusals[0]}"
        elif isinstance(error, av.EOFError):
            problem = "the server closed the connection"
        else:
            problem = error.strerror or type(error).__name__
        raise _LostError(f"{target.address}: {problem}") from None


def retry_delays() -> Iterator[float]:
    """Seconds to wait before each attempt."""
    for attempt in range(ATTEMPTS):
        yield min(FIRST_DELAY * DELAY_FACTOR**attempt, LONGEST_DELAY)
