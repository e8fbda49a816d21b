"""What the children are called: at most 63 characters, for the at most 50 of a LiveStream's name."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256

_SUFFIX_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a stream's ingest pod: `number` counts them, upwards from 1; `uid` is the stream's."""

    uid: str
    number: int

    @property
    def suffix(self) -> str:
        """8 characters of a-z 2-7: another for every number, and for a stream of the same name made anew."""
        digest = sha256(f"{self.uid}/{self.number}".encode()).digest()
        return base64.b32encode(digest).decode().lower()[:_SUFFIX_LENGTH]


def pod_name(stream: str, incarnation: Incarnation) -> str:
    """An incarnation's pod, and the Secret that it alone mounts."""
    return f"{stream}-{incarnation.suffix}"


def service_name(stream: str) -> str:
    return f"{stream}-ingest"


def network_policy_name(stream: str) -> str:
    return f"{stream}-ingest"


def volume_claim_name(stream: str) -> str:
    return f"{stream}-data"


def stream_key_secret_name(stream: str) -> str:
    """The Secret that a generated stream key is kept in."""
    return f"{stream}-stream-key"


def certificate_secret_name(stream: str) -> str:
    """The copy of its class's certificate."""
    return f"{stream}-rtmps"


def store_secret_name(stream: str) -> str:
    """The copy of its class's credentials for the store."""
    return f"{stream}-store"
