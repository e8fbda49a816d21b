"""The answer to a request of ours, from bytes as they arrive: as much of HTTP/1.1 as control ports speak. Pure.

A pod is not trusted. A head has a length that it may not pass, a body has the end that it was announced with, and what
is announced in any other way is refused.
"""

from __future__ import annotations

import re

LONGEST_HEAD = 16 * 1024
_LONGEST_CHUNK_LINE = 256

_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?")


class Answer:
    """Feed it; `status` is 0 until its head is there. Raises `ValueError` for what is no answer; it is over then."""

    __slots__ = ("_chunked", "_left", "_rest", "_until_closed", "complete", "headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        """By their names in lower case; of those that come twice the last."""
        self.complete = False
        self._rest = b""
        self._chunked = False
        self._until_closed = False
        self._left = 0  # of the body, or of its chunk with the end of line behind it

    def feed(self, data: bytes) -> bytes:
        """What of the body that is."""
        self._rest += data
        if not self.status and not self._head():
            return b""
        if self.complete:
            return b""
        if self._chunked:
            return self._chunks()
        body, self._rest = (self._rest, b"") if self._until_closed else self._cut(self._left)
        if not self._until_closed:
            self._left -= len(body)
            self.complete = not self._left
        return body

    def may_end(self) -> bool:
        """Whether it is all there when the connection ends now."""
        return self.complete or (bool(self.status) and self._until_closed)

    def _head(self) -> bool:
        head, ends, rest = self._rest.partition(b"\r\n\r\n")
        if len(head) > LONGEST_HEAD:
            raise ValueError(f"a head of more than {LONGEST_HEAD} bytes")
        if not ends:
            return False
        self._rest = rest
        first, *lines = head.split(b"\r\n")
        if (found := _STATUS.fullmatch(first)) is None:
            raise ValueError("no HTTP")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or _NAME.fullmatch(name) is None:
                raise ValueError("a header that is none")
            headers[name.decode("ascii").lower()] = value.decode("latin-1").strip(" \t")
        self.headers = headers
        self.status = int(found[1])
        self._announced()
        return True

    def _announced(self) -> None:
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if self.status in (204, 304):
            self.complete = True
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise ValueError("a body of which nobody knows the end")
            self._chunked = True
        elif length is not None:
            if _LENGTH.fullmatch(length.encode("latin-1")) is None:
                raise ValueError("a length that is none")
            self._left = int(length)
            self.complete = not self._left
        else:
            self._until_closed = True

    def _chunks(self) -> bytes:
        pieces: list[bytes] = []
        while self._rest and not self.complete:
            if not self._left and not self._begin_chunk():
                break
            piece, self._rest = self._cut(self._left)
            # The last two of what is left are the end of its line.
            pieces.append(piece[: max(self._left - 2, 0)])
            if (ending := piece[max(self._left - 2, 0) :]) and not b"\r\n"[-self._left :].startswith(ending):
                raise ValueError("a chunk that does not end where it says")
            self._left -= len(piece)
        return b"".join(pieces)

    def _begin_chunk(self) -> bool:
        line, ends, rest = self._rest.partition(b"\r\n")
        if len(line) > _LONGEST_CHUNK_LINE:
            raise ValueError("a chunk of which nobody knows the length")
        if not ends:
            return False
        if (found := _CHUNK.fullmatch(line)) is None:
            raise ValueError("a chunk of which nobody knows the length")
        size = int(found[1], 16)
        self._rest = rest
        self._left = size + 2 if size else 0
        self.complete = not size  # trailers are of no interest
        return bool(size)

    def _cut(self, at: int) -> tuple[bytes, bytes]:
        return self._rest[:at], self._rest[at:]
