"""The addresses that status shows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from onair_core.manifests import LiveStreamClassSpec


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where this process listens, as others reach it; `…_everywhere`: on all of this machine's addresses."""

    rtmp_host: str
    rtmp_port: int
    http_host: str
    http_port: int
    rtmp_everywhere: bool = False
    http_everywhere: bool = False

    @property
    def http(self) -> str:
        return f"http://{_bracketed(self.http_host)}:{self.http_port}"

    def ingest(self, scheme: str, cls: LiveStreamClassSpec | None = None) -> str:
        """`rtmp` or `rtmps`, with the application, without a stream key."""
        host = (cls.ingest.hostname if cls else None) or _bracketed(self.rtmp_host)
        return f"{scheme}://{host}:{self.rtmp_port}/app"

    def playback(self, playback_id: str, cls: LiveStreamClassSpec | None = None) -> str:
        """The HLS address of a playback ID."""
        base = f"https://{cls.playback.hostnames[0]}" if cls and cls.playback.hostnames else self.http
        return f"{base}/{playback_id}.m3u8"


def reachable(host: str) -> str:
    """An address to connect to, for one to listen on."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def is_everywhere(host: str) -> bool:
    """Whether listening there is listening on all interfaces."""
    return reachable(host) != host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
