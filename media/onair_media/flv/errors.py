"""How a unit fails."""

from __future__ import annotations

from typing import Literal


class MediaError(ValueError):
    """A unit cannot be used; the caller drops and counts it. `reason` is one of a few fixed words (for a metric)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedCodecError(MediaError):
    """The publisher sends a codec that cannot be packaged: dropping its units would leave a stream without that track.

    `codec` is a name for people.
    """

    def __init__(self, kind: Literal["video", "audio"], codec: str) -> None:
        super().__init__(f"unsupported {kind} codec")
        self.kind = kind
        self.codec = codec
