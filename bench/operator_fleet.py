"""All ingest pods of a cluster of kwok's in one process, as far as the operator sees them: their control ports.

    python bench/operator_fleet.py --kubeconfig … --control 0.0.0.0:9090 --report 127.0.0.1:9099

kwok says that pods run and what their addresses are; behind all of these stands this process. Which pod is asked shows
in the address that a connection came to; with the root secret its certificate and its token are known (docs/decisions/015).

`--report` answers each connection with JSON: how many are followed, how many requests were refused, and for each stream
the title of the newest configuration that its pod was sent, and when (seconds of the system's monotonic clock).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import json
import os
import resource
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import uvloop

from onair_core.contract import Applied, Cursor, Drained, PodConfig, config_hash
from onair_core.contract.control import (
    CONFIG_HEADER,
    CONFIG_PATH,
    DRAIN_PATH,
    EVENTS_PATH,
    SIGN_OF_LIFE_SECONDS,
)
from onair_core.kube.client import Client, Selection
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.kube.reflector import Reflector
from onair_core.kube.resources import PODS, SECRETS
from onair_operator.desired.control_access import control_access
from onair_operator.desired.labels import LIVE_STREAM, managed_selector
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.pod import CONFIG_HASH, INCARNATION_NUMBER
from onair_operator.observe.trim import trim_pod

# The operator may hear of a pod before we do.
PATIENCE_SECONDS = 10.0
CONFIGS = msgspec.json.Decoder(PodConfig)
KEEP_ALIVE = b"1\r\n\n\r\n"  # an empty line, as a chunk


@dataclass(eq=False)
class Pod:
    """One that has an address. `applied`: the hash of its configuration."""

    stream: str
    authorization: bytes
    context: ssl.SSLContext
    applied: str
    connections: set[Connection] = field(default_factory=set)


@dataclass
class Fleet:
    """`folder`: certificates pass through it, since Python's TLS takes files only."""

    root: bytes
    folder: Path
    pods: dict[str, Pod] = field(default_factory=dict)
    expected: dict[str, asyncio.Event] = field(default_factory=dict)
    titles: dict[str, tuple[str, float]] = field(default_factory=dict)
    following: int = 0
    refused: int = 0
    puts: int = 0

    def change(self, _key: object, old: dict | None, new: dict | None) -> None:
        """A pod has changed."""
        before, now = _address(old), _address(new)
        if before is not None and before != now and (pod := self.pods.pop(before, None)) is not None:
            for connection in tuple(pod.connections):
                connection.transport.abort()
        if new is None or now is None or (before == now and now in self.pods):
            return
        self.pods[now] = self._pod(new["metadata"])
        if (waiting := self.expected.pop(now, None)) is not None:
            waiting.set()

    async def at(self, address: str) -> Pod | None:
        """Whose address that is."""
        if address not in self.pods:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self.expected.setdefault(address, asyncio.Event()).wait()
            except TimeoutError:
                return None
        return self.pods.get(address)

    def report(self) -> dict:
        return {
            "pods": len(self.pods),
            "following": self.following,
            "refused": self.refused,
            "puts": self.puts,
            "titles": self.titles,
        }

    def _pod(self, metadata: dict) -> Pod:
        (uid,) = (owner["uid"] for owner in metadata["ownerReferences"])
        annotations = metadata["annotations"]
        access = control_access(self.root, Incarnation(uid, int(annotations[INCARNATION_NUMBER])))
        file = self.folder / f"pod-{os.getpid()}.pem"
        file.write_text(access.private_key + access.certificate, encoding="ascii")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0  # as pods have it
        context.load_cert_chain(file)
        file.unlink()
        bearer = f"Bearer {access.token}".encode()
        return Pod(metadata["labels"][LIVE_STREAM], bearer, context, annotations[CONFIG_HASH])


def _address(pod: dict | None) -> str | None:
    return None if pod is None else pod["status"].get("podIP")


