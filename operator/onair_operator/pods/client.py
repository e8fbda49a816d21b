"""One ingest pod's control port: `PodClient` asks, `EventStream` listens.

The certificate is pinned: each connection is held against the fingerprint before anything is sent on it, the token
least of all. There is a limit to everything that a pod can do: how long it takes, how much it says, what it makes the
operator do (no redirects, no cookies, nothing is decompressed).

What is asked now and then is asked by aiohttp. Event streams are open all the time, one for each pod, and have to be
small: `pinned` and `answer`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp.http import HttpProcessingError
from yarl import URL

from onair_core.contract import Applied, Cursor, Drained, PodConfig
from onair_core.contract.control import (
    COMPLETE_PATH,
    CONFIG_HEADER,
    CONFIG_PATH,
    DRAIN_PATH,
    EVENTS_PATH,
    SIGN_OF_LIFE_SECONDS,
)
from onair_operator.desired.provision import ControlAccess
from onair_operator.pods.answer import Answer
from onair_operator.pods.errors import PodNonsense, PodRefused, PodUnreachable, printable
from onair_operator.pods.lines import Batch, EventLines
from onair_operator.pods.pinned import OTHER_CERTIFICATE, Pinned, pinned

T = TypeVar("T")

Address = tuple[str, int]

# `Applied` may have a sentence for each of a stream's recordings.
LONGEST_ANSWER = 1024 * 1024
LONGEST_REFUSAL = 4096
KEEP_ALIVE_SECONDS = 5.0
HEADERS = {"User-Agent": "onair-operator", "Accept-Encoding": "identity"}

_HASH = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. `connect` includes TLS; `silence` is how long an event stream may be without a whole line."""

    connect: float = 3.0
    answer: float = 10.0
    silence: float = 2.5 * SIGN_OF_LIFE_SECONDS


PATIENCE = Patience()


