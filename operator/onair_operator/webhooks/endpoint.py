"""A webhook endpoint as the deliverer sees it, and what it tells about one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onair_operator.webhooks.filters import LabelSelector, wants

_EVERYTHING = LabelSelector()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One WebhookEndpoint with its secrets resolved.

    `uid` names its delivery cursors: an endpoint that is made anew is another one. `revision` is another one
    after every change of spec or secret, and shows nothing of them. Events recorded before `created_at` (Unix
    seconds) are not sent to it. `events` are patterns, none means all. URL and secrets stay out of `repr`: a
    URL may hold a token.
    """

    uid: str
    revision: str
    namespace: str
    name: str
    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    created_at: float
    events: tuple[str, ...] = ()
    selector: LabelSelector = _EVERYTHING
    suspended: bool = False

    @property
    def waits(self) -> bool:
        """Whether its events wait for something to be changed: suspended, or without a secret to sign with."""
        return self.suspended or not self.secrets

    def wants(self, event_type: str, labels: Mapping[str, str]) -> bool:
        """Whether an event of this type, of a subject with these labels, goes to this endpoint."""
        return self.selector.matches(labels) and wants(self.events, event_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The newest try that failed. `code` is the HTTP status, None without an answer; `excerpt` begins the
    answer.
    """

    at: float
    code: int | None
    problem: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """How an endpoint fares. `failures` counts tries since the last success, over the subjects where it fails;
    `pending` events.
    """

    last_success_at: float | None = None
    last_failure: Failure | None = None
    failures: int = 0
    pending: int = 0
