"""Identity as a function of Git and one root secret: playback IDs, stream keys, fingerprints, access to pods.

Everything is HMAC-SHA256 of the root secret over a purpose and the parts it is about, each with its length before
it, so that no two different inputs run together. What is rebuilt from the same manifests and the same root secret
has the same URLs and keys.

| what | over | looks like |
|---|---|---|
| playback ID | namespace, stream, entry | 24 characters of a-z 2-7, 120 bits |
| stream key | namespace, stream, rotation | 40 characters of a-z 2-7, 200 bits |
| asset playback ID | namespace, asset, entry | 24 characters of a-z 2-7 |
| control token | uid of the stream, number of its ingest pod | 40 characters of a-z 2-7 |
| control key | the same | 32 bytes, the seed of an Ed25519 key |
| fingerprint key | nothing | 32 bytes, the only thing edges get |
| fingerprint | the stream key, with the fingerprint key | 32 hexadecimal digits |
"""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256

ROOT_SECRET_BYTES = 32
MIN_STREAM_KEY_LENGTH = 20


def _derive(root: bytes, purpose: str, *parts: str) -> bytes:
    if len(root) < ROOT_SECRET_BYTES:
        raise ValueError(f"a root secret has at least {ROOT_SECRET_BYTES} bytes")
    message = b"".join(len(part := text.encode()).to_bytes(4, "big") + part for text in (f"onair/v1/{purpose}", *parts))
    return hmac.digest(root, message, sha256)


def _text(digest: bytes, bits: int) -> str:
    return base64.b32encode(digest[: bits // 8]).decode().lower().rstrip("=")


def playback_id(root: bytes, namespace: str, stream: str, entry: str) -> str:
    """The playback ID of a LiveStream's entry that names none of its own."""
    return _text(_derive(root, "playback-id", namespace, stream, entry), 120)


def stream_key(root: bytes, namespace: str, stream: str, rotation: str) -> str:
    """The generated stream key; another `rotation` gives another key."""
    return _text(_derive(root, "stream-key", namespace, stream, rotation), 200)


def asset_playback_id(root: bytes, namespace: str, asset: str, entry: str) -> str:
    """The playback ID of a recording's entry."""
    return _text(_derive(root, "asset-playback-id", namespace, asset, entry), 120)


def control_token(root: bytes, uid: str, number: int) -> str:
    """What the operator shows an ingest pod's control port."""
    return _text(_derive(root, "control-token", uid, str(number)), 200)


def control_key(root: bytes, uid: str, number: int) -> bytes:
    """The seed of the key that an ingest pod's control port proves itself with."""
    return _derive(root, "control-key", uid, str(number))


def own_stream_key(value: bytes) -> str:
    """The stream key that a Secret of the user holds; a line's end behind it does not count.

    Raises `ValueError` when no encoder could use it; its message follows "the stream key".
    """
    try:
        text = value.decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if len(text) < MIN_STREAM_KEY_LENGTH or any(c.isspace() or c in "/?#&" for c in text):
        raise ValueError(f"must have at least {MIN_STREAM_KEY_LENGTH} ASCII characters, without spaces and / ? # &")
    return text


def fingerprint_key(root: bytes) -> bytes:
    """What edges get, to recognise stream keys that they cannot derive."""
    return _derive(root, "fingerprint-key")


def fingerprint(key: bytes, stream_key: str) -> str:
    """By which a stream key is recognised: `key` is the `fingerprint_key`."""
    return hmac.digest(key, stream_key.encode(), sha256).hex()[:32]
