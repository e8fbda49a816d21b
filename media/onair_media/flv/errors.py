"""The one way a media unit fails."""

from __future__ import annotations


class MediaError(ValueError):
    """A unit cannot be used; the caller drops and counts it. `reason` is one of a few fixed words (for a metric)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
