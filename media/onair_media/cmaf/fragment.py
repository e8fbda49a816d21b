"""Media fragments (`moof` + `mdat`, ISO/IEC 14496-12 8.8), written directly.

libavformat makes the init segments; the fragments are made here because it cannot be told to end one on command, and
because this is several times cheaper: all `trun` entries are filled and byte-swapped at once (docs/decisions/006).
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass, field

from onair_media.flv import Picture

TRACK_ID = 1
# sample_flags (8.8.3.1), in the order of `Picture`: is_leading 1 and 3 tell leading pictures that need what is before
# the GOP from those that do not. A CRA is a sync sample even where RASL pictures follow (docs/decisions/009).
_FLAGS = (0x01010000, 0x0D010000, 0x05010000, 0x02000000, 0x02000000, 0x02000000)
_TFHD_DEFAULT_BASE_IS_MOOF = 0x020000
_TRUN_OFFSET, _TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_CTS = 0x1, 0x100, 0x200, 0x400, 0x800
_HEADER = struct.Struct(
    ">I4s"  # moof
    "I4sII"  # mfhd
    "I4s"  # traf
    "I4sII"  # tfhd
    "I4sIQ"  # tfdt
    "I4sIII"  # trun, without its entries
)
_MDAT = struct.Struct(">I4s")


@dataclass(slots=True)
class Samples:
    """Consecutive samples of one track, column by column. Times are in the track's timescale."""

    dts: list[int] = field(default_factory=list)
    cts: list[int] = field(default_factory=list)
    picture: list[Picture] = field(default_factory=list)
    data: list[bytes | memoryview] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.dts)

    def split(self, count: int) -> Samples:
        """Takes the first `count` samples away and returns them."""
        taken = Samples(self.dts[:count], self.cts[:count], self.picture[:count], self.data[:count])
        del self.dts[:count], self.cts[:count], self.picture[:count], self.data[:count]
        return taken


def fragment(samples: Samples, first: int, last: int, end: int, sequence: int) -> list[bytes | memoryview]:
    """Samples `first` up to `last` (exclusive) as one fragment; the last of them lasts until `end`. To be joined."""
    count = last - first
    dts = samples.dts[first:last]
    data = samples.data[first:last]
    sizes = list(map(len, data))
    following = dts[1:]
    following.append(end)
    entries = array("i", bytes(16 * count))
    entries[0::4] = array("i", [b - a for a, b in zip(dts, following, strict=True)])
    entries[1::4] = array("i", sizes)
    entries[2::4] = array("i", [_FLAGS[picture] for picture in samples.picture[first:last]])
    entries[3::4] = array("i", samples.cts[first:last])
    if sys.byteorder == "little":
        entries.byteswap()
    trun = 20 + 16 * count
    traf = 8 + 16 + 20 + trun
    moof = 8 + 16 + traf
    header = _HEADER.pack(
        moof, b"moof",
        16, b"mfhd", 0, sequence,
        traf, b"traf",
        16, b"tfhd", _TFHD_DEFAULT_BASE_IS_MOOF, TRACK_ID,
        20, b"tfdt", 0x01000000, dts[0],
        trun, b"trun", 0x01000000 | _TRUN_OFFSET | _TRUN_DURATION | _TRUN_SIZE | _TRUN_FLAGS | _TRUN_CTS,
        count, moof + 8,
    )  # fmt: skip
    return [header, entries.tobytes(), _MDAT.pack(8 + sum(sizes), b"mdat"), *data]
