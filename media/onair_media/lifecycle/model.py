"""What goes into the state machine and what comes out of it. Immutable, serialisable, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from onair_core.contract import (
    BroadcastEnd,
    BroadcastRef,
    ChannelConfig,
    DisconnectReason,
    EventType,
    Takeover,
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What of a channel's configuration the lifecycle depends on. Seconds."""

    disabled: bool = False
    reconnect_window: float = 60.0
    max_continuous_duration: float = 43200.0
    end_on_clean_stop: bool = False
    test: bool = False
    takeover: Takeover = Takeover.NEVER
    publisher_timeout: float = 10.0
    key_generation: str = ""

    @classmethod
    def of(cls, config: ChannelConfig) -> Settings:
        return cls(
            disabled=config.disabled,
            reconnect_window=config.reconnect_window,
            max_continuous_duration=config.max_continuous_duration,
            end_on_clean_stop=config.end_on_clean_stop,
            test=config.test,
            takeover=config.takeover,
            publisher_timeout=config.publisher_timeout,
            key_generation=config.key_generation,
        )


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a broadcast's media had come at Unix time `at`, and what its playlists have promised until then.

    `media_end` in seconds of media time. A later process goes on from here where there is no recording to read it from.
    """

    at: float
    media_end: float
    target_duration: int | None = None
    renditions: tuple[str, ...] | None = None
    codecs: dict[str, str] = {}


class Broadcast(msgspec.Struct, frozen=True, kw_only=True):
    """An open broadcast. Times are Unix seconds; `disconnected_at` None: a publisher is there.

    `store`: the URL of where this one is recorded, decided when it began; None: nothing is kept.
    """

    ref: BroadcastRef
    started_at: float
    store: str | None = None
    media_started: bool = False
    recorded: bool = False
    active_at: float | None = None
    ready: bool = False
    disconnected_at: float | None = None
    progress: Progress | None = None

    @property
    def recording(self) -> bool:
        return self.store is not None


class Leaving(msgspec.Struct, frozen=True):
    """An encoder whose broadcast was completed: it is cut at `cut_at`, and what it sends until then is dropped."""

    connection: int
    cut_at: float


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A channel's whole state. `publisher`: number of the connection whose media is taken."""

    settings: Settings = Settings()
    publisher: int | None = None
    broadcast: Broadcast | None = None
    leaving: Leaving | None = None
    test_over: bool = False
    removed: bool = False


class Refusal(StrEnum):
    """Why a publisher with a valid key is turned away; the value is what the encoder is told."""

    DISABLED = "The stream is disabled."
    TEST_OVER = "The test stream is over: a test stream is live for five minutes."
    BUSY = "Another encoder is publishing to this stream."
    REMOVED = "The stream does not exist any more."


# Inputs


@dataclass(frozen=True, slots=True)
class PublisherArrived:
    """A connection with a valid key wants to publish. `candidate`: the broadcast that begins if none goes on.

    `store`: where that one would be recorded; None: it would not be. `current_silent_for`: seconds since the present
    publisher, if any, last sent media.
    """

    connection: int
    candidate: BroadcastRef
    store: str | None = None
    current_silent_for: float = 0.0


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The first frames of the broadcast were processed."""


@dataclass(frozen=True, slots=True)
class Playable:
    """Viewers can start: two complete segments."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far the media has come; see `Progress`."""

    media_end: float
    target_duration: int | None
    renditions: tuple[str, ...] | None
    codecs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordingReady:
    """What was recorded so far is in the store and can be played."""


@dataclass(frozen=True, slots=True)
class PublisherLeft:
    """A connection that was admitted has ended."""

    connection: int
    reason: DisconnectReason


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """The publisher sends another codec, or another track, than the broadcast began with: it `end`s.

    `candidate` and `store` as on arrival.
    """

    candidate: BroadcastRef
    store: str | None = None
    end: BroadcastEnd = BroadcastEnd.CODEC_CHANGED


@dataclass(frozen=True, slots=True)
class MediaRefused:
    """The publisher sends what cannot be taken; `message` says what and what to do, for people."""

    reason: DisconnectReason
    message: str


@dataclass(frozen=True, slots=True)
class PackagerFailed:
    """A defect ended the packaging of `broadcast`; `epoch` is a new one."""

    broadcast: BroadcastRef
    epoch: int


@dataclass(frozen=True, slots=True)
class Complete:
    """Someone signals that this broadcast, and no other, is complete."""

    broadcast_id: str


@dataclass(frozen=True, slots=True)
class Configure:
    """The configuration, whole; it may be the same as before."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Remove:
    """The LiveStream was deleted."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The process was restarted; always the first input of a process, whatever the state says.

    `last_seen`: Unix seconds of the last sign of life of the one before; `epoch`: the new one.
    """

    last_seen: float
    epoch: int


@dataclass(frozen=True, slots=True)
class Warn:
    """Something is wrong that does not end the broadcast."""

    type: EventType
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; give one when `deadline(state)` is reached."""


Input = (
    PublisherArrived
    | MediaStarted
    | Playable
    | Progressed
    | RecordingReady
    | PublisherLeft
    | MediaChanged
    | MediaRefused
    | PackagerFailed
    | Complete
    | Configure
    | Remove
    | Resumed
    | Warn
    | Tick
)


# Outputs, to be carried out in order


@dataclass(frozen=True, slots=True)
class Emit:
    """An event for the journal, about this broadcast."""

    type: EventType
    broadcast: BroadcastRef | None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admit:
    """This connection publishes now."""

    connection: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """This connection is turned away."""

    connection: int
    reason: Refusal


@dataclass(frozen=True, slots=True)
class CutPublisher:
    """End this connection. `message`: what the encoder is told; empty: what `reason` means."""

    connection: int
    reason: DisconnectReason
    message: str = ""


@dataclass(frozen=True, slots=True)
class StartBroadcast:
    """Begin packaging, and recording where `store` is."""

    ref: BroadcastRef
    store: str | None


@dataclass(frozen=True, slots=True)
class NextEpoch:
    """The broadcast goes on in another epoch, with everything that packages it made anew."""

    ref: BroadcastRef


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """The publisher is gone, the broadcast stays open: what was received becomes a segment."""


@dataclass(frozen=True, slots=True)
class FinishBroadcast:
    """ENDLIST; the recording becomes video on demand."""

    ref: BroadcastRef
    reason: BroadcastEnd


Output = Emit | Admit | Refuse | CutPublisher | StartBroadcast | NextEpoch | CloseConnection | FinishBroadcast