class Connection(asyncio.Protocol):
    """One of the operator's, to the pod that it is meant for. HTTP as far as the operator speaks it."""

    transport: asyncio.Transport

    def __init__(self, fleet: Fleet, pod: Pod) -> None:
        self._fleet, self._pod = fleet, pod
        self._read = bytearray()
        self._sign: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._pod.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._pod.connections.discard(self)
        if self._sign is not None:
            self._sign.cancel()
            self._fleet.following -= 1

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, ends, rest = self._read.partition(b"\r\n\r\n")
        if not ends:
            return
        request, *lines = bytes(head).split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        self._read = rest[length:]
        method, target, _ = request.decode("ascii").split(" ")
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._pod.authorization):
            self._answer(401, b"a bearer token is needed\n")
        else:
            self._asked(method, target.partition("?")[0], bytes(rest[:length]))

    def _asked(self, method: str, path: str, body: bytes) -> None:
        if (method, path) == ("GET", EVENTS_PATH):
            head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
            self.transport.write(f"{head}{CONFIG_HEADER}: {self._pod.applied}\r\n\r\n".encode() + KEEP_ALIVE)
            self._fleet.following += 1
            self._later()
        elif (method, path) == ("PUT", CONFIG_PATH):
            config = CONFIGS.decode(body)
            self._pod.applied = config_hash(config)
            self._fleet.titles[self._pod.stream] = (config.title, time.monotonic())
            self._fleet.puts += 1
            self._answer(200, msgspec.json.encode(Applied(self._pod.applied)))
        elif (method, path) == ("POST", DRAIN_PATH):
            self._answer(200, msgspec.json.encode(Drained(idle=True, newest=Cursor())))
        else:
            self._answer(404, b"not here\n")

    def _answer(self, status: int, body: bytes) -> None:
        self._fleet.refused += status >= 400
        head = f"HTTP/1.1 {status} {'OK' if status < 400 else 'No'}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)

    def _later(self) -> None:
        self._sign = asyncio.get_running_loop().call_later(SIGN_OF_LIFE_SECONDS, self._live)

    def _live(self) -> None:
        self.transport.write(KEEP_ALIVE)
        self._later()


async def accept(fleet: Fleet, listening: socket.socket) -> None:
    """For ever."""
    loop, greeting = asyncio.get_running_loop(), set()
    while True:
        accepted, _ = await loop.sock_accept(listening)
        task = asyncio.create_task(greet(fleet, accepted))
        greeting.add(task)
        task.add_done_callback(greeting.discard)


async def greet(fleet: Fleet, accepted: socket.socket) -> None:
    pod = await fleet.at(accepted.getsockname()[0])
    if pod is None:
        accepted.close()
        return
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: Connection(fleet, pod), accepted, ssl=pod.context, ssl_handshake_timeout=20.0
        )
    except (OSError, TimeoutError):  # the operator has gone away
        accepted.close()


async def serve(kubeconfig: Path, control: tuple[str, int], report: tuple[str, int], installation: str) -> None:
    listening = socket.create_server(control, backlog=4096)
    listening.setblocking(False)
    async with Client(Kubeconfig((kubeconfig,)), agent="onair-bench-fleet") as client:
        secret = await client.get(SECRETS, "onair-root", installation)
        fleet = Fleet(base64.b64decode(secret["data"]["root"]), kubeconfig.parent)
        reflector = Reflector(client, Selection(PODS, labels=managed_selector()), trim=trim_pod)
        reflector.on_change(fleet.change)

        async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(json.dumps(fleet.report()).encode())
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(tell, *report), asyncio.TaskGroup() as group:
            group.create_task(reflector.run())
            group.create_task(accept(fleet, listening))


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--installation", default="onair-system", help="the namespace of the root secret")
    parser.add_argument("--control", type=address, required=True)
    parser.add_argument("--report", type=address, required=True)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(serve(given.kubeconfig, given.control, given.report, given.installation))


if __name__ == "__main__":
    main()
