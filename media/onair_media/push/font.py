"""A 5x7 bitmap font: PyAV's build of libavfilter has no drawtext, and a test pattern needs few letters."""

from __future__ import annotations

GLYPH_WIDTH = 5
GLYPH_HEIGHT = 7

# Seven rows from the top, each the five pixels from bit 4 (left) to bit 0 (right).
_ROWS = {
    "0": "0E11131519110E", "1": "040C040404040E", "2": "0E11010204081F", "3": "1F02040201110E", "4": "02060A121F0202",
    "5": "1F101E0101110E", "6": "0608101E11110E", "7": "1F010204080808", "8": "0E11110E11110E", "9": "0E11110F01020C",
    "A": "0E11111F111111", "B": "1E11111E11111E", "C": "0E11101010110E", "D": "1C12111111121C", "E": "1F10101E10101F",
    "F": "1F10101E101010", "G": "0E11101711110F", "H": "1111111F111111", "I": "0E04040404040E", "J": "0702020202120C",
    "K": "11121418141211", "L": "1010101010101F", "M": "111B1515111111", "N": "11191513111111", "O": "0E11111111110E",
    "P": "1E11111E101010", "Q": "0E11111115120D", "R": "1E11111E141211", "S": "0F10100E01011E", "T": "1F040404040404",
    "U": "1111111111110E", "V": "11111111110A04", "W": "1111111515150A", "X": "11110A040A1111", "Y": "11110A04040404",
    "Z": "1F01020408101F", ":": "00000400040000", ".": "00000000000404", "-": "0000001F000000", "_": "0000000000001F",
    "/": "00010204081000", " ": "00000000000000",
}  # fmt: skip

_GLYPHS = {letter: bytes.fromhex(rows) for letter, rows in _ROWS.items()}


def text_width(text: str, scale: int) -> int:
    """Pixels that `text` takes, one blank column between two letters."""
    return max(len(text) * (GLYPH_WIDTH + 1) - 1, 0) * scale


def render(text: str, scale: int, ink: int, paper: int) -> list[bytes]:
    """`text` as `GLYPH_HEIGHT * scale` rows of luma bytes, of `text_width`; unknown letters are blank."""
    glyphs = [_GLYPHS.get(letter, _GLYPHS[" "]) for letter in text.upper()]
    on, off = bytes([ink]) * scale, bytes([paper]) * scale
    rows = []
    for row in range(GLYPH_HEIGHT):
        pixels = off.join(
            b"".join(on if glyph[row] >> bit & 1 else off for bit in range(GLYPH_WIDTH - 1, -1, -1)) for glyph in glyphs
        )
        rows.extend([pixels] * scale)
    return rows
