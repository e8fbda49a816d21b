"""What goes wrong between a client and the API server, as exceptions.

Everything is a `KubeError`. `Unreachable` means that nobody knows what the API server did; an `ApiError` is its answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_MANAGER = re.compile(r'conflict with "([^"]*)"')


class KubeError(Exception):
    """The API server could not be asked, or said no."""


class LoginError(KubeError):
    """There is no usable configuration or credential; the message says where it was looked for."""


class Unreachable(KubeError):
    """No answer, or half of one: refused, cut, silent for too long. A write may have happened all the same."""


class Silent(Unreachable):
    """A watch says nothing: it is cut, or nothing happens and the API server sends no bookmarks."""


class NotLeading(KubeError):
    """A write was not sent: this process may not write any longer."""


class ApiError(KubeError):
    """An answer of 400 and above.

    `reason` is Kubernetes' name for it (`AlreadyExists`, `Expired`, …) or empty, `retry_after` is in seconds.
    """

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any], retry_after: float | None):
        super().__init__(f"{code} {reason}: {message}" if reason else f"{code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after


class BadRequest(ApiError):
    """400: it makes no sense to the API server, or an admission webhook refuses it (some say that so)."""


class Unauthorized(ApiError):
    """401: the credential is not, or no longer, known."""


class Forbidden(ApiError):
    """403: RBAC or an admission plugin refuses it."""


class NotFound(ApiError):
    """404: no such object, or no such resource (a CRD that is not installed)."""


class Conflict(ApiError):
    """409: the object is another one than the writer thought."""

    @property
    def managers(self) -> tuple[str, ...]:
        """The field managers that own what a server-side apply without force wanted to change."""
        causes = self.details.get("causes") or ()
        found = (_MANAGER.search(cause.get("message", "")) for cause in causes)
        return tuple(dict.fromkeys(match[1] for match in found if match))


class AlreadyExists(Conflict):
    """409: create, and there is one."""


class Gone(ApiError):
    """410: that resourceVersion, or that continuation of a list, is too old."""


class Invalid(ApiError):
    """422: schema or CEL rules refuse it."""


class TooManyRequests(ApiError):
    """429: not done; `retry_after` says when to come again. An eviction that a budget refuses, too."""


class Unavailable(ApiError):
    """5xx: the API server, etcd or a webhook behind it is in trouble."""


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def api_error(code: int, status: object, retry_after: str | None = None) -> ApiError:
    """From an answer's code, body (a `Status` object, or whatever a proxy sent) and Retry-After header."""
    fields: Mapping[str, Any] = status if isinstance(status, dict) else {}
    reason, details = str(fields.get("reason") or ""), fields.get("details") or {}
    message = str(fields.get("message") or (status if isinstance(status, str) else ""))[:1000]
    kind = _BY_CODE.get(code, Unavailable if code >= 500 else ApiError)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    return kind(code, reason, message, details, _seconds(retry_after, details.get("retryAfterSeconds")))


def _seconds(header: str | None, details: object) -> float | None:
    # The header may also be a date; the API server never sends one.
    if header is not None and header.isascii() and header.isdigit():
        return float(header)
    return float(details) if isinstance(details, int) and details > 0 else None


REFUSALS = (BadRequest, Forbidden, Invalid)
"""The API server says no, and will say so again: to what it is, or to whose it is."""
