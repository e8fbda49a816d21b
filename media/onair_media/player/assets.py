"""The player page's files, read and compressed once."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

_FOLDER = Path(__file__).parent

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

_OWN = ("player.css", "index.css", "player.js", "offer.js", "engine.js", "controls.js", "icon.svg")
_HLS = "hls.min.js"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "worker-src blob:",  # hls.js demuxes in a worker that it makes of its own source
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""Nothing from other hosts, nothing inline. Framing is allowed: a player page is there to be embedded."""

INDEX_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served. `etag` is quoted, and weak: it stands for both codings."""

    data: bytes
    gzipped: bytes
    content_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class PlayerAssets:
    """All files, and the `version` they have together: it stands in the page's links, so caches may keep them."""

    files: dict[str, Asset]
    version: str
    template: Template
    index_template: Template
    malformed_template: Template

    @property
    def has_hls_js(self) -> bool:
        return _HLS in self.files

    def page(self, playback_id: str, title: str) -> bytes:
        """The page for one playback ID, UTF-8."""
        base = f"/watch/assets/{self.version}"
        script = f'<script data-hls defer src="{base}/{_HLS}"></script>' if self.has_hls_js else ""
        return self.template.substitute(
            title=escape(title or playback_id),
            playback_id=escape(playback_id),
            assets=base,
            hls_script=script,
        ).encode()

    def index(self, *, metrics: bool) -> bytes:
        """The page at `/`, UTF-8. `metrics`: there is something to link to."""
        link = '<li><a href="/metrics">/metrics</a> for Prometheus</li>' if metrics else ""
        return self.index_template.substitute(assets=f"/watch/assets/{self.version}", metrics=link).encode()

    def malformed(self) -> bytes:
        """The page for what cannot be a playback ID, UTF-8."""
        return self.malformed_template.substitute(assets=f"/watch/assets/{self.version}").encode()


@cache
def load() -> PlayerAssets:
    """Read the files that lie beside this module, and hls.js if `vendor` has fetched it."""
    paths = [_FOLDER / name for name in _OWN]
    vendored = _FOLDER / "vendor" / _HLS
    if vendored.is_file():
        paths.append(vendored)
    files = {path.name: _asset(path) for path in paths}
    page, index, malformed = (
        (_FOLDER / name).read_text(encoding="utf-8") for name in ("page.html", "index.html", "malformed.html")
    )
    together = sha256(page.encode())
    for name in sorted(files):
        together.update(name.encode() + files[name].data)
    version = "v" + together.hexdigest()[:12]
    return PlayerAssets(files, version, Template(page), Template(index), Template(malformed))


def _asset(path: Path) -> Asset:
    data = path.read_bytes()
    etag = f'W/"{sha256(data).hexdigest()[:20]}"'
    return Asset(data, gzip.compress(data, mtime=0), _TYPES[path.suffix], etag)
