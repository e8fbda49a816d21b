"""A request of ours and its answer, from bytes as they arrive: h11, which keeps a kilobyte for each. Pure.

A pod is not trusted: a head has a length that it may not pass, and what is no HTTP/1.1 is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import h11

LONGEST_HEAD = 16 * 1024


class Answer:
    """To a GET. `request` is to be sent; then feed it what comes. `status` is 0 until the head is there.

    Raises `ValueError` for what is no answer; it is over then.
    """

    __slots__ = ("_connection", "complete", "headers", "request", "status")

    def __init__(self, target: str, headers: Mapping[str, str]) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
        asked = h11.Request(method="GET", target=target, headers=list(headers.items()))
        self.request = (self._connection.send(asked) or b"") + (self._connection.send(h11.EndOfMessage()) or b"")
        self.status = 0
        self.headers: dict[str, str] = {}
        """By their names in lower case; of those that come twice the last."""
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """What of the body that is. Without data the connection has ended: `complete` says whether it was time."""
        body = []
        try:
            if not self.complete:
                self._connection.receive_data(data)
            while not self.complete and (event := self._connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self.status = event.status_code
                    self.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    self.complete = True
        except h11.RemoteProtocolError as error:
            if data:
                raise ValueError(str(error)) from None
        return b"".join(body)
