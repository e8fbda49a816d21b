"""One request to the API server: the login it goes with, its time limit, what an answer of 400 and above means.

A refused credential (401) is renewed once for everyone who met it, and the request sent again: it was not done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from onair_core.kube.errors import ApiError, KubeError, Unauthorized, Unreachable, api_error
from onair_core.kube.login import Login, Source

CONNECT_SECONDS = 10.0
LONGEST_ERROR = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, but for the login. `seconds` are until the headers of its answer are here."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    seconds: float
    body: bytes | None = None


class Transport:
    """Connections to one API server. Use it as an async context manager."""

    def __init__(self, source: Source, *, agent: str) -> None:
        self._source = source
        self._agent = agent
        self._session: aiohttp.ClientSession | None = None
        self._login: Login | None = None
        self._login_until = float("inf")
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        # Without a limit: watches hold a connection each, and the work queue bounds the rest.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            headers={"User-Agent": self._agent},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def login(self, refused: Login | None = None) -> Login:
        """The one in use; another when its time is over, or when it is the one that was refused."""
        async with self._logging_in:
            clock = asyncio.get_running_loop().time
            if self._login is None or self._login is refused or clock() >= self._login_until:
                self._login = await self._source.login()
                good_for = self._login.good_for
                self._login_until = float("inf") if good_for is None else clock() + good_for
            return self._login

    @asynccontextmanager
    async def answer(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer below 400, its body unread.

        Raises `ApiError`, `LoginError`, `Unreachable` (also out of the `async with`, when the body does not come).
        """
        with _translated():
            response = await self._logged_in(request)
            try:
                yield response
            finally:
                # Read to its end, the connection is free again; otherwise nobody waits for the rest.
                response.release() if response.content.at_eof() else response.close()

    async def _logged_in(self, request: Request) -> aiohttp.ClientResponse:
        login = await self.login()
        try:
            return await self._once(login, request)
        except Unauthorized:
            return await self._once(await self.login(refused=login), request)

    async def _once(self, login: Login, request: Request) -> aiohttp.ClientResponse:
        if self._session is None:
            raise KubeError("the client is used as an async context manager")
        sent = dict(request.headers)
        if login.authorization is not None:
            sent["Authorization"] = login.authorization
        async with asyncio.timeout(request.seconds):
            response = await self._session.request(
                request.method,
                login.server + request.path,
                params=request.query,
                headers=sent,
                data=request.body,
                ssl=login.tls or True,
                server_hostname=login.server_name,
                proxy=login.proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            )
            if response.status < 300:
                return response
            try:
                raise await _refusal(response)
            finally:
                response.close() if not response.content.at_eof() else response.release()


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    text = await response.content.read(LONGEST_ERROR)
    while not response.content.at_eof() and len(text) < LONGEST_ERROR:
        text += await response.content.read(LONGEST_ERROR - len(text))
    status: Any
    try:
        status = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = text.decode(errors="replace")
    return api_error(response.status, status, response.headers.get("Retry-After"))


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what aiohttp raises into `Unreachable`."""
    try:
        yield
    except TimeoutError as error:
        raise Unreachable("no answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
