"""Where a stream is published: by its name in a state folder, which is read anew each time, or by a URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from onair_core.local_state import LocalState, LocalStateError
from onair_core.playback.paths import watch_page
from onair_media.push.publisher import NoTargetError, Target


def of_stream(state: LocalState, namespace: str, name: str) -> Target:
    """Where the process that runs takes this stream. Raises `NoTargetError`."""
    try:
        key = state.stream_key(state.stream(namespace, name))
        address = f"{state.endpoint().rtmp}/app"
    except LocalStateError as error:
        raise NoTargetError(str(error)) from error
    return Target(address, f"{address}/{key}")


def of_url(url: str) -> Target:
    """An address with application and stream key."""
    parts = urlsplit(url)
    application = parts.path.lstrip("/").partition("/")[0]
    return Target(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{application}", url)


def watch_pages(state: LocalState, namespace: str, name: str) -> list[str]:
    """Where a browser plays a stream."""
    stream = state.read("LiveStream", namespace, name) or {}
    return [watch_page(entry["url"]) for entry in stream.get("status", {}).get("playback", [])]
