"""Whom a session deals with: who admits it, what it publishes to, who keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from onair_core.contract import DisconnectReason

if TYPE_CHECKING:
    from onair_media.ingest.session import PublisherSession


class Refused(Exception):
    """A publisher is turned away: `code` is the NetStream status code, `str()` the description it is shown."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class UnknownKey(Refused):
    """No stream has this key: counted against the address it came from."""

    def __init__(self) -> None:
        super().__init__("NetStream.Publish.BadName", "No stream has this key.")


class Target(Protocol):
    """What a publisher publishes to."""

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None: ...
    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None: ...
    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None: ...
    def left(self, session: PublisherSession, reason: DisconnectReason) -> None: ...
    def quiet_seconds(self, session: PublisherSession) -> float:
        """For how long nothing that this publisher sends, in real time, can make a difference to anybody."""


class Admission(Protocol):
    """Finds the target of a stream key, or raises `Refused`. The target hears `left` once for each `admit`."""

    def admit(self, session: PublisherSession, key: str) -> Target: ...


class Owner(Protocol):
    """Who keeps the sessions: each is closed once, and never heard of again."""

    def session_closed(self, session: PublisherSession) -> None: ...
