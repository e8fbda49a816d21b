"""One signed POST to a place that a user named: the outbound policy on the wire (DESIGN: Trust).

The policy judges the very address a socket is made for, after name resolution and whatever the spelling of
the host: a name that answers differently the second time (DNS rebinding) is of no use. No proxy from the
environment, no redirects, no cookies, no connection reuse; at most a few KiB of an answer are read, and only
of one that is a failure.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import AbstractResolver

from onair_operator.webhooks.policy import OutboundPolicy, url_problem
from onair_operator.webhooks.resolver import Resolver, TooManyLookUps

EXCERPT_BYTES = 512
_HEADERS_KEPT = ("Content-Type", "Content-Length", "Date", "Location", "Retry-After", "Server")
_HEADER_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one request went. `status` is None when no answer came; `problem` is empty exactly for a 2xx
    answer.

    `problem`, `excerpt` and `headers` may be shown to the endpoint's owner: no address and no URL stands in
    `problem`.
    """

    status: int | None = None
    problem: str = ""
    excerpt: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: bool = False

    @property
    def ok(self) -> bool:
        """Whether the receiver has taken it over."""
        return not self.problem


class _RefusedAddress(OSError):
    """The policy does not allow connecting to this address."""


# Why the policy refused addresses of the request under way; aiohttp's connector has no other way back to it.
_refusals: ContextVar[list[str]] = ContextVar("refusals")


class Sender:
    """Sends POSTs under one policy. Made inside a running event loop; `close` it."""

    def __init__(
        self, policy: OutboundPolicy, *, timeout: float = 5.0, resolver: AbstractResolver | None = None
    ) -> None:
        self._policy = policy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver or Resolver(),
                use_dns_cache=False,
                # A connection that the receiver closed while it was idle looks like a failed delivery.
                force_close=True,
                limit=0,  # the deliverer bounds how many run at once
                socket_factory=self._socket,
            ),
            timeout=aiohttp.ClientTimeout(total=timeout, ceil_threshold=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        self._timeout = timeout

    async def close(self) -> None:
        """Ends what is still under way."""
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Sends it once. Never raises for what the URL, the network or the receiver does."""
        if problem := url_problem(url):
            return Outcome(problem=problem, refused=True)
        refusals: list[str] = []
        token = _refusals.set(refusals)
        try:
            request = self._session.post(
                url,
                data=body,
                headers={"Content-Type": "application/json", "Accept-Encoding": "identity", **headers},
                allow_redirects=False,
            )
            async with request as response:
                return await self._judge(response)
        except TimeoutError:
            return Outcome(problem=f"no answer within {self._timeout:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if refusals:
                problem = f"its address is {' and '.join(sorted(set(refusals)))}, which is not allowed here"
                return Outcome(problem=problem, refused=True)
            return Outcome(problem=_describe(error))
        finally:
            _refusals.reset(token)

    async def _judge(self, response: aiohttp.ClientResponse) -> Outcome:
        if 200 <= response.status < 300:
            return Outcome(status=response.status)
        try:
            excerpt = await response.content.read(EXCERPT_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError):
            excerpt = b""
        finally:
            response.close()
        problem = f"the answer was {response.status}"
        if 300 <= response.status < 400:
            problem += ", and redirects are not followed"
        return Outcome(
            status=response.status,
            problem=problem,
            excerpt=_printable(excerpt.decode("utf-8", "replace")),
            headers={
                name: _printable(response.headers[name][:_HEADER_CHARACTERS])
                for name in _HEADERS_KEPT
                if name in response.headers
            },
        )

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        refusal = self._policy.refusal(str(address[0]))
        if refusal is not None:
            _refusals.get().append(refusal)
            raise _RefusedAddress(f"connecting to this {refusal} address is not allowed")
        return socket.socket(family, kind, protocol)


def _describe(error: Exception) -> str:
    """In words that hold neither address nor URL, as the messages of aiohttp and of the system do."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its TLS certificate is not valid for this host"
        case aiohttp.ClientConnectorDNSError(os_error=TooManyLookUps()):
            return "too many host names are being looked up"
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "its host name was not found"
        case aiohttp.ClientSSLError():
            return "TLS could not be agreed on"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer came"
        case aiohttp.ClientResponseError():
            return "the answer was not valid HTTP"
        case aiohttp.ClientConnectorError():
            return f"no connection: {os.strerror(error.errno)}" if error.errno else "no connection"
        case aiohttp.InvalidURL() | ValueError():
            return "not a URL that can be requested"
        case _:
            return "the connection broke"


def _printable(text: str) -> str:
    return re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]+", " ", text).strip()
