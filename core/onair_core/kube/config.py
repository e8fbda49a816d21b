"""Which API server this process speaks to, in the order that other programs of Kubernetes have:

1. the kubeconfig it was told, 2. `$KUBECONFIG`, 3. the pod it runs in, 4. `~/.kube/config`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onair_core.kube.errors import LoginError
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.kube.login import Login, Source, tls_context

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The kubelet writes another token when a fifth of its hour is left; Kubernetes' own clients look as often.
TOKEN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class InCluster:
    """The service account of the pod. Token and authority are read again for each login, since both rotate."""

    host: str
    port: str
    folder: Path = SERVICE_ACCOUNT

    async def login(self) -> Login:
        try:
            token = (self.folder / "token").read_text(encoding="ascii").strip()
            authority = (self.folder / "ca.crt").read_bytes()
            namespace = (self.folder / "namespace").read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise LoginError(f"the pod's service account cannot be read: {error}") from error
        host = f"[{self.host}]" if ":" in self.host else self.host
        return Login(
            server=f"https://{host}:{self.port}",
            tls=tls_context(authority),
            authorization=f"Bearer {token}",
            namespace=namespace,
            good_for=TOKEN_SECONDS,
        )


def find(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Source:
    """The first of the above that there is. Raises `LoginError` when there is none."""
    if kubeconfig is not None:
        return Kubeconfig((kubeconfig,), context)
    listed = [Path(name) for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    if listed:
        return Kubeconfig(tuple(listed), context)
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if host and port and (service_account / "token").exists():
        return InCluster(host, port, service_account)
    usual = Path(environment.get("HOME") or Path.home()) / ".kube" / "config"
    if usual.exists():
        return Kubeconfig((usual,), context)
    raise LoginError(f"no cluster: no --kubeconfig, no $KUBECONFIG, not in a pod, and {usual} does not exist")
