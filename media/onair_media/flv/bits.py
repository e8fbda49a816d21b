"""Reading bits and Exp-Golomb codes from untrusted bytes (H.264 9.1)."""

from __future__ import annotations

from onair_media.flv.errors import MediaError


class BitReader:
    """Raises `MediaError(reason)` where the data ends early or a code is longer than any real value."""

    def __init__(self, data: bytes, reason: str) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8
        self._reason = reason

    def bits(self, count: int) -> int:
        if count > self._left:
            raise MediaError(self._reason)
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.bits(1) == 1

    def ue(self) -> int:
        """Unsigned Exp-Golomb, at most 32 bits of value."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 31:
                raise MediaError(self._reason)
        return (1 << zeros) - 1 + self.bits(zeros)

    def se(self) -> int:
        """Signed Exp-Golomb."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
