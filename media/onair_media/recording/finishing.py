"""Making a folder a plain HLS recording, when its broadcast has ended."""

from __future__ import annotations

import asyncio

import msgspec

from onair_media.hls import multivariant_playlist
from onair_media.recording.folder import folder
from onair_media.recording.model import Recording
from onair_media.store import ObjectStore


async def finish_recording(store: ObjectStore, recording: Recording) -> None:
    """Writes playlists and `asset.json`, the last, which says that it is done. May be repeated. Raises `StoreError`.

    On return it all outlives a power cut. Of a broadcast from which nothing can be played there is only `asset.json`.
    """
    recording.end()
    base = folder(recording.id)
    # Megabytes of text after twelve hours: not while viewers and encoders wait.
    playlists, document = await asyncio.to_thread(_render, recording)
    for name, content in playlists.items():
        await store.put(f"{base}{name}", content)
    store.sync_soon(f"{base}{name}" for name in playlists)
    await store.settled()
    await store.put(f"{base}asset.json", document)
    store.sync_soon([f"{base}asset.json"])
    await store.settled()


def _render(recording: Recording) -> tuple[dict[str, bytes], bytes]:
    playlists = {f"{name}.m3u8": _static(recording.id, p.text("VOD")) for name, p in recording.playlists.items()}
    if playlists:
        index = multivariant_playlist(recording.tracks, recording.bandwidth)
        playlists["index.m3u8"] = index.encode()
    return playlists, msgspec.json.encode(recording.document())


def _static(asset_id: str, text: bytes) -> bytes:
    """As it lies in the folder: URIs do not name the folder that they are relative to."""
    own = f"{asset_id}/".encode()
    return text.replace(b"\n" + own, b"\n").replace(b'URI="' + own, b'URI="')
