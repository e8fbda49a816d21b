"""etcd and a kube-apiserver that can be killed and started again, from the binaries that `make cluster-up` has built.

No TLS authority, and one token that may do everything. It is for what only a real API server does.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from free_ports import free_ports
from onair_core.kube.client import Client, Selection
from onair_core.kube.errors import KubeError
from onair_core.kube.login import Fixed, Login, tls_context
from onair_core.kube.resources import NAMESPACES

TOKEN = "all-powerful-for-a-test"


def binaries() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onair" / "cluster" / "bin"
    for folder in sorted(cache.glob("kubernetes-*")):
        if all((folder / name).exists() for name in ("etcd", "kube-apiserver")):
            return folder
    pytest.skip(f"no etcd and kube-apiserver below {cache}: make cluster-up builds them")


class RealApiServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binaries = binaries()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._etcd, self._etcd_peers, self._port = free_ports(3)
        key = ec.generate_private_key(ec.SECP256R1())
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        (folder / "sa.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain))
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        self.login = Fixed(
            Login(
                server=f"https://127.0.0.1:{self._port}",
                tls=tls_context(None, verify=False),
                authorization=f"Bearer {TOKEN}",
            )
        )

    def start_etcd(self) -> None:
        clients, peers = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._etcd_peers}"
        self._start(
            "etcd",
            f"--data-dir={self._folder}/etcd",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        )

    async def start(self) -> None:
        """Waits until it answers."""
        self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self._folder}/certificates",
            f"--token-auth-file={self._folder}/tokens.csv",
            f"--service-account-key-file={self._folder}/sa.key",
            f"--service-account-signing-key-file={self._folder}/sa.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.199.0.0/24",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
        )
        async with Client(self.login) as client:
            while True:
                assert self._running["kube-apiserver"].poll() is None, f"it has ended, see {self._folder}"
                try:
                    found = await client.list_all(Selection(NAMESPACES))
                except KubeError:
                    await asyncio.sleep(0.2)
                    continue
                if any(item["metadata"]["name"] == "default" for item in found.items):
                    return

    def kill(self, name: str = "kube-apiserver") -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def kill_all(self) -> None:
        for name in list(self._running):
            self.kill(name)

    def _start(self, name: str, *flags: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [self._binaries / name, *flags], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )


@asynccontextmanager
async def real_api_server(folder: Path) -> AsyncIterator[RealApiServer]:
    server = RealApiServer(folder)
    try:
        server.start_etcd()
        await server.start()
        yield server
    finally:
        server.kill_all()
