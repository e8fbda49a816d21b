"""Secrets of `onair local`: the root secret, and Secret objects."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Any

from onair_core.identity import ROOT_SECRET_BYTES


class RootSecretError(Exception):
    """The root secret cannot be used; the message says why and what to do."""


def root_secret(folder: Path, *, channels_exist: bool) -> bytes:
    """The installation's root secret, made once with mode 0600. A lost one is never replaced while channels exist."""
    file = folder / "root.secret"
    try:
        found = file.read_bytes()
    except FileNotFoundError:
        if channels_exist:
            raise RootSecretError(
                f"{file} is missing, but there are channels: with another one all stream keys and playback IDs would "
                "change. Restore it from a backup, or remove the state folder to begin anew."
            ) from None
        found = secrets.token_bytes(ROOT_SECRET_BYTES)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(found)
            opened.flush()
            os.fsync(opened.fileno())
    if len(found) < ROOT_SECRET_BYTES:
        raise RootSecretError(f"{file} has {len(found)} bytes; a root secret has {ROOT_SECRET_BYTES}")
    return found


def secret_value(secret: dict[str, Any] | None, key: str) -> bytes | None:
    """One value of a Secret object; None when it or the key is missing."""
    text = (secret or {}).get("data", {}).get(key)
    return None if text is None else base64.b64decode(text)


def stream_key_secret(stream: dict[str, Any], key: str) -> dict[str, Any]:
    """The Secret that holds a generated stream key, as the operator would make it."""
    metadata = stream["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"{metadata['name']}-stream-key",
            "namespace": metadata["namespace"],
            "labels": {"onair.dev/live-stream": metadata["name"]} if len(metadata["name"]) <= 63 else {},
        },
        "type": "Opaque",
        "data": {"streamKey": base64.b64encode(key.encode()).decode()},
    }
