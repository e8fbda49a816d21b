"""One request to a receiver that misbehaves, and to places where none may go: real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onair_operator.webhooks.outbound import EXCERPT_BYTES, Outcome, Sender
from onair_operator.webhooks.policy import OutboundPolicy

LOOPBACK = OutboundPolicy(allow_loopback=True)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def receiver(handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A raw TCP server; gives its port."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def answering(response: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()

    return handler


async def post(
    url: str,
    policy: OutboundPolicy = LOOPBACK,
    resolver: AbstractResolver | None = None,
    seconds: float = 5.0,
) -> Outcome:
    sender = Sender(policy, timeout=seconds, resolver=resolver)
    try:
        return await sender.post(url, b"{}", {"X-Test": "1"})
    finally:
        await sender.close()


class Names(AbstractResolver):
    """A name server that gives the next answer at each question; the last one from then on."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answer
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_2xx_is_success(status: int) -> None:
    async with receiver(answering(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)) as port:
        outcome = await post(f"http://127.0.0.1:{port}/hook")
    assert outcome.ok
    assert outcome.status == status


@pytest.mark.parametrize("status", [300, 400, 401, 404, 410, 429, 500, 503])
async def test_anything_else_is_a_failure_with_an_excerpt_of_the_answer(status: int) -> None:
    async with receiver(
        answering(b"HTTP/1.1 %d X\r\nServer: nginx\r\nContent-Length: 10\r\n\r\nno\x00 \x1b[31m!" % status)
    ) as port:
        outcome = await post(f"http://127.0.0.1:{port}/hook")
    assert not outcome.ok
    assert outcome.status == status
    assert "\x1b" not in outcome.excerpt
    assert "\x00" not in outcome.excerpt
    assert outcome.excerpt.startswith("no")
    assert outcome.headers["Server"] == "nginx"


async def test_redirects_are_not_followed() -> None:
    reached: list[bytes] = []

    async def trap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.readuntil(b"\r\n\r\n"))

    async with receiver(trap) as inner:
        redirect = b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % inner
        async with receiver(answering(redirect)) as port:
            outcome = await post(f"http://127.0.0.1:{port}/")
    assert outcome.status == 307
    assert "redirects are not followed" in outcome.problem
    assert not reached


async def test_a_huge_answer_is_not_read() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            sent += 65536

    async with receiver(endless) as port:
        outcome = await post(f"http://127.0.0.1:{port}/")
    assert outcome.status == 500
    assert len(outcome.excerpt) == EXCERPT_BYTES
    assert sent < 50 * 2**20


async def test_a_huge_2xx_answer_is_success_without_reading_it() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 9999999999\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with receiver(endless) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).ok


async def test_closing_in_the_middle_of_a_failures_body_still_tells_the_status() -> None:
    async with receiver(answering(b"HTTP/1.1 502 X\r\nContent-Length: 1000\r\n\r\nhalf")) as port:
        outcome = await post(f"http://127.0.0.1:{port}/")
    assert outcome.status == 502


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = b"\x1f\x8b\x08\x00" + b"\x00" * 100
    head = b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with receiver(answering(head + bomb)) as port:
        outcome = await post(f"http://127.0.0.1:{port}/")
    assert outcome.status == 500


async def test_a_receiver_that_never_answers_is_cut_off() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with receiver(silent) as port:
        outcome = await post(f"http://127.0.0.1:{port}/", seconds=0.3)
    assert outcome.problem == "no answer within 0.3 seconds"
    assert outcome.status is None


async def test_the_time_limit_holds_for_an_answer_that_drips() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with receiver(drip) as port:
        outcome = await post(f"http://127.0.0.1:{port}/", seconds=0.4)
    assert "no answer within" in outcome.problem


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (b"", "the connection was closed before an answer came"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer was not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "the answer was not valid HTTP"),
    ],
)
async def test_what_is_not_http_is_a_failure(response: bytes, problem: str) -> None:
    async with receiver(answering(response)) as port:
        outcome = await post(f"http://127.0.0.1:{port}/")
    assert outcome.problem == problem


async def test_a_closed_port_is_a_failure_that_shows_no_address() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        outcome = await post(f"http://127.0.0.1:{port}/?token=hush")
    assert not outcome.ok
    assert "127.0.0.1" not in outcome.problem
    assert "hush" not in outcome.problem


async def unreachable(url: str, policy: OutboundPolicy, resolver: AbstractResolver | None = None) -> Outcome:
    """Posts to a listening receiver that must not be reached; `{port}` in the URL is its port."""
    reached: list[bytes] = []

    async def trap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(b"connected")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with receiver(trap, host="127.0.0.1") as port:
        outcome = await post(url.format(port=port), policy, resolver)
    assert not reached
    return outcome


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "１２７.0.0.1",
        "127。0。0。1",
    ],
)
async def test_loopback_is_not_reached_however_it_is_spelled(host: str) -> None:
    outcome = await unreachable(f"http://{host}:{{port}}/", OutboundPolicy())
    assert not outcome.ok
    assert "127.0.0.1" not in outcome.problem


async def test_a_refused_address_is_named_by_kind_only() -> None:
    outcome = await unreachable("http://127.0.0.1:{port}/", OutboundPolicy())
    assert outcome.refused
    assert outcome.problem == "its address is loopback, which is not allowed here"


async def test_a_name_for_a_private_address_is_refused() -> None:
    outcome = await unreachable("http://hook.example:{port}/", OutboundPolicy(), Names(["127.0.0.1"]))
    assert outcome.refused


