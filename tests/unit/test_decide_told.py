"""What journals make of a stream's status and its Assets: in order, once, and ended by whom it may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from onair_core.contract import BroadcastRef, Cursor, EventType, JournalEvent, OpenBroadcast
from onair_operator.decide.told import Told, end_of_lost, open_broadcast, take_in, taken_by

E = EventType
Object = dict[str, Any]
NOW = 1_800_000_000.0
LIVE = (E.STREAM_CONNECTED, E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_ACTIVE, E.ASSET_READY)
OVER = (E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED)


def events(broadcast: str, epoch: int, kinds: Iterable[EventType], first: int = 1) -> list[JournalEvent]:
    ref = BroadcastRef(broadcast, epoch)
    return [
        JournalEvent(epoch=epoch, n=n, type=kind, at=NOW + n, broadcast=ref, data={"recorded": True})
        for n, kind in enumerate(kinds, first)
    ]


class World:
    """Status and Assets as they are on the API server."""

    def __init__(self) -> None:
        self.status: Object = {}
        self.assets: dict[str, Object] = {}

    def told(self, told: Iterable[JournalEvent], incarnation: int = 1) -> Told:
        """Without writing anything."""
        found = Told(dict(self.status))
        take_in(
            found,
            told,
            incarnation=incarnation,
            window=60.0,
            disabled=False,
            asset=self.assets.get,
            new_asset=lambda event: {"metadata": {"name": event.broadcast.id}, "status": {"state": "Preparing"}},  # type: ignore[union-attr]
        )
        return found

    def take(self, told: Iterable[JournalEvent], incarnation: int = 1) -> Told:
        found = self.told(told, incarnation)
        self.assets |= found.assets
        self.status = found.status
        return found

    def shown(self) -> list[str]:
        return [event["type"] for event in self.status["events"]]


def test_a_broadcast_from_beginning_to_end() -> None:
    world = World()
    world.take(events("b1", 1, LIVE))
    assert world.status["phase"] == "Active" and world.status["connected"] and world.status["activeAsset"] == "b1"
    assert world.status["broadcast"] == {
        "id": "b1",
        "epoch": 1,
        "startedAt": "2027-01-15T08:00:01Z",
        "incarnation": 1,
    }
    assert world.assets["b1"]["status"]["state"] == "Ready" and world.status["journal"] == "1.5"
    world.take(events("b1", 1, OVER, first=6))
    assert world.status["phase"] == "Idle" and not {"broadcast", "activeAsset"} & world.status.keys()
    assert world.assets["b1"]["status"]["isLive"] is False
    assert world.status["recentAssets"] == ["b1"] and world.status["journal"] == "1.8"


def test_nothing_is_taken_twice_nor_from_before() -> None:
    world = World()
    whole = events("b1", 1, LIVE + OVER)
    world.take(whole[:5])
    before = world.status
    world.take(whole[:5])
    assert world.status == before
    world.take(whole)
    assert world.shown() == [event.type.value for event in whole]
    # A pod that was cut off and comes back tells of an epoch that is over.
    world.take(events("b2", 2, LIVE), incarnation=2)
    now = world.status
    world.take(events("b1", 1, LIVE, first=50), incarnation=1)
    assert world.status == now


@given(st.lists(st.integers(0, 8), max_size=6))
def test_a_process_that_is_killed_between_assets_and_status_takes_the_same_in_again(cuts: list[int]) -> None:
    """Assets are written first: after any number of tries that got no further, all is as after one."""
    whole = events("b1", 1, LIVE + OVER)
    once, often = World(), World()
    once.take(whole)
    for cut in cuts:
        often.assets |= often.told(whole[:cut]).assets  # status is not written
    often.take(whole)
    assert often.status == once.status
    assert often.assets == once.assets


@given(st.lists(st.integers(1, 3), min_size=1, max_size=8))
def test_however_it_is_cut_into_pieces(sizes: list[int]) -> None:
    whole = events("b1", 1, LIVE + OVER)
    once, often = World(), World()
    once.take(whole)
    position = 0
    for size in [*sizes, len(whole)]:
        often.take(whole[max(position - 1, 0) : position + size])  # each a little of what was told before
        position += size
    assert (often.status, often.assets) == (once.status, once.assets)


def test_what_its_pod_left_open_ends_before_the_next_begins() -> None:
    world = World()
    world.take(events("b1", 1, LIVE), incarnation=1)
    world.take(events("b2", 2, LIVE), incarnation=2)
    ended = [E.STREAM_DISCONNECTED, E.STREAM_IDLE, E.ASSET_COMPLETED]
    assert world.shown() == [kind.value for kind in (*LIVE, *ended, *LIVE)]
    assert [event.get("reason") for event in world.status["events"][5:7]] == ["PodLost", "PodLost"]
    assert world.assets["b1"]["status"]["isLive"] is False
    assert world.status["broadcast"]["id"] == "b2" and world.status["broadcast"]["incarnation"] == 2
    assert world.status["recentAssets"] == ["b1", "b2"] and world.status["journal"] == "2.5"
    # What the first one tells afterwards is of an epoch that is over.
    before = world.status
    world.take(events("b1", 1, OVER, first=6), incarnation=1)
    assert world.status == before


def test_the_same_broadcast_goes_on_in_the_next_pod() -> None:
    """With its journal on a claim."""
    world = World()
    world.take(events("b1", 1, LIVE), incarnation=1)
    world.take(events("b1", 2, [E.STREAM_DISCONNECTED, E.STREAM_CONNECTED]), incarnation=2)
    assert E.STREAM_IDLE.value not in world.shown()
    assert world.status["broadcast"]["incarnation"] == 2 and world.status["recentAssets"] == ["b1"]
    assert world.status["broadcast"]["startedAt"] == "2027-01-15T08:00:01Z"


def test_the_end_of_a_lost_pods_broadcast() -> None:
    world = World()
    assert end_of_lost(world.status, NOW) == []
    world.take(events("b1", 3, LIVE))
    end = end_of_lost(world.status, NOW)
    assert [event.type for event in end] == list(OVER)
    assert all(Cursor(event.epoch, event.n) > taken_by(world.status) for event in end)
    world.take(end, incarnation=0)
    assert end_of_lost(world.status, NOW) == []
    # The next pod's epoch is above what its status says, so none of its events is taken for an old one.
    world.take(events("b2", taken_by(world.status).epoch + 1, LIVE), incarnation=2)
    assert world.status["broadcast"]["id"] == "b2"


def test_one_that_was_already_without_encoder_or_recording_says_no_more_than_it_has_to() -> None:
    world = World()
    world.take(events("b1", 1, [*LIVE, E.STREAM_DISCONNECTED]))
    assert [event.type for event in end_of_lost(world.status, NOW)] == [E.STREAM_IDLE, E.ASSET_COMPLETED]
    unrecorded = World()
    ref = BroadcastRef("b1", 1)
    unrecorded.take([JournalEvent(epoch=1, n=1, type=E.STREAM_CONNECTED, at=NOW, broadcast=ref)])
    assert [event.type for event in end_of_lost(unrecorded.status, NOW)] == [E.STREAM_DISCONNECTED, E.STREAM_IDLE]


def test_an_asset_that_somebody_has_deleted_does_not_come_back() -> None:
    world = World()
    world.take(events("b1", 1, LIVE))
    world.assets.clear()
    assert not world.take(events("b1", 1, OVER, first=6)).assets and not world.assets


def test_status_shows_the_newest_events_and_recordings_only() -> None:
    world = World()
    for number in range(1, 30):
        world.take(events(f"b{number}", number, LIVE + OVER))
    assert len(world.status["events"]) == 20 and world.shown()[-1] == OVER[-1].value
    assert world.status["recentAssets"] == [f"b{number}" for number in range(10, 30)]


def test_what_the_next_pod_goes_on_with() -> None:
    broadcast = {"id": "b1", "epoch": 3, "startedAt": "2026-01-01T00:00:00Z", "incarnation": 1}
    live = {"broadcast": broadcast, "connected": True, "phase": "Active", "activeAsset": "b1"}
    asset = {"spec": {"store": {"url": "s3://recordings/onair"}}, "status": {"state": "Ready"}}
    began = 1767225600.0
    expected = OpenBroadcast(id="b1", store="s3://recordings/onair", started_at=began, active=True, ready=True)
    assert open_broadcast(live, asset) == expected

    away = {**live, "connected": False, "broadcast": {**broadcast, "disconnectedAt": "2026-01-01T00:01:00Z"}}
    found = open_broadcast(away, {**asset, "status": {"state": "Preparing"}})
    assert found is not None and (found.disconnected_at, found.ready) == (began + 60, False)
    back = open_broadcast({**away, "connected": True}, asset)
    assert back is not None and back.disconnected_at is None, "what status still has of an earlier time does not count"

    on_volume = {"spec": {"store": {"url": "file:///data/recordings"}}}
    for status, recording in (({}, asset), (live, None), (live, on_volume), (live, {"spec": {}})):
        assert open_broadcast(status, recording) is None


def test_a_place_that_somebody_wrote_by_hand_is_the_beginning() -> None:
    for text in ("x", "1", "1.2.3", "-1.0", "", None):
        assert taken_by({"journal": text}) == Cursor()
    assert taken_by({"journal": "3.14"}) == Cursor(3, 14)
