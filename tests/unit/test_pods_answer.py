"""What a pod answers, from its bytes: whole, in pieces, and when it is no answer at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_operator.pods.answer import LONGEST_HEAD, Answer

HEADERS = {"Host": "pod:9090", "Authorization": "Bearer token"}
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nOnAir-Config: abc\r\n\r\n"


def asked() -> Answer:
    return Answer("/v1/events?after=1.2", HEADERS)


def test_the_request_is_one_for_http() -> None:
    assert (
        asked().request == b"GET /v1/events?after=1.2 HTTP/1.1\r\nHost: pod:9090\r\nAuthorization: Bearer token\r\n\r\n"
    )


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    return [whole[begin:end] for begin, end in zip(places, places[1:], strict=False)]


def chunked(*bodies: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(body), body) for body in bodies)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 500), max_size=30))
def test_chunks_come_out_as_they_went_in_however_they_are_cut(bodies: list[bytes], cuts: list[int]) -> None:
    answer = asked()
    got = b"".join(answer.feed(piece) for piece in pieces(CHUNKED + chunked(*bodies, b""), cuts))
    assert got == b"".join(bodies)
    assert answer.complete and answer.status == 200 and answer.headers["onair-config"] == "abc"


@given(st.binary(max_size=60), st.lists(st.integers(0, 200), max_size=10))
def test_a_length_is_kept_to(body: bytes, cuts: list[int]) -> None:
    answer = asked()
    whole = b"HTTP/1.1 409 Conflict\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    assert b"".join(answer.feed(piece) for piece in pieces(whole, cuts)) == body
    assert answer.complete and answer.status == 409
    assert answer.feed(b"more than was announced") == b""


def test_chunks_are_given_before_they_are_whole() -> None:
    answer = asked()
    assert answer.feed(CHUNKED + b"10\r\nhalf of") == b"half of"
    assert not answer.complete
    assert answer.feed(b"") == b"" and not answer.complete, "cut"


def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    answer = asked()
    assert answer.feed(b"HTTP/1.0 500 no\r\n\r\nsorry") == b"sorry" and not answer.complete
    assert answer.feed(b"") == b"" and answer.complete


def test_some_answers_have_no_body() -> None:
    answer = asked()
    assert answer.feed(b"HTTP/1.1 204 No Content\r\n\r\n") == b"" and answer.complete


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: yes\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        CHUNKED + b"xyz\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0x1\r\na\r\n",
        CHUNKED + b"1\r\nab\r\n",
        CHUNKED + b"1\r\na\n\n",
        b"x" * (LONGEST_HEAD + 1),
    ],
)
def test_what_is_no_answer_is_refused(said: bytes) -> None:
    with pytest.raises(ValueError):
        asked().feed(said)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_refused(said: bytes) -> None:
    for beginning in (b"", CHUNKED):
        with contextlib.suppress(ValueError):
            asked().feed(beginning + said)
