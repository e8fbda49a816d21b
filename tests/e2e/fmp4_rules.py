"""What must hold for a rendition's media segments, one behind the other (ISO/IEC 14496-12, CMAF 7.3.2). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_DURATION, _SIZE, _FLAGS, _OFFSET = 0x100, 0x200, 0x400, 0x800  # of a trun's samples
_NO_SYNC = 0x1_0000


@dataclass(frozen=True)
class Run:
    """The samples of one movie fragment; ticks, bytes."""

    begin: int
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    begins_with_sync: bool

    @property
    def end(self) -> int:
        return self.begin + sum(self.durations)


def boxes(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Type, and where the content begins and ends. AssertionError where they do not fill their container."""
    end = len(data) if end is None else end
    while begin < end:
        assert begin + 8 <= end, "a box is cut off"
        size = int.from_bytes(data[begin : begin + 4], "big")
        kind = data[begin + 4 : begin + 8]
        assert 8 <= size <= end - begin, f"{kind!r} of {size} bytes where {end - begin} are left"
        yield kind, begin + 8, begin + size
        begin += size


def runs(segment: bytes) -> list[Run]:
    """The fragments of a media segment, each with just the bytes that its samples need."""
    found: list[Run] = []
    run: Run | None = None
    for kind, begin, end in boxes(segment):
        if kind == b"moof":
            assert run is None, "a moof without its mdat"
            run = _run(segment, begin, end)
        elif kind == b"mdat":
            assert run is not None, "an mdat without its moof"
            assert sum(run.sizes) == end - begin, f"samples of {sum(run.sizes)} bytes in an mdat of {end - begin}"
            found.append(run)
            run = None
    assert found and run is None, "no whole fragment"
    return found


def _run(data: bytes, begin: int, end: int) -> Run:
    tracks = [box for box in boxes(data, begin, end) if box[0] == b"traf"]
    assert len(tracks) == 1, "one track in a fragment"
    inside = {kind: (first, last) for kind, first, last in boxes(data, *tracks[0][1:])}
    time = inside[b"tfdt"][0]
    start = struct.unpack_from(">Q" if data[time] else ">I", data, time + 4)[0]
    at = inside[b"trun"][0]
    flags, count = int.from_bytes(data[at + 1 : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
    assert count and flags & _DURATION and flags & _SIZE and flags & _FLAGS, "each sample says its own"
    at += 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
    width = 3 + bool(flags & _OFFSET)
    values = struct.unpack_from(f">{count * width}I", data, at)
    return Run(start, values[::width], values[1::width], not values[2] & _NO_SYNC)


@dataclass
class Continuity:
    """Segments of one rendition, as they come; AssertionError where there is a hole or an overlap between them."""

    end: int | None = None
    samples: int = 0
    media: list[bytes] = field(default_factory=list)

    def take(self, segment: bytes) -> None:
        for run in runs(segment):
            assert self.end in (None, run.begin), f"tfdt {run.begin} where the last fragment ended at {self.end}"
            self.end = run.end
            self.samples += len(run.sizes)
        self.media.append(segment)
