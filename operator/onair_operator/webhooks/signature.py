"""`Mux-Signature`: an HMAC over time and body, made and checked.

`t=<Unix seconds>,v1=<lowercase hex HMAC-SHA256 of "<t>.<body>">`, without spaces; while a secret is being
replaced there is one `v1` for each. Receivers refuse what is older than five minutes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

HEADERS = ("Mux-Signature", "OnAir-Signature")
TOLERANCE_SECONDS = 300


def sign(body: bytes, secrets: Sequence[bytes], at: int) -> str:
    """The header's value. Raises `ValueError` without secrets: an unsigned webhook is never sent."""
    if not secrets or not all(secrets):
        raise ValueError("a webhook endpoint needs at least one secret, and none may be empty")
    return ",".join([f"t={at}", *(f"v1={_digest(body, secret, str(at))}" for secret in secrets)])


def verify(body: bytes, header: str, secrets: Sequence[bytes], now: float) -> str | None:
    """None when any secret made this header within the tolerance, else what is wrong with it."""
    pairs = [part.partition("=") for part in header.split(",")]
    at = next((value for name, _, value in pairs if name.strip() == "t"), "")
    signatures = [value.strip() for name, _, value in pairs if name.strip() == "v1"]
    if not at.isdecimal() or not at.isascii() or not signatures:
        return "not of the form t=…,v1=…"
    expected = [_digest(body, secret, at) for secret in secrets]
    # Bytes, as compare_digest refuses strings that are not ASCII; every pair, so that time tells nothing.
    matches = [hmac.compare_digest(e.encode(), s.encode("utf-8", "replace")) for e in expected for s in signatures]
    if not any(matches):
        return "no signature matches the secret"
    if now - int(at) > TOLERANCE_SECONDS:
        return f"older than {TOLERANCE_SECONDS} seconds"
    return None


def _digest(body: bytes, secret: bytes, at: str) -> str:
    return hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
