"""What goes wrong between the operator and an ingest pod, as exceptions."""

from __future__ import annotations

_LONGEST_TEXT = 500


class PodError(Exception):
    """The pod could not be asked, or what it said is of no use."""


class PodUnreachable(PodError):
    """No answer, or half of one: refused, cut, silent for too long, somebody else's certificate.

    What was asked may have been done all the same.
    """


class PodRefused(PodError):
    """The pod says no: `status` is HTTP's, `text` what it says about it, shortened."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = printable(text)
        super().__init__(f"{status}: {self.text}" if self.text else str(status))


class PodNonsense(PodError):
    """The pod does not keep to the contract: no JSON, another type, too long, events that go backwards."""


def printable(text: str) -> str:
    """What a pod says, for logs and messages: one line, not too long."""
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_TEXT]).strip()
