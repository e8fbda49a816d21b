"""versitygw: an S3 server over a folder, as a process that tests stop and start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from onair_core.contract import StoreSettings

ACCESS_KEY, SECRET_KEY = "recorder", "recorder-secret-key"
BUCKET = "recordings"
START_SECONDS = 20.0


class S3Server:
    """`folder` has the buckets; what is in `folder/recordings` are the objects of the bucket, as files."""

    def __init__(self, binary: Path, folder: Path, host: str = "127.0.0.1") -> None:
        self._binary = binary
        self._host = host
        with socket.socket() as free:
            free.bind((host, 0))
            self.port: int = free.getsockname()[1]
        self.folder = folder / "buckets"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / BUCKET).mkdir(parents=True)

    @property
    def endpoint(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def settings(self) -> StoreSettings:
        return StoreSettings(url=f"s3://{BUCKET}/onair", endpoint=self.endpoint, region="us-east-1")

    @property
    def credentials(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

    @property
    def objects(self) -> list[str]:
        """The keys below `onair/`."""
        root = self.folder / BUCKET / "onair"
        return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())

    def start(self) -> None:
        environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "--port", f"{self._host}:{self.port}", "--quiet", "posix", self.folder],
                env=environment,
                stdout=log,
                stderr=log,
            )
        began = time.monotonic()
        while True:
            assert self._process.poll() is None, self._log.read_text()
            try:
                socket.create_connection((self._host, self.port), 1).close()
            except OSError:
                assert time.monotonic() - began < START_SECONDS, self._log.read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """As if it was never there: connections are refused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
