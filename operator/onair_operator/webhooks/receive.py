"""The other end of a webhook: checks signatures and tells what came. For trying things out and for tutorials."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml
from aiohttp import web

from onair_operator.webhooks.signature import HEADERS, verify

MAX_BODY_BYTES = 1024 * 1024
_IDS_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook that came. `problem` says why it was refused; `repeated`: its id was there before."""

    webhook: dict[str, Any]
    problem: str | None = None
    repeated: bool = False


def application(secrets: Sequence[bytes], on_received: Callable[[Received], None]) -> web.Application:
    """Takes webhooks on every path. Answers 204, or 400 to a wrong signature or body; no secrets: none is checked."""
    seen: OrderedDict[str, None] = OrderedDict()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        problem = None
        if secrets:
            header = next((request.headers[name] for name in HEADERS if name in request.headers), None)
            problem = "no signature" if header is None else verify(body, header, secrets, time.time())
        try:
            webhook = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            webhook, problem = {}, problem or "the body is not a JSON object"
        event_id = str(webhook.get("id", ""))
        on_received(Received(webhook, problem, repeated=event_id in seen))
        if problem:
            return web.Response(status=400, text=problem)
        seen[event_id] = None
        if len(seen) > _IDS_REMEMBERED:
            seen.popitem(last=False)
        return web.Response(status=204)

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/{path:.*}", take)
    return app


def line(received: Received) -> str:
    """One line for people: when, what, whose, which number, and what is remarkable."""
    webhook = received.webhook
    data = webhook.get("data")
    own = data.get("onair") if isinstance(data, dict) else None
    own = own if isinstance(own, dict) else {}
    remarks = [
        f"reason={own['reason']}" if "reason" in own else "",
        f"attempt={len(webhook['attempts']) + 1}" if webhook.get("attempts") else "",
        "repeated" if received.repeated else "",
        f"REFUSED: {received.problem}" if received.problem else "",
    ]
    fields = [
        str(webhook.get("created_at", "-"))[11:23] or "-",
        f"{webhook.get('type', '-')!s:<38}",
        f"{own.get('namespace', '-')}/{own.get('name', '-')}",
        f"#{own.get('sequence', '-')}",
        *filter(None, remarks),
    ]
    # What came from the network does not get to move the terminal's cursor.
    return "".join(c if c.isprintable() else "�" for c in "  ".join(fields))


def _as_json(received: Received) -> str:
    return msgspec.json.encode(received.webhook).decode()


def _as_yaml(received: Received) -> str:
    """A document of its own: what follows does not run into it."""
    return "---\n" + yaml.safe_dump(received.webhook, sort_keys=False, allow_unicode=True).rstrip()


SHOWN: dict[str, Callable[[Received], str]] = {"lines": line, "json": _as_json, "yaml": _as_yaml}
"""How a webhook can be shown."""


async def serve(
    host: str, port: int, secrets: Sequence[bytes], show: Callable[[str], None], shown: Callable[[Received], str]
) -> None:
    """Listens until SIGINT or SIGTERM; `show` gets the address first, then each webhook as `shown`."""

    def received(webhook: Received) -> None:
        show(shown(webhook))

    runner = web.AppRunner(application(secrets, received), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        show(f"listening on http://{bound[0]}:{bound[1]}/" + ("" if secrets else ", signatures are not verified"))
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()
    finally:
        await runner.cleanup()
