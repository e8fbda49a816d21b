"""A publisher that is held for its init segment: what it said meanwhile is taken, and it was not silent."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import rtmp_wire as wire
from ingest_client import KEY, Client, Sink

from onair_core.contract import DisconnectReason
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.session import PublisherSession


class Holding(Sink):
    """Its first picture has to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.preparation: Future[None] = Future()
        self.pictures = 0
        self.session: PublisherSession | None = None

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.session = session
        self.pictures += 1
        if self.pictures == 1:
            session.hold(self.preparation)
        super().video(session, timestamp, payload)


async def test_what_came_behind_it_needs_nothing_more_to_come() -> None:
    sink = Holding()
    server = RtmpServer(sink)
    await server.start("127.0.0.1", 0)
    encoder = await Client.connect(server)
    await encoder.publish()
    await encoder.is_live()
    goodbye = wire.message(wire.amf("FCUnpublish", 9.0, None, KEY), csid=3, kind=wire.COMMAND, stream=0)
    encoder.writer.write(wire.message(b"\x17\1\0\0\0") * 5 + goodbye)  # in one read
    await asyncio.wait_for(sink.arrived.wait(), 10)
    assert sink.pictures == 1 and not sink.gone.is_set()
    sink.preparation.set_result(None)
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.pictures == 5 and sink.reasons == [DisconnectReason.CLEAN_STOP]
    await server.close()


async def test_who_is_held_is_not_silent() -> None:
    sink = Holding()
    server = RtmpServer(sink, deadlines=Deadlines(media=0.3))
    await server.start("127.0.0.1", 0)
    held, idle = await Client.connect(server), await Client.connect(server)
    await held.publish()
    await held.is_live()
    held.writer.write(wire.message(b"\x17\1\0\0\0"))
    await asyncio.wait_for(sink.arrived.wait(), 10)
    await idle.publish()
    await idle.is_closed()  # for its silence, which began later
    assert sink.session is not None and sink.session.silent_for == 0.0
    assert sink.reasons == [DisconnectReason.PUBLISHER_SILENT]
    sink.preparation.set_result(None)
    await held.is_closed()
    assert sink.reasons == [DisconnectReason.PUBLISHER_SILENT] * 2
    await server.close()
