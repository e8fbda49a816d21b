"""The lines of a watch, from chunks as they arrive. Pure."""

from __future__ import annotations

from collections.abc import Iterator

# etcd takes 1.5 MiB for an object and the API server 3 MiB for a request; JSON and managedFields come on top.
LONGEST_LINE = 16 * 1024 * 1024


class Lines:
    """Give it chunks, take whole lines without their ends. What is half a line waits for the rest."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._pending: list[bytes] = []
        self._waiting = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Raises `ValueError` when a line grows past `longest` bytes."""
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            complete = b"".join((*self._pending, line))
            self._pending, self._waiting = [], 0
            if complete:
                yield complete
        if rest:
            self._pending.append(rest)
            self._waiting += len(rest)
            if self._waiting > self._longest:
                raise ValueError(f"a line of more than {self._longest} bytes")
