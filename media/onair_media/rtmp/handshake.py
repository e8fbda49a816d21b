"""The server's side of the handshake (RTMP 5.2), simple and with digests.

C0 and C1 are answered with S0, S1 and S2 at once; C2 is read and not looked at (encoders fill it with anything).
Flash-era clients (FMLE, old Wirecast) put an HMAC-SHA256 digest into C1 and expect digests in S1 and S2; everyone else
gets the echo of the specification. A digest that does not verify is no error: the version bytes of C1 mean little.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256

from onair_media.rtmp.errors import ProtocolError

VERSION = 3
SIZE = 1536

_GENUINE_FP = b"Genuine Adobe Flash Player 001"
_GENUINE_FMS = b"Genuine Adobe Flash Media Server 001"
_SUFFIX = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
_DIGEST_SIZE = 32
# Two layouts of C1: the digest block follows the version, or the key block.
_SCHEMES = (8, 772)


class Handshake:
    """Feed it wire bytes with `receive` until `done`; `rest` is then what followed."""

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._buffer = bytearray()
        self._answered = False

    def receive(self, data: bytes | memoryview) -> bytes:
        """What is to be sent now. Raises `ProtocolError` at the first byte when it is not RTMP."""
        self._buffer += data
        answer = b""
        if self._buffer and self._buffer[0] != VERSION:
            raise ProtocolError(f"not RTMP: first byte {self._buffer[0]:#04x}")
        if not self._answered and len(self._buffer) > SIZE:
            answer = bytes((VERSION,)) + _answer(bytes(self._buffer[1 : SIZE + 1]))
            self._answered = True
        if len(self._buffer) >= 1 + 2 * SIZE:
            self.rest = bytes(self._buffer[1 + 2 * SIZE :])
            self._buffer.clear()
            self.done = True
        return answer


def _answer(c1: bytes) -> bytes:
    """S1 and S2."""
    for scheme in _SCHEMES:
        at = _digest_at(c1, scheme)
        digest = c1[at : at + _DIGEST_SIZE]
        if hmac.compare_digest(digest, _digest(c1, at, _GENUINE_FP)):
            return _s1_with_digest(scheme) + _s2_with_digest(digest)
    return bytes(8) + os.urandom(SIZE - 8) + c1


def _digest_at(block: bytes, scheme: int) -> int:
    return scheme + 4 + sum(block[scheme : scheme + 4]) % 728


def _digest(block: bytes, at: int, key: bytes) -> bytes:
    return hmac.digest(key, block[:at] + block[at + _DIGEST_SIZE :], sha256)


def _s1_with_digest(scheme: int) -> bytes:
    s1 = bytes(4) + bytes((4, 5, 0, 1)) + os.urandom(SIZE - 8)
    at = _digest_at(s1, scheme)
    return s1[:at] + _digest(s1, at, _GENUINE_FMS) + s1[at + _DIGEST_SIZE :]


def _s2_with_digest(challenge: bytes) -> bytes:
    key = hmac.digest(_GENUINE_FMS + _SUFFIX, challenge, sha256)
    body = os.urandom(SIZE - _DIGEST_SIZE)
    return body + hmac.digest(key, body, sha256)
