"""Where one control plane keeps its files and listens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubelab import addresses, layout


@dataclass(frozen=True)
class Site:
    """`etcd` and `etcd_peer` are URLs; the API server listens at `address` and `port`."""

    folder: Path
    address: str
    port: int
    etcd: str
    etcd_peer: str

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.jsonl"


# Of the cluster with nodes, of which a machine has one.
MACHINE = Site(layout.STATE, addresses.CONTROL_PLANE, 6443, addresses.ETCD, addresses.ETCD_PEER)
