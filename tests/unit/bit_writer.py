"""Bits and Exp-Golomb codes written, for parameter sets made by hand (H.264 9.1)."""

from __future__ import annotations


class BitWriter:
    def __init__(self) -> None:
        self._bits = ""

    def u(self, count: int, value: int) -> BitWriter:
        self._bits += f"{value:0{count}b}" if count else ""
        return self

    def ue(self, value: int) -> BitWriter:
        code = f"{value + 1:b}"
        self._bits += "0" * (len(code) - 1) + code
        return self

    def se(self, value: int) -> BitWriter:
        return self.ue(2 * value - 1 if value > 0 else -2 * value)

    def rbsp(self) -> bytes:
        """With the stop bit, padded to bytes."""
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")

    def padded(self) -> bytes:
        """Without a stop bit, padded to bytes."""
        bits = self._bits + "0" * (-len(self._bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


def escaped(rbsp: bytes) -> bytes:
    """With emulation prevention bytes (H.264 7.4.1.1)."""
    out = bytearray()
    zeros = 0
    for byte in rbsp:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
