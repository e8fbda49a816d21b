"""Secrets of `onair local`: the root secret, and Secret objects."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any

from onair_core.identity import ROOT_SECRET_BYTES
from onair_operator.desired.labels import LIVE_STREAM
from onair_operator.desired.naming import stream_key_secret_name
from onair_operator.desired.secrets import STREAM_KEY
from onair_operator.local import durable


class RootSecretError(Exception):
    """The root secret cannot be used; the message says why and what to do."""


def root_secret(folder: Path, *, channels_exist: bool) -> bytes:
    """The installation's root secret, made once with mode 0600. A lost one is never replaced while channels exist.

    An empty file is what a power cut leaves of one that nobody has used: it counts as none.
    """
    file = folder / "root.secret"
    try:
        found = file.read_bytes()
    except FileNotFoundError:
        found = b""
    if not found:
        if channels_exist:
            raise RootSecretError(
                f"{file} is missing or empty, but there are channels: with another one all stream keys and playback "
                "IDs would change. Restore it from a backup, or remove the state folder to begin anew."
            )
        found = secrets.token_bytes(ROOT_SECRET_BYTES)
        durable.replace(file, found, 0o600)
    if len(found) < ROOT_SECRET_BYTES:
        raise RootSecretError(f"{file} has {len(found)} bytes; a root secret has {ROOT_SECRET_BYTES}")
    return found


def stream_key_secret(stream: dict[str, Any], key: str) -> dict[str, Any]:
    """The Secret that holds a generated stream key, as the operator would make it."""
    metadata = stream["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": stream_key_secret_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {LIVE_STREAM: metadata["name"]},
        },
        "type": "Opaque",
        "data": {STREAM_KEY: base64.b64encode(key.encode()).decode()},
    }
