"""AMF0 (Adobe, 2007): values of RTMP commands, metadata and FLV script data, within limits.

A decoder bounds what a few bytes can ask for: nesting, the number of values, and nothing is taken on the word of a
length that the data does not have.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _MOVIECLIP, _NULL, _UNDEFINED, _REFERENCE, _ECMA_ARRAY, _END = range(10)
_STRICT_ARRAY, _DATE, _LONG_STRING, _UNSUPPORTED, _RECORDSET, _XML, _TYPED_OBJECT, _AVMPLUS = range(10, 18)


class AmfError(ValueError):
    """The bytes are not AMF0."""


class AmfLimitError(AmfError):
    """They nest too deep, or are too many values."""


def decode(data: bytes, *, max_depth: int = 32, max_values: int = 20_000) -> list[object]:
    """All values of a message; see `Decoder`. Raises `AmfError`."""
    return Decoder(data, max_depth, max_values).all()


def encode(*values: object) -> bytes:
    """float and int, bool, str, None, mappings (as objects) and sequences (as strict arrays)."""
    return b"".join(_encode(value) for value in values)


def _encode(value: object) -> bytes:
    if value is None:
        return bytes((_NULL,))
    if isinstance(value, bool):
        return bytes((_BOOLEAN, value))
    if isinstance(value, (int, float)):
        return struct.pack(">Bd", _NUMBER, value)
    if isinstance(value, str):
        text = value.encode()
        if len(text) > 0xFFFF:
            return struct.pack(">BI", _LONG_STRING, len(text)) + text
        return struct.pack(">BH", _STRING, len(text)) + text
    if isinstance(value, Mapping):
        return bytes((_OBJECT,)) + b"".join(_key(k) + _encode(v) for k, v in value.items()) + b"\0\0" + bytes((_END,))
    if isinstance(value, Sequence):
        return struct.pack(">BI", _STRICT_ARRAY, len(value)) + b"".join(map(_encode, value))
    raise TypeError(f"AMF0 has no {type(value).__name__}")


def _key(text: str) -> bytes:
    name = text.encode()
    return struct.pack(">H", len(name)) + name


class Decoder:
    """One message. `left` is how many values of `max_values` it has not used.

    Numbers and dates become float, objects and ECMA arrays dict, strict arrays list; undefined, unsupported and
    references None.
    """

    def __init__(self, data: bytes, max_depth: int, max_values: int) -> None:
        self.left = max_values
        self._max_depth = max_depth
        self._data = data
        self._at = 0

    def all(self) -> list[object]:
        """Every value. Raises `AmfError`."""
        values = []
        while self._at < len(self._data):
            values.append(self._value(0))
        return values

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise AmfError("truncated")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _integer(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), "big")

    def _text(self, length_size: int) -> str:
        # Encoders send Latin-1 in names now and then: that is no reason to lose a command.
        return self._bytes(self._integer(length_size)).decode("utf-8", "replace")

    def _number(self) -> float:
        value: float = struct.unpack(">d", self._bytes(8))[0]
        return value

    def _value(self, depth: int) -> object:
        if depth > self._max_depth or self.left <= 0:
            raise AmfLimitError("too deep" if self.left else "too many values")
        self.left -= 1
        marker = self._integer(1)
        if marker == _NUMBER:
            return self._number()
        if marker == _BOOLEAN:
            return self._integer(1) != 0
        if marker == _STRING:
            return self._text(2)
        if marker in (_LONG_STRING, _XML):
            return self._text(4)
        if marker == _OBJECT:
            return self._pairs(depth)
        if marker == _ECMA_ARRAY:
            self._integer(4)  # a hint that some encoders get wrong; the end marker counts
            return self._pairs(depth)
        if marker == _TYPED_OBJECT:
            self._text(2)
            return self._pairs(depth)
        if marker == _STRICT_ARRAY:
            return [self._value(depth + 1) for _ in range(self._count())]
        if marker == _DATE:
            value = self._number()
            self._integer(2)
            return value
        if marker == _REFERENCE:
            self._integer(2)  # may be cyclic; no command needs one
            return None
        if marker in (_NULL, _UNDEFINED, _UNSUPPORTED):
            return None
        raise AmfError(f"marker {marker}")

    def _count(self) -> int:
        count = self._integer(4)
        if count > len(self._data) - self._at:
            raise AmfError("array longer than its message")
        return count

    def _pairs(self, depth: int) -> dict[str, object]:
        pairs: dict[str, object] = {}
        while True:
            name = self._text(2)
            if not name and self._data[self._at : self._at + 1] == bytes((_END,)):
                self._at += 1
                return pairs
            pairs[name] = self._value(depth + 1)


def whole_number(value: object) -> int:
    """A transaction id or stream id as an integer; 0 for anything that is none (NaN, infinity, another type)."""
    if isinstance(value, float) and math.isfinite(value) and abs(value) < 2**53:
        return int(value)
    return 0
