"""The life of a channel, told as its users would tell it. Mux's table is the order of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from onair_core.contract import BroadcastEnd, BroadcastRef, DisconnectReason, EventType, Phase, Takeover
from onair_media import lifecycle as lc

E = EventType
STORE = "file:///recordings"
FIRST, SECOND = BroadcastRef("first", 1), BroadcastRef("second", 2)


@dataclass
class Channel:
    """Drives the machine and remembers what it said."""

    settings: lc.Settings = field(default_factory=lc.Settings)
    now: float = 1000.0
    store: str | None = STORE

    def __post_init__(self) -> None:
        self.state = lc.State(settings=self.settings)
        self.events: list[EventType] = []
        self.emitted: list[lc.Emit] = []
        self.outputs: list[lc.Output] = []

    def feed(self, given: lc.Input, at: float | None = None) -> list[lc.Output]:
        self.now = at if at is not None else self.now
        self.state, outputs = lc.step(self.state, given, self.now)
        self.outputs = outputs
        emitted = [o for o in outputs if isinstance(o, lc.Emit)]
        self.emitted += emitted
        self.events += [o.type for o in emitted]
        return outputs

    def arrive(self, number: int = 1, ref: BroadcastRef = FIRST, silent: float = 0.0) -> lc.Output:
        outputs = self.feed(lc.PublisherArrived(number, ref, self.store, silent))
        return next(o for o in outputs if isinstance(o, lc.Admit | lc.Refuse))

    def go_live(self) -> None:
        self.arrive()
        self.feed(lc.MediaStarted())
        self.feed(lc.Playable())
        self.feed(lc.RecordingReady())

    def leave(self, number: int = 1, reason: DisconnectReason = DisconnectReason.CONNECTION_LOST) -> None:
        self.feed(lc.PublisherLeft(number, reason))

    def configure(self, **changes: Any) -> None:
        self.feed(lc.Configure(replace(self.state.settings, **changes)))

    @property
    def phase(self) -> Phase:
        return lc.phase(self.state)

    def cuts(self) -> list[tuple[int, DisconnectReason]]:
        return [(o.connection, o.reason) for o in self.outputs if isinstance(o, lc.CutPublisher)]


def live(store: str | None = STORE, **settings: Any) -> Channel:
    channel = Channel(lc.Settings(**settings), store=store)
    channel.go_live()
    return channel


GOING_LIVE = [E.STREAM_CONNECTED, E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_ACTIVE, E.ASSET_READY]


def test_going_live_tells_events_in_muxs_order_and_is_active_only_once_playable() -> None:
    channel = Channel()
    channel.arrive()
    channel.feed(lc.MediaStarted())
    assert channel.phase is Phase.IDLE
    channel.feed(lc.Playable())
    assert channel.phase is Phase.ACTIVE
    channel.feed(lc.RecordingReady())
    assert channel.events == GOING_LIVE


def test_asset_ready_waits_for_active_and_for_the_store() -> None:
    channel = Channel()
    channel.arrive()
    channel.feed(lc.RecordingReady())
    channel.feed(lc.Playable())
    assert channel.events[-2:] == [E.STREAM_ACTIVE, E.ASSET_READY]


def test_a_drop_inside_the_window_continues_the_same_broadcast() -> None:
    channel = live(reconnect_window=60)
    channel.leave()
    assert channel.phase is Phase.ACTIVE
    channel.now += 59
    assert channel.arrive(2, SECOND) == lc.Admit(2)
    assert channel.state.broadcast is not None and channel.state.broadcast.ref == FIRST
    assert channel.events == [*GOING_LIVE, E.STREAM_DISCONNECTED, E.STREAM_CONNECTED]


def test_the_window_ends_the_broadcast_and_the_next_publisher_begins_another() -> None:
    channel = live(reconnect_window=60)
    channel.leave()
    due = lc.deadline(channel.state)
    assert due == channel.now + 60
    channel.feed(lc.Tick(), due)
    assert channel.events[-2:] == [E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert channel.emitted[-1].data["reason"] == BroadcastEnd.WINDOW_ELAPSED
    assert channel.phase is Phase.IDLE
    channel.arrive(2, SECOND)
    assert channel.state.broadcast is not None and channel.state.broadcast.ref == SECOND


def test_a_window_of_zero_ends_with_the_connection() -> None:
    channel = live(reconnect_window=0)
    channel.leave()
    assert channel.events[-3:] == [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]


def test_a_clean_stop_opens_the_window_too_unless_the_channel_wants_otherwise() -> None:
    patient, brisk = live(), live(end_on_clean_stop=True)
    for channel in (patient, brisk):
        channel.leave(reason=DisconnectReason.CLEAN_STOP)
    assert patient.events[-1] is E.STREAM_DISCONNECTED
    assert brisk.events[-1] is E.ASSET_COMPLETED
    assert next(e for e in brisk.emitted if e.type is E.STREAM_IDLE).data["reason"] == BroadcastEnd.CLEAN_STOP


def test_a_second_publisher_is_refused_while_the_first_is_sending() -> None:
    channel = live()
    assert channel.arrive(2, SECOND) == lc.Refuse(2, lc.Refusal.BUSY)
    assert channel.state.publisher == 1 and channel.events == GOING_LIVE


def test_a_silent_publisher_is_replaced_inside_the_same_broadcast() -> None:
    channel = live(publisher_timeout=10)
    assert channel.arrive(2, SECOND, silent=10) == lc.Admit(2)
    assert channel.cuts() == [(1, DisconnectReason.REPLACED)]
    assert channel.state.broadcast is not None and channel.state.broadcast.ref == FIRST
    assert channel.events[-2:] == [E.STREAM_DISCONNECTED, E.STREAM_CONNECTED]


def test_takeover_newest_replaces_a_sending_publisher() -> None:
    channel = live(takeover=Takeover.NEWEST)
    assert channel.arrive(2, SECOND) == lc.Admit(2)


def test_the_late_goodbye_of_a_replaced_connection_changes_nothing() -> None:
    channel = live(takeover=Takeover.NEWEST)
    channel.arrive(2, SECOND)
    before = channel.state
    channel.leave(1)
    assert channel.state == before


def test_complete_ends_at_once_and_cuts_the_encoder_a_minute_later() -> None:
    channel = live()
    channel.feed(lc.Complete("first"))
    assert channel.events[-3:] == [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert channel.cuts() == []
    assert lc.deadline(channel.state) == channel.now + 60
    channel.feed(lc.Tick(), channel.now + 60)
    assert channel.cuts() == [(1, DisconnectReason.COMPLETED)]


def test_complete_acts_only_on_the_broadcast_it_names() -> None:
    channel = live()
    channel.feed(lc.Complete("another"))
    assert channel.events == GOING_LIVE


def test_complete_inside_the_window_ends_it() -> None:
    channel = live()
    channel.leave()
    channel.feed(lc.Complete("first"))
    assert channel.events[-2:] == [E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert channel.events.count(E.STREAM_DISCONNECTED) == 1


def test_an_encoder_that_returns_after_complete_begins_a_new_broadcast() -> None:
    channel = live()
    channel.feed(lc.Complete("first"))
    assert channel.arrive(2, SECOND) == lc.Admit(2)
    assert channel.cuts() == [(1, DisconnectReason.COMPLETED)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"disabled": True}, DisconnectReason.DISABLED),
        ({"key_generation": "new"}, DisconnectReason.KEY_RESET),
    ],
)
def test_disable_and_key_reset_cut_at_once(change: dict[str, Any], reason: DisconnectReason) -> None:
    channel = live(key_generation="old")
    channel.configure(**change)
    assert channel.cuts() == [(1, reason)]
    assert channel.events[-3:] == [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]


def test_other_changes_never_interrupt_a_broadcast() -> None:
    channel = live(key_generation="old")
    channel.configure(max_continuous_duration=3600.0, publisher_timeout=5.0, end_on_clean_stop=True)
    assert channel.outputs == [] and channel.state.publisher == 1


def test_a_key_that_vanishes_is_not_a_reset_but_another_one_is() -> None:
    channel = live(key_generation="old")
    channel.configure(key_generation="")
    assert channel.outputs == []
    channel.configure(key_generation="new")
    assert channel.cuts() == [(1, DisconnectReason.KEY_RESET)]


def test_a_disabled_channel_refuses_until_it_is_enabled() -> None:
    channel = Channel(lc.Settings(disabled=True))
    assert channel.phase is Phase.DISABLED
    assert channel.arrive() == lc.Refuse(1, lc.Refusal.DISABLED)
    channel.configure(disabled=False)
    assert channel.arrive(2) == lc.Admit(2)


def test_the_maximum_duration_is_like_complete() -> None:
    channel = live(max_continuous_duration=60)
    assert lc.deadline(channel.state) == 1060
    channel.feed(lc.Tick(), 1060)
    assert channel.events[-2:] == [E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert channel.state.leaving is not None


def test_a_test_stream_ends_after_five_minutes_and_stays_disabled_until_it_is_changed() -> None:
    channel = live(test=True)
    channel.feed(lc.Tick(), 1300)
    assert channel.cuts() and channel.phase is Phase.DISABLED
    assert channel.arrive(2, SECOND) == lc.Refuse(2, lc.Refusal.TEST_OVER)
    channel.configure(reconnect_window=30.0)
    assert channel.arrive(3, SECOND) == lc.Admit(3)


def test_deletion_ends_the_broadcast_and_refuses_everybody() -> None:
    channel = live()
    channel.feed(lc.Remove())
    assert channel.cuts() == [(1, DisconnectReason.DELETED)]
    assert channel.arrive(2, SECOND) == lc.Refuse(2, lc.Refusal.REMOVED)


def test_a_broadcast_without_a_frame_leaves_an_errored_asset() -> None:
    channel = Channel(lc.Settings(reconnect_window=0))
    channel.arrive()
    channel.leave()
    assert channel.events == [
        E.STREAM_CONNECTED,
        E.ASSET_CREATED,
        E.STREAM_DISCONNECTED,
        E.STREAM_IDLE,
        E.ASSET_ERRORED,
    ]


def test_without_recording_nothing_is_told_of_assets() -> None:
    channel = live(store=None, reconnect_window=0)
    channel.feed(lc.Warn(E.ASSET_WARNING, "RecordingStalled", "The disk is full."))
    channel.leave()
    assert channel.events == [E.STREAM_CONNECTED, E.STREAM_ACTIVE, E.STREAM_DISCONNECTED, E.STREAM_IDLE]


def test_a_killed_process_goes_on_inside_the_window_counted_from_its_last_sign_of_life() -> None:
    channel = live(reconnect_window=60)
    channel.state = msgspec.json.decode(msgspec.json.encode(channel.state), type=lc.State)
    channel.feed(lc.Resumed(last_seen=1010, epoch=7), at=1030)
    assert channel.events[-1] is E.STREAM_DISCONNECTED and channel.emitted[-1].data["since"] == 1010
    assert lc.deadline(channel.state) == 1070
    channel.arrive(9, SECOND)
    assert channel.state.broadcast is not None
    assert channel.state.broadcast.ref == BroadcastRef("first", 7)


def test_a_process_that_was_away_for_longer_ends_the_broadcast_in_order() -> None:
    channel = live(reconnect_window=60)
    channel.feed(lc.Resumed(last_seen=1010, epoch=7), at=2000)
    assert channel.events[-3:] == [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert channel.phase is Phase.IDLE


def test_the_sign_of_life_is_at_least_as_new_as_what_the_state_knows() -> None:
    channel = live(reconnect_window=60)
    channel.feed(lc.Resumed(last_seen=0.0, epoch=7), at=1030)
    assert channel.emitted[-1].data["since"] == 1000, "it had begun by then"

    channel = live(reconnect_window=60)
    channel.feed(lc.Progressed(20.0, 2, ("video", "audio")), at=1020)
    channel.feed(lc.Resumed(last_seen=0.0, epoch=7), at=1070)
    assert channel.emitted[-1].data["since"] == 1020
    assert channel.state.broadcast is not None, "the window counts from there"


def test_a_restart_without_a_broadcast_forgets_the_connections_of_the_process_before() -> None:
    channel = live()
    channel.feed(lc.Complete("first"))
    assert channel.state.leaving is not None
    channel.feed(lc.Resumed(last_seen=1000, epoch=7), at=1010)
    channel.arrive(1, SECOND)  # numbers begin anew
    channel.feed(lc.Tick(), at=1060)
    assert channel.cuts() == [] and channel.state.publisher == 1


def test_a_deadline_that_has_passed_counts_before_a_publisher_who_arrives() -> None:
    channel = live(reconnect_window=60)
    channel.leave()
    channel.now += 61  # and no Tick came
    assert channel.arrive(2, SECOND) == lc.Admit(2)
    assert channel.state.broadcast is not None and channel.state.broadcast.ref == SECOND
    assert channel.events[-4:] == [E.STREAM_IDLE, E.ASSET_COMPLETED, E.STREAM_CONNECTED, E.ASSET_CREATED]


def test_a_test_stream_that_is_over_refuses_also_before_its_tick() -> None:
    channel = live(test=True)
    channel.now += 301
    assert channel.arrive(2, SECOND) == lc.Refuse(2, lc.Refusal.TEST_OVER)
    assert channel.cuts() == [(1, DisconnectReason.DISABLED)]


def test_a_stream_that_is_configured_again_is_not_removed_any_more() -> None:
    channel = live()
    channel.feed(lc.Remove())
    channel.configure()  # the same as before
    assert channel.arrive(2, SECOND) == lc.Admit(2)


def test_media_that_cannot_be_taken_is_a_warning_and_cuts_the_publisher_inside_the_window() -> None:
    channel = live()
    channel.feed(lc.MediaRefused(DisconnectReason.UNSUPPORTED_VIDEO_CODEC, "VP6 cannot be packaged."))
    assert channel.events == [*GOING_LIVE, E.STREAM_WARNING, E.STREAM_DISCONNECTED]
    assert channel.emitted[-2].data == {"reason": "UnsupportedVideoCodec", "message": "VP6 cannot be packaged."}
    assert channel.emitted[-1].data["reason"] == "UnsupportedVideoCodec"
    cut = next(o for o in channel.outputs if isinstance(o, lc.CutPublisher))
    assert cut == lc.CutPublisher(1, DisconnectReason.UNSUPPORTED_VIDEO_CODEC, "VP6 cannot be packaged.")
    assert channel.arrive(2, SECOND) == lc.Admit(2)
    assert channel.state.broadcast is not None and channel.state.broadcast.ref == FIRST


def test_media_that_cannot_be_taken_ends_a_broadcast_without_a_window() -> None:
    channel = live(reconnect_window=0)
    channel.feed(lc.MediaRefused(DisconnectReason.INGEST_BITRATE_EXCEEDED, "Too much."))
    assert channel.events[-3:] == [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]


def test_another_codec_begins_another_broadcast_on_the_same_connection() -> None:
    channel = live()
    outputs = channel.feed(lc.MediaChanged(SECOND, STORE))
    ended = [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert channel.events == [*GOING_LIVE, *ended, E.STREAM_CONNECTED, E.ASSET_CREATED]
    assert channel.emitted[len(GOING_LIVE)].data["reason"] == DisconnectReason.CODEC_CHANGED
    assert outputs.index(lc.StartBroadcast(SECOND, STORE)) + 1 == outputs.index(lc.Admit(1))
    assert channel.state.publisher == 1 and channel.cuts() == []


def test_after_a_defect_of_the_packaging_the_same_broadcast_goes_on_in_another_epoch() -> None:
    channel = live()
    outputs = channel.feed(lc.PackagerFailed(FIRST, 5))
    assert channel.cuts() == [(1, DisconnectReason.INTERNAL_ERROR)]
    assert outputs[-1] == lc.NextEpoch(BroadcastRef("first", 5))
    assert lc.deadline(channel.state) == channel.now + 60
    channel.feed(lc.PackagerFailed(FIRST, 6))
    assert channel.outputs == [], "that epoch is over"
    channel.arrive(2, SECOND)
    assert channel.state.broadcast is not None and channel.state.broadcast.ref == BroadcastRef("first", 5)


def test_a_defect_ends_a_broadcast_without_a_window() -> None:
    channel = live(reconnect_window=0)
    channel.feed(lc.PackagerFailed(FIRST, 5))
    assert channel.events[-3:] == [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert channel.state.broadcast is None


def test_warnings_are_about_a_running_broadcast() -> None:
    channel = live()
    channel.feed(lc.Warn(E.STREAM_WARNING, "RecordingStalled", "The disk is full."))
    assert channel.emitted[-1].data == {"reason": "RecordingStalled", "message": "The disk is full."}


@pytest.mark.parametrize(
    ("kept", "told"), [(0.0, E.ASSET_ERRORED), (1.5, E.ASSET_COMPLETED), (None, E.ASSET_COMPLETED)]
)
def test_a_recording_without_anything_in_it_is_errored(kept: float | None, told: E) -> None:
    """The process was killed between the first frame and the first segment, say."""
    ended = lc.Emit(E.ASSET_COMPLETED, FIRST, {"reason": "Completed"})
    assert lc.told_of_content(ended, kept).type is told
