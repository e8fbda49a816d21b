"""The handshake (RTMP 5.2) as encoders make it; digests are computed here a second time."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_wire import COMMAND, HANDSHAKE, Encoder, amf, hear, message

from onair_media.rtmp import Connected, ProtocolError, ServerConnection
from onair_media.rtmp.handshake import Handshake

C1 = bytes.fromhex("0000 0001 0000 0000") + bytes(i * 7 % 256 for i in range(1528))
# FMLE and Wirecast say the version of their Flash player here; others anything.
FLASH_C1 = bytes.fromhex("0000 0001 8000 0702") + C1[8:]
C2 = bytes(1536)

PLAYER = b"Genuine Adobe Flash Player 001"
SERVER = b"Genuine Adobe Flash Media Server 001"
TAIL = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
SCHEMES = {"digest first": 8, "key first": 772}


def hmac_sha256(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def offset(block: bytes, scheme: int) -> int:
    """Where the digest lies: four bytes at the block's begin say how far behind them."""
    return scheme + 4 + (block[scheme] + block[scheme + 1] + block[scheme + 2] + block[scheme + 3]) % 728


def digest_of(block: bytes, scheme: int, key: bytes) -> bytes:
    at = offset(block, scheme)
    return hmac_sha256(key, block[:at] + block[at + 32 :])


def with_digest(block: bytes, scheme: int) -> bytes:
    at = offset(block, scheme)
    return block[:at] + digest_of(block, scheme, PLAYER) + block[at + 32 :]


def test_the_simple_handshake_echoes_c1() -> None:
    answer = Handshake().receive(b"\3" + C1)
    assert len(answer) == 1 + 1536 + 1536
    assert answer[0] == 3
    assert answer[5:9] == bytes(4)  # a version of zero: no digest is to be looked for
    assert answer[1537:] == C1


def test_s1_is_random() -> None:
    first, second = (Handshake().receive(b"\3" + C1)[9:1537] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("pointer", ["00000000", "01020304", "ffffffff", "000000ff", "ff00ffda"])
def test_a_digest_in_c1_is_answered_with_digests(scheme: int, pointer: str) -> None:
    # Flash, FMLE, old Wirecast.
    c1 = with_digest(FLASH_C1[:scheme] + bytes.fromhex(pointer) + FLASH_C1[scheme + 4 :], scheme)
    answer = Handshake().receive(b"\3" + c1)
    s1, s2 = answer[1:1537], answer[1537:]
    at = offset(s1, scheme)
    assert s1[4:8] != bytes(4)
    assert s1[at : at + 32] == digest_of(s1, scheme, SERVER)
    challenge = c1[offset(c1, scheme) :][:32]
    assert s2[-32:] == hmac_sha256(hmac_sha256(SERVER + TAIL, challenge), s2[:-32])


def test_a_version_without_a_digest_gets_the_simple_handshake() -> None:
    # Version bytes that are not zero promise nothing.
    assert Handshake().receive(b"\3" + FLASH_C1)[1537:] == FLASH_C1


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_a_wrong_digest_is_no_error(scheme: int) -> None:
    c1 = with_digest(FLASH_C1, scheme)
    last = offset(c1, scheme) + 31
    c1 = c1[:last] + bytes((c1[last] ^ 1,)) + c1[last + 1 :]
    assert Handshake().receive(b"\3" + c1)[1537:] == c1


@pytest.mark.parametrize("c2", [C2, b"\xff" * 1536, C1], ids=["zeros", "ones", "not the echo"])
def test_c2_is_read_and_not_looked_at(c2: bytes) -> None:
    handshake = Handshake()
    handshake.receive(b"\3" + C1)
    assert not handshake.done
    assert handshake.receive(c2) == b""
    assert handshake.done and handshake.rest == b""


def test_c0_c1_and_c2_in_one_packet_with_a_command_behind() -> None:
    handshake = Handshake()
    assert len(handshake.receive(b"\3" + C1 + C2 + b"command")) == 3073
    assert handshake.done and handshake.rest == b"command"


def test_a_command_in_the_packet_of_the_handshake_is_answered() -> None:
    server = ServerConnection()
    assert hear(server, HANDSHAKE + message(amf("connect", 1.0, {"app": "live"}), csid=3, kind=COMMAND)) == [
        Connected("live")
    ]
    assert b"NetConnection.Connect.Success" in server.data_to_send()


def test_the_answer_is_sent_once_and_only_when_c1_is_whole() -> None:
    handshake = Handshake()
    sent = [handshake.receive(bytes((byte,))) for byte in b"\3" + C1 + C2]
    assert [len(data) for data in sent if data] == [3073]
    assert len(sent[1536]) == 3073
    assert handshake.done and handshake.rest == b""


@settings(max_examples=20)
@given(st.lists(st.integers(0, 3100), max_size=5))
def test_the_pieces_of_a_handshake_do_not_matter(cuts: list[int]) -> None:
    wire = HANDSHAKE + message(amf("connect", 1.0, {"app": "live"}), csid=3, kind=COMMAND)
    edges = [0, *sorted(cuts), len(wire)]
    server = ServerConnection()
    events = [e for begin, end in zip(edges, edges[1:], strict=False) for e in hear(server, wire[begin:end])]
    assert events == [Connected("live")]
    assert server.handshake_done


@pytest.mark.parametrize("first", [0, 2, 6, 0x16, 0x47, 0x7F], ids=["0", "2", "encrypted", "TLS", "HTTP", "0x7f"])
def test_any_version_but_3_is_refused_at_the_first_byte(first: int) -> None:
    # A TLS ClientHello or an HTTP request on the plain port never sends 1537 bytes.
    with pytest.raises(ProtocolError, match="not RTMP"):
        Handshake().receive(bytes((first,)))


def test_no_bytes_at_all_are_nothing() -> None:
    assert Handshake().receive(b"") == b""
    assert hear(Encoder().server, b"") == []
