"""Event streams as the operator opens them: to the right pod, to anybody else, to one that behaves badly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from onair_core.contract import Cursor
from onair_operator.desired.control_access import control_access
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.provision import ControlAccess
from onair_operator.pods.client import Patience, PodClient, pod_session
from onair_operator.pods.errors import PodError, PodNonsense, PodRefused, PodUnreachable
from onair_operator.pods.pinned import MOST_UNREAD, pinned

ACCESS = control_access(b"r" * 32, Incarnation("uid", 1))
OTHER = control_access(b"r" * 32, Incarnation("uid", 2))
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nOnAir-Config: " + b"a" * 32 + b"\r\n\r\n"
EVENT = b'{"epoch":1,"n":1,"type":"video.live_stream.idle","at":1.0}\n'

PATIENCE = Patience(connect=2.0, answer=2.0, silence=1.0)


@dataclass
class Pod:
    """Speaks as the test says; `asked`: what came before it spoke."""

    address: tuple[str, int]
    asked: bytes = b""


@asynccontextmanager
async def speaking(
    folder: Path, *said: bytes, access: ControlAccess | None = ACCESS, hold: bool = True
) -> AsyncIterator[Pod]:
    context = None
    if access is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (folder / "pair.pem").write_text(access.private_key + access.certificate)
        context.load_cert_chain(folder / "pair.pem")
    pod = Pod(("", 0))
    over = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            pod.asked = await reader.readuntil(b"\r\n\r\n")
            for words in said:
                writer.write(words)
                await writer.drain()
                await asyncio.sleep(0.01)
            if hold:
                await over.wait()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0, ssl=context)
    try:
        pod.address = server.sockets[0].getsockname()
        yield pod
    finally:
        over.set()
        server.close()


@asynccontextmanager
async def client(pod: Pod, patience: Patience = PATIENCE) -> AsyncIterator[PodClient]:
    async with pod_session() as session:
        yield PodClient(session, pod.address, ACCESS, patience)


async def opened(folder: Path, *said: bytes, **how: bool) -> PodError:
    """What goes wrong when that is said."""
    async with speaking(folder, *said, **how) as pod, client(pod) as asking:
        with pytest.raises(PodError) as raised, await asking.events(Cursor()) as stream:
            async for _ in stream:
                pass
        return raised.value


async def test_events_and_signs_of_life_come_as_they_are_sent(tmp_path: Path) -> None:
    line = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
    async with (
        speaking(tmp_path, HEAD + b"1\r\n\n\r\n", line[:20], line[20:], b"0\r\n\r\n") as pod,
        client(pod) as asking,
    ):
        with await asking.events(Cursor(1, 0)) as stream:
            assert stream.config_hash == "a" * 32
            batches = [batch async for batch in stream]
        assert [len(batch.events) for batch in batches] == [0, 1], "the pod has ended it"
        assert pod.asked.startswith(b"GET /v1/events?after=1.0 HTTP/1.1\r\n")
        assert f"\r\nAuthorization: Bearer {ACCESS.token}\r\n".encode() in pod.asked


async def test_somebody_else_is_told_nothing(tmp_path: Path) -> None:
    async with speaking(tmp_path, HEAD, access=OTHER) as pod, client(pod) as asking:
        with pytest.raises(PodUnreachable, match="another certificate"):
            await asking.events(Cursor())
    assert pod.asked == b""


async def test_who_speaks_no_tls_is_told_nothing(tmp_path: Path) -> None:
    async with speaking(tmp_path, HEAD, access=None) as pod, client(pod, Patience(connect=0.3)) as asking:
        with pytest.raises(PodUnreachable):
            await asking.events(Cursor())
        assert b"Bearer" not in pod.asked


async def test_nobody_is_there() -> None:
    async with client(Pod(("127.0.0.1", 1))) as asking:
        with pytest.raises(PodUnreachable):
            await asking.events(Cursor())


async def test_a_refusal_is_passed_on(tmp_path: Path) -> None:
    error = await opened(tmp_path, b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\n", b"no!!\n")
    assert isinstance(error, PodRefused) and (error.status, error.text) == (401, "no!!")


async def test_a_long_refusal_is_cut_short(tmp_path: Path) -> None:
    error = await opened(tmp_path, b"HTTP/1.1 500 no\r\n\r\n", *[b"x" * 1000] * 10)
    assert isinstance(error, PodRefused) and len(error.text) == 500


async def test_a_pod_that_dies_is_no_nonsense(tmp_path: Path) -> None:
    for said in ((), (HEAD[:30],), (HEAD,), (HEAD, b"1\r\n\n\r\n", b"10\r\nhalf")):
        assert isinstance(await opened(tmp_path, *said, hold=False), PodUnreachable)


async def test_one_that_says_nothing_is_left(tmp_path: Path) -> None:
    for said in ((), (HEAD,)):
        error = await opened(tmp_path, *said)
        assert isinstance(error, PodUnreachable) and "in time" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        HEAD.replace(b"a" * 32, b"A" * 32),
        HEAD + b"zz\r\n",
        HEAD + b"3\r\n{}\n\r\n",
        HEAD + b"100\r\n" + b"\n" * 256 + b"\r\n",
    ],
)
async def test_nonsense_is_nonsense(tmp_path: Path, said: bytes) -> None:
    assert isinstance(await opened(tmp_path, said), PodNonsense)


async def test_who_sends_more_than_is_read_has_to_wait(tmp_path: Path) -> None:
    much = b"x" * 1024 * 1024
    async with speaking(tmp_path, *[much] * 32) as pod:
        connection = await pinned(pod.address, ACCESS.fingerprint, 2.0)
        connection.send(b"GET / HTTP/1.1\r\n\r\n")
        read = first = 0
        while first < MOST_UNREAD:
            first = len(await connection.receive())
            read += first
            assert first < 1024 * 1024
            await asyncio.sleep(0.05)
        while read < 32 * len(much):
            read += len(await asyncio.wait_for(connection.receive(), 5))
        connection.close()


async def test_a_connection_that_nobody_waits_for_any_more_is_closed(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    async with server:
        pod = Pod(server.sockets[0].getsockname())
        async with client(pod, Patience(connect=0.2)) as asking:
            with pytest.raises(PodUnreachable, match="in time"):
                await asking.events(Cursor())
        await asyncio.wait_for(ended.wait(), 2)
