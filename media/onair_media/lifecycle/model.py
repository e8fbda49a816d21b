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
    recording: bool = True
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
            recording=config.asset.store is not None,
            takeover=config.takeover,
            publisher_timeout=config.publisher_timeout,
            key_generation=config.key_generation,
        )


class Broadcast(msgspec.Struct, frozen=True, kw_only=True):
    """An open broadcast. Times are Unix seconds; `disconnected_at` None: a publisher is there.

    `recording`: whether this one is recorded, decided when it began.
    """

    ref: BroadcastRef
    started_at: float
    recording: bool
    media_started: bool = False
    recorded: bool = False
    active_at: float | None = None
    ready: bool = False
    disconnected_at: float | None = None


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

    `current_silent_for`: seconds since the present publisher, if any, last sent media.
    """

    connection: int
    candidate: BroadcastRef
    current_silent_for: float = 0.0


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The first frames of the broadcast were processed."""


@dataclass(frozen=True, slots=True)
class Playable:
    """Viewers can start: two complete segments."""


@dataclass(frozen=True, slots=True)
class RecordingReady:
    """What was recorded so far is in the store and can be played."""


@dataclass(frozen=True, slots=True)
class PublisherLeft:
    """A connection that was admitted has ended."""

    connection: int
    reason: DisconnectReason


@dataclass(frozen=True, slots=True)
class CodecChanged:
    """The publisher sends another codec than the broadcast began with."""

    candidate: BroadcastRef


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
    """The process was restarted. `last_seen`: Unix seconds of the last sign of life; `epoch`: the new one."""

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
    | RecordingReady
    | PublisherLeft
    | CodecChanged
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
    """An event for the journal, about this broadcast; `state` is the state that people see with it."""

    type: EventType
    broadcast: BroadcastRef | None
    state: State
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
    """End this connection."""

    connection: int
    reason: DisconnectReason


@dataclass(frozen=True, slots=True)
class StartBroadcast:
    """Begin packaging; `record`: and recording."""

    ref: BroadcastRef
    record: bool


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """The publisher is gone, the broadcast stays open: what was received becomes a segment."""


@dataclass(frozen=True, slots=True)
class FinishBroadcast:
    """ENDLIST; the recording becomes video on demand."""

    ref: BroadcastRef
    reason: BroadcastEnd


Output = Emit | Admit | Refuse | CutPublisher | StartBroadcast | CloseConnection | FinishBroadcast
