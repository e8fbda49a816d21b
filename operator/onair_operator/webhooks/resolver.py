"""Name resolution that no endpoint can take from another.

getaddrinfo is the system's own: it knows hosts files, search domains and every name service that the machine is set up
with, which asynchronous resolvers do not. But it blocks, for half a minute when a name server does not answer. So each
name is looked up by one thread at a time, and whoever asks for it meanwhile waits for the same answer: an endpoint
with a dead name server holds one thread, however many of its events are tried. Nothing is kept once it was answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from threading import Thread
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

# Names that are looked up at once. Past that, further ones fail at once and are tried again like any other failure.
MAX_LOOK_UPS = 256

_Addresses = list[tuple[Any, ...]]
_Name = tuple[str, socket.AddressFamily]


class TooManyLookUps(OSError):
    """As many names are being looked up as may be at once."""


class Resolver(AbstractResolver):
    """getaddrinfo, in a thread for each name that is looked up. `resolve` raises `OSError`."""

    def __init__(self) -> None:
        self._running: dict[_Name, asyncio.Future[_Addresses]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        name = (host, family)
        found = self._running.get(name) or self._start(name)
        # Shielded: one who stops waiting does not end it for the others.
        return [
            ResolveResult(
                hostname=host,
                # The scope of a link-local address is lost; the policy refuses those anyway.
                host=str(address[0]),
                port=port,
                family=family_found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for family_found, _, protocol, _, address in await asyncio.shield(found)
        ]

    async def close(self) -> None:
        """Threads that still wait for a name server end by themselves, and hold up nobody."""

    def _start(self, name: _Name) -> asyncio.Future[_Addresses]:
        if len(self._running) >= MAX_LOOK_UPS:
            raise TooManyLookUps("too many names are looked up at once")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Addresses] = loop.create_future()
        # Read once, so that nobody waiting any more is no "exception was never retrieved".
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())

        def tell(found: _Addresses | OSError | UnicodeError) -> None:
            del self._running[name]
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            host, family = name
            found: _Addresses | OSError | UnicodeError
            try:
                found = list(socket.getaddrinfo(host, None, family, socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
                loop.call_soon_threadsafe(tell, found)

        try:
            Thread(target=look_up, name="webhook-resolver", daemon=True).start()
        except RuntimeError as error:
            raise TooManyLookUps("no thread left for looking up a name") from error
        self._running[name] = answer
        return answer
