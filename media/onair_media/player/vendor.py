"""Fetch hls.js for the player page at build time: `python -m onair_media.player.vendor [--force]`.

npm gets the package from whatever registry it is set up with; the file is kept only if it is byte for byte the
pinned release. Without npm the page plays with the browser's own HLS player, where there is one.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.7.4"
INTEGRITY = "sha512-3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg=="
VENDOR_DIR = Path(__file__).parent / "vendor"

_WANTED = {"package/dist/hls.min.js": "hls.min.js", "package/LICENSE": "hls.js.LICENSE"}


class VendorError(Exception):
    """What keeps hls.js from being fetched, for the person who builds."""


def vendored() -> bool:
    """Whether the pinned hls.js is there."""
    stamp = VENDOR_DIR / "version.json"
    return stamp.is_file() and json.loads(stamp.read_text()) == {"hls.js": VERSION, "integrity": INTEGRITY}


def vendor() -> Path:
    """Fetch, check and unpack hls.js into `vendor/`. Raises VendorError."""
    npm = shutil.which("npm")
    if npm is None:
        raise VendorError("npm is not installed; the player page will rely on the browser's own HLS player")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"hls.js@{VERSION}", "--silent", "--pack-destination", folder]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            raise VendorError(f"npm pack hls.js@{VERSION} failed: {done.stderr.strip()[-500:]}")
        archive = archives[0].read_bytes()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if digest != INTEGRITY:
        raise VendorError(f"hls.js {VERSION}: expected {INTEGRITY}, got {digest}")
    _unpack(archive)
    return VENDOR_DIR


def _unpack(archive: bytes) -> None:
    VENDOR_DIR.mkdir(exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member, name in _WANTED.items():
            source = tar.extractfile(member)
            if source is None:
                raise VendorError(f"hls.js {VERSION} has no {member}")
            # The source map is not served, so the reference to it would only make developer tools complain.
            data = source.read().replace(b"\n//# sourceMappingURL=hls.min.js.map", b"")
            (VENDOR_DIR / name).write_bytes(data)
    stamp = {"hls.js": VERSION, "integrity": INTEGRITY}
    (VENDOR_DIR / "version.json").write_text(json.dumps(stamp) + "\n")


def main(arguments: list[str]) -> int:
    """Exit status 0 when hls.js is there in the end."""
    if vendored() and "--force" not in arguments:
        return 0
    try:
        folder = vendor()
    except VendorError as error:
        print(f"hls.js: {error}", file=sys.stderr)
        return 1
    print(f"hls.js {VERSION} is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