def pod_session() -> aiohttp.ClientSession:
    """For all pods together: as many connections as there are pods, and nothing of the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers=HEADERS,
    )


class PodClient:
    """The control port at `address` (an IP address and a port) of the pod that has this `access`.

    Everything raises `PodError`.
    """

    __slots__ = ("_address", "_fingerprint", "_patience", "_session", "_token")

    def __init__(
        self, session: aiohttp.ClientSession, address: Address, access: ControlAccess, patience: Patience = PATIENCE
    ) -> None:
        self._session = session
        self._address = address
        self._fingerprint = access.fingerprint
        self._token = access.token
        self._patience = patience

    async def put(self, config: PodConfig) -> Applied:
        """Puts a configuration into force."""
        _, body = await self._ask("PUT", CONFIG_PATH, body=msgspec.json.encode(config))
        return _decoded(body, Applied)

    async def drain(self) -> Drained:
        """No broadcast begins any more."""
        _, body = await self._ask("POST", DRAIN_PATH)
        return _decoded(body, Drained)

    async def complete(self, broadcast_id: str) -> bool:
        """Ends that broadcast; False when it is not open."""
        path = COMPLETE_PATH.format(id=quote(broadcast_id, safe=""))
        status, _ = await self._ask("POST", path, expected=(204, 404))
        return status == 204

    async def events(self, after: Cursor) -> EventStream:
        """The events behind `after`, and those to come: `with await client.events(…) as stream`."""
        with _translated():
            async with asyncio.timeout(self._patience.answer):
                connection = await pinned(self._address, self._fingerprint, self._patience.connect)
                try:
                    headers = {"Host": self._base.authority, **HEADERS, **self._headers}
                    answer = Answer(f"{EVENTS_PATH}?after={after}", headers)
                    connection.send(answer.request)
                    body = await _answered(connection, answer)
                    return EventStream(connection, answer, body, after, self._patience.silence)
                except BaseException:
                    connection.close()
                    raise

    async def _ask(
        self, method: str, path: str, *, body: bytes | None = None, expected: tuple[int, ...] = (200,)
    ) -> tuple[int, bytes]:
        with _translated():
            async with asyncio.timeout(self._patience.answer):
                response = await self._send(method, path, body)
                try:
                    await _expect(response, expected)
                    answer = await _read(response, LONGEST_ANSWER)
                    if not response.content.at_eof():
                        raise PodNonsense(f"an answer of more than {LONGEST_ANSWER} bytes")
                finally:
                    # Read to its end, the connection is free again; otherwise nobody waits for the rest.
                    response.release() if response.content.at_eof() else response.close()
        return response.status, answer

    async def _send(self, method: str, path: str, body: bytes | None) -> aiohttp.ClientResponse:
        return await self._session.request(
            method,
            self._base.join(URL(path, encoded=True)),
            data=body,
            headers=self._headers,
            ssl=aiohttp.Fingerprint(self._fingerprint),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect),
        )

    # Made when it is asked: thousands of clients only listen.

    @property
    def _base(self) -> URL:
        return URL.build(scheme="https", host=self._address[0], port=self._address[1])

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


class EventStream:
    """An open `GET /v1/events`: iterate over it for batches, of which those without events are signs of life.

    `body`: what has come of it already. It ends when the pod ends it, and raises `PodError`.
    """

    __slots__ = (
        "_answer",
        "_connection",
        "_first",
        "_lines",
        "_listening",
        "_loop",
        "_silence",
        "_since",
        "_timer",
        "config_hash",
    )

    def __init__(self, connection: Pinned, answer: Answer, body: bytes, after: Cursor, silence: float) -> None:
        given = answer.headers.pop(CONFIG_HEADER.lower(), None)
        if given is not None and _HASH.fullmatch(given) is None:
            raise PodNonsense(f"{CONFIG_HEADER} is no hash")
        self.config_hash = given
        """Of the configuration in force when the pod was asked; None: there is none."""
        answer.headers.clear()
        self._connection = connection
        self._answer = answer
        self._first = body
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._listening = False
        self._timer: asyncio.TimerHandle | None = None
        self._lines = EventLines(after, self._since)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        if self._timer is not None:
            self._timer.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        self._listening, self._since = True, self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._silence, self._look)
        try:
            while (batch := self._batch()) is None:
                await self._connection.more()
            return batch
        except ValueError as error:
            raise PodNonsense(printable(str(error))) from None
        except OSError as error:
            raise PodUnreachable(printable(_said(error))) from error
        finally:
            self._listening = False

    def _batch(self) -> Batch | None:
        """What has come, if that is a whole line."""
        body, self._first = self._first, b""
        if not body:
            if self._answer.complete:
                raise StopAsyncIteration
            received = self._connection.take()
            if not received and not self._connection.ended:
                return None
            body = self._answer.feed(received)
            if not received and not self._answer.complete:
                raise PodUnreachable("the connection was cut")
        return self._lines.feed(body, self._loop.time())

    def _look(self) -> None:
        """Whether it is too long that somebody waits for a line. One timer, not one for each line."""
        left = self._since + self._silence - self._loop.time() if self._listening else self._silence
        if left <= 0:
            self._connection.fail(PodUnreachable("no answer in time"))
        else:
            self._timer = self._loop.call_later(left, self._look)


async def _answered(connection: Pinned, answer: Answer) -> bytes:
    """Until it is 200; what is there of its body."""
    body = b""
    try:
        while not answer.status or (answer.status != 200 and not answer.complete and len(body) < LONGEST_REFUSAL):
            received = await connection.receive()
            if not received and not answer.status:
                raise PodUnreachable("the connection was cut")
            body += answer.feed(received)
            if not received:
                break
    except ValueError as error:
        raise PodNonsense(f"no HTTP: {printable(str(error))}") from None
    if answer.status != 200:
        raise PodRefused(answer.status, body[:LONGEST_REFUSAL].decode(errors="replace"))
    return body


async def _expect(response: aiohttp.ClientResponse, expected: tuple[int, ...]) -> None:
    if response.status not in expected:
        text = await _read(response, LONGEST_REFUSAL)
        raise PodRefused(response.status, text.decode(errors="replace"))


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, up to `most` bytes of it."""
    body = bytearray()
    while len(body) < most and (chunk := await response.content.read(most - len(body))):
        body += chunk
    return bytes(body)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PodNonsense(f"an answer that is no {kind.__name__}: {printable(str(error))}") from None


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what aiohttp raises into `PodError`."""
    try:
        yield
    except TimeoutError:
        raise PodUnreachable("no answer in time") from None
    except aiohttp.ServerFingerprintMismatch:
        raise PodUnreachable(OTHER_CERTIFICATE) from None
    except (aiohttp.ClientResponseError, HttpProcessingError) as error:
        raise PodNonsense(f"no HTTP: {printable(error.message)}") from None
    except aiohttp.ClientConnectorError as error:
        raise PodUnreachable(printable(error.strerror or str(error.os_error))) from None
    except (aiohttp.ClientError, OSError) as error:
        raise PodUnreachable(printable(_said(error))) from error


def _said(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