@pytest.mark.parametrize(
    "address", ["::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "fe80::1", "fd00:ec2::254"]
)
async def test_ipv6_answers_of_a_name_server_are_judged_too(address: str) -> None:
    outcome = await unreachable("http://hook.example:{port}/", OutboundPolicy(), Names([str(ip_address(address))]))
    assert outcome.refused


async def test_a_name_that_changes_its_mind_is_judged_where_it_leads() -> None:
    """DNS rebinding: a first answer that passes helps nothing, as each connection's own address is judged."""
    allowed = OutboundPolicy(allow_networks=(ip_network("127.0.0.1/32"),))
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with receiver(answering(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n"), host="0.0.0.0") as port:
        sender = Sender(allowed, resolver=names)
        try:
            assert (await sender.post(f"http://hook.example:{port}/", b"{}", {})).ok
            second = await sender.post(f"http://hook.example:{port}/", b"{}", {})
        finally:
            await sender.close()
    assert second.refused
    assert names.asked == 2


async def test_the_public_one_of_several_addresses_is_used() -> None:
    """A refused address does not poison its neighbours, nor do they help it."""
    allowed = OutboundPolicy(allow_networks=(ip_network("127.0.0.1/32"),))
    async with receiver(answering(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")) as port:
        outcome = await post(f"http://hook.example:{port}/", allowed, Names(["127.0.0.2", "10.0.0.1", "127.0.0.1"]))
    assert outcome.ok


class DeadNameServer:
    """getaddrinfo, which hangs for names that begin with `hang` until `answer` is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self._answers = threading.Event()
        self._really = socket.getaddrinfo
        monkeypatch.setattr("socket.getaddrinfo", self._look_up)

    def answer(self) -> None:
        self._answers.set()

    def _look_up(self, host: str, *more: Any) -> Any:
        self.asked.append(host)
        if host.startswith("hang"):
            self._answers.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._really(host, *more)


@pytest.fixture
def dead_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadNameServer]:
    server = DeadNameServer(monkeypatch)
    yield server
    server.answer()


async def test_endpoints_with_a_dead_name_server_hold_up_no_other(dead_name_server: DeadNameServer) -> None:
    sender = Sender(LOOPBACK, timeout=30)
    async with receiver(answering(b"HTTP/1.1 204 X\r\n\r\n")) as port:
        hanging = [
            asyncio.create_task(sender.post(f"http://hang{n}.example/", b"{}", {})) for n in range(20) for _ in range(8)
        ]
        while len(dead_name_server.asked) < 20:
            await asyncio.sleep(0)
        assert (await sender.post(f"http://localhost:{port}/", b"{}", {})).ok
        dead_name_server.answer()
        outcomes = await asyncio.gather(*hanging)
    await sender.close()
    assert {outcome.problem for outcome in outcomes} == {"its host name was not found"}
    # One look-up a name, however many wait for it.
    assert sorted(dead_name_server.asked) == sorted(["localhost", *(f"hang{n}.example" for n in range(20))])


async def test_a_name_is_looked_up_again_after_its_time_limit_only_when_the_name_server_has_answered(
    dead_name_server: DeadNameServer,
) -> None:
    sender = Sender(LOOPBACK, timeout=0.05)
    for _ in range(3):
        assert "no answer within" in (await sender.post("http://hang.example/", b"{}", {})).problem
    assert dead_name_server.asked == ["hang.example"]
    await sender.close()


async def test_names_looked_up_at_once_are_bounded_and_the_owner_is_told(
    dead_name_server: DeadNameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onair_operator.webhooks.resolver.MAX_LOOK_UPS", 2)
    sender = Sender(LOOPBACK, timeout=30)
    hanging = [asyncio.create_task(sender.post(f"http://hang{n}.example/", b"{}", {})) for n in range(2)]
    while len(dead_name_server.asked) < 2:
        await asyncio.sleep(0)
    outcome = await sender.post("http://hang2.example/", b"{}", {})
    assert outcome.problem == "too many host names are being looked up"
    dead_name_server.answer()
    await asyncio.gather(*hanging)
    await sender.close()


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    through: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        through.append(await reader.readuntil(b"\r\n"))

    async with receiver(proxy) as proxy_port:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with receiver(answering(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")) as port:
            assert (await post(f"http://127.0.0.1:{port}/")).ok
        assert (await post("http://10.255.255.1/", OutboundPolicy())).refused
    assert not through


async def test_netrc_and_cookies_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login operator password hush\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 X\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with receiver(handler) as port:
        sender = Sender(LOOPBACK)
        try:
            for _ in range(2):
                assert (await sender.post(f"http://127.0.0.1:{port}/", b"{}", {})).ok
        finally:
            await sender.close()
    assert len(heads) == 2
    assert not any(b"authorization" in head.lower() or b"cookie" in head.lower() for head in heads)


async def test_an_invalid_certificate_is_refused(tmp_path: Path) -> None:
    async with receiver(answering(b"HTTP/1.1 200 X\r\n\r\n"), tls=self_signed(tmp_path)) as port:
        outcome = await post(f"https://127.0.0.1:{port}/")
    assert outcome.problem == "its TLS certificate is not valid for this host"


async def test_plain_http_on_a_tls_url_is_a_failure() -> None:
    async with receiver(answering(b"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")) as port:
        outcome = await post(f"https://127.0.0.1:{port}/", seconds=2)
    assert not outcome.ok


def self_signed(directory: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = directory / "tls.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
