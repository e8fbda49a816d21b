"""What holds whatever happens to a channel, in whatever order (hypothesis)."""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from onair_core.contract import BroadcastRef, DisconnectReason, EventType, Phase, Takeover
from onair_media import lifecycle as lc

E = EventType
ONCE = {E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_ACTIVE, E.ASSET_READY, E.STREAM_IDLE}
RANK = {E.STREAM_CONNECTED: 0, E.ASSET_CREATED: 1, E.STREAM_RECORDING: 2, E.STREAM_ACTIVE: 3, E.ASSET_READY: 4}
ENDS = {E.STREAM_IDLE, E.ASSET_COMPLETED, E.ASSET_ERRORED}


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.state = lc.State(settings=lc.Settings(key_generation="0"))
        self.connections = 0
        self.open: set[int] = set()
        self.told: dict[str, list[EventType]] = {}
        self.finished: list[str] = []
        self.epoch = 0

    def feed(self, given: lc.Input) -> list[lc.Output]:
        self.state, outputs = lc.step(self.state, given, self.now)
        # A restart at any point is the same as none, as far as the state goes.
        assert msgspec.json.decode(msgspec.json.encode(self.state), type=lc.State) == self.state
        for output in outputs:
            if isinstance(output, lc.Emit) and output.broadcast is not None:
                self.told.setdefault(output.broadcast.id, []).append(output.type)
            elif isinstance(output, lc.FinishBroadcast):
                self.finished.append(output.ref.id)
            elif isinstance(output, lc.CutPublisher):
                assert output.connection in self.open, "nobody is cut who was not let in"
                self.open.discard(output.connection)
            elif isinstance(output, lc.Admit):
                self.open.add(output.connection)
        return outputs

    def overdue(self) -> bool:
        due = lc.deadline(self.state)
        return due is not None and due <= self.now

    @rule(silent=st.floats(0, 20), recorded=st.booleans())
    def arrive(self, silent: float, recorded: bool) -> None:
        self.connections += 1
        self.epoch += 1
        ref = BroadcastRef(f"b{self.epoch}", self.epoch)
        before = self.state
        late = self.overdue()
        store = "file:///recordings" if recorded else None
        outputs = self.feed(lc.PublisherArrived(self.connections, ref, store, silent))
        assert not self.overdue(), "nothing goes on past its deadline"
        answers = [o for o in outputs if isinstance(o, lc.Admit | lc.Refuse)]
        assert len(answers) == 1
        if isinstance(answers[0], lc.Refuse) and not late:
            assert self.state == before

    @precondition(lambda self: self.open)
    @rule(data=st.data(), reason=st.sampled_from([DisconnectReason.CLEAN_STOP, DisconnectReason.CONNECTION_LOST]))
    def leave(self, data: st.DataObject, reason: DisconnectReason) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        self.open.discard(number)
        self.feed(lc.PublisherLeft(number, reason))

    @rule(given=st.sampled_from([lc.MediaStarted(), lc.Playable(), lc.RecordingReady()]))
    def media(self, given: lc.Input) -> None:
        if self.state.publisher is not None:
            self.feed(given)

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := lc.deadline(self.state)) is not None and due <= until:
            self.now = max(self.now, due)
            self.feed(lc.Tick())
        self.now = until

    @rule(seconds=st.floats(0, 400))
    def wait_without_ticks(self, seconds: float) -> None:
        """A busy event loop, or a suspended machine: timers come late."""
        self.now += seconds

    @precondition(lambda self: self.state.publisher is not None)
    @rule(reason=st.sampled_from([DisconnectReason.INGEST_BITRATE_EXCEEDED, DisconnectReason.UNSUPPORTED_AUDIO_CODEC]))
    def refuse_media(self, reason: DisconnectReason) -> None:
        self.feed(lc.MediaRefused(reason, "It cannot be taken."))
        assert self.state.publisher is None

    @precondition(lambda self: self.state.publisher is not None)
    @rule(recorded=st.booleans())
    def change_codec(self, recorded: bool) -> None:
        self.epoch += 1
        publisher = self.state.publisher
        ref = BroadcastRef(f"b{self.epoch}", self.epoch)
        self.feed(lc.MediaChanged(ref, "file:///recordings" if recorded else None))
        assert self.state.publisher == publisher
        assert self.state.broadcast is not None and self.state.broadcast.ref == ref

    @rule(current=st.booleans())
    def meet_a_defect(self, current: bool) -> None:
        self.epoch += 1
        broadcast = self.state.broadcast
        before = self.state
        self.feed(lc.PackagerFailed(broadcast.ref if broadcast and current else BroadcastRef("b0", 0), self.epoch))
        if broadcast is None or not current:
            assert self.state == before

    @rule(seconds=st.floats(0, 1000))
    def progress(self, seconds: float) -> None:
        self.feed(lc.Progressed(seconds, 2, ("video", "audio")))

    @rule(own=st.booleans())
    def complete(self, own: bool) -> None:
        broadcast = self.state.broadcast
        self.feed(lc.Complete(broadcast.ref.id if own and broadcast else "no such"))

    @rule(
        disabled=st.booleans(),
        window=st.sampled_from([0.0, 5.0, 1800.0]),
        maximum=st.sampled_from([60.0, 43200.0]),
        generation=st.sampled_from(["0", "1", ""]),
        takeover=st.sampled_from(list(Takeover)),
        test=st.booleans(),
        brisk=st.booleans(),
    )
    def configure(
        self, disabled: bool, window: float, maximum: float, generation: str, takeover: Takeover,
        test: bool, brisk: bool,
    ) -> None:  # fmt: skip
        self.feed(
            lc.Configure(
                replace(
                    self.state.settings,
                    disabled=disabled,
                    reconnect_window=window,
                    max_continuous_duration=maximum,
                    key_generation=generation,
                    takeover=takeover,
                    test=test,
                    end_on_clean_stop=brisk,
                )
            )
        )

    @rule(away=st.floats(0, 100), stale=st.floats(0, 5000))
    def restart(self, away: float, stale: float) -> None:
        last_seen = self.now - stale
        self.now += away
        self.epoch += 1
        self.open.clear()
        self.connections = 0  # a process counts its own
        self.feed(lc.Resumed(last_seen, self.epoch))

    @invariant()
    def events_are_in_order_and_at_most_once(self) -> None:
        for events in self.told.values():
            assert events[0] is E.STREAM_CONNECTED
            for event in ONCE:
                assert events.count(event) <= 1
            first = [RANK[e] for e in dict.fromkeys(events) if e in RANK]
            assert first == sorted(first)
            flips = [e for e in events if e in (E.STREAM_CONNECTED, E.STREAM_DISCONNECTED)]
            assert all(a is not b for a, b in zip(flips, flips[1:], strict=False)), (
                "connected and disconnected alternate"
            )
            if E.STREAM_IDLE in events:
                end = events[events.index(E.STREAM_IDLE) :]
                assert set(end) <= ENDS, "nothing follows the end"
                assert flips[-1] is E.STREAM_DISCONNECTED
                if E.ASSET_CREATED in events:
                    assert len(end) == 2, "idle and completed come together"
            else:
                assert not set(events) & ENDS

    @invariant()
    def exactly_the_open_broadcast_is_not_finished(self) -> None:
        current = self.state.broadcast.ref.id if self.state.broadcast else None
        assert set(self.told) - set(self.finished) == ({current} if current else set())
        assert len(self.finished) == len(set(self.finished))

    @invariant()
    def never_active_without_a_broadcast_that_can_end(self) -> None:
        if lc.phase(self.state) is Phase.ACTIVE:
            assert self.state.broadcast is not None
        if self.state.broadcast is not None:
            due = lc.deadline(self.state)
            assert due is not None, "every broadcast ends by itself"
            if self.state.publisher is None:
                assert self.state.broadcast.disconnected_at is not None

    @invariant()
    def a_disabled_or_removed_channel_has_no_publisher(self) -> None:
        if self.state.settings.disabled or self.state.removed:
            assert self.state.publisher is None and self.state.broadcast is None


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
