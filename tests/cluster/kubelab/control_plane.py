"""etcd, API server, controllers and scheduler: their command lines and files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from kubelab import addresses, pki
from kubelab.addresses import NodeAddresses
from kubelab.site import Site

# Without the latter, a missing permission to set finalizers would show on OpenShift only.
ADMISSION = ("NodeRestriction", "OwnerReferencesPermissionEnforcement")

# A node that has not been heard of for so long is NotReady. Its lease is renewed four times in that span.
NODE_GRACE_SECONDS = 20
LEASE_SECONDS = 20

# Nobody asks them, and there may be several control planes on a machine.
NOTHING_SERVED = "--secure-port=0"

Command = list[str | Path]
Binary = Callable[[str], Path]


def credentials(site: Site, nodes: Iterable[NodeAddresses] = ()) -> None:
    """Writes certificates, keys and kubeconfigs."""
    authority, front_proxy = pki.Authority("onair-test"), pki.Authority("onair-test-front-proxy")
    authority.pair.write(site.pki, "ca")
    front_proxy.pair.write(site.pki, "front-proxy-ca")
    service = "kubernetes.default.svc"
    names = ["kubernetes", "kubernetes.default", service, f"{service}.{addresses.DOMAIN}", "localhost"]
    names += ["127.0.0.1", addresses.KUBERNETES_SERVICE, site.address]
    authority.issue("kube-apiserver", server_names=names).write(site.pki, "apiserver")
    authority.issue("apiserver-kubelet-client", "system:masters").write(site.pki, "apiserver-kubelet-client")
    front_proxy.issue("front-proxy-client").write(site.pki, "front-proxy-client")
    private, public = pki.signing_pair()
    pki.write_secret(site.pki / "service-accounts.key", private)
    (site.pki / "service-accounts.pub").write_bytes(public)

    def access(file: Path, client: pki.Pair) -> None:
        pki.write_secret(file, pki.kubeconfig(site.server, authority.pair.certificate, client))

    admin = authority.issue("admin", "system:masters")
    admin.write(site.pki, "admin")
    access(site.kubeconfig, admin)
    access(site.pki / "coredns.kubeconfig", authority.issue("coredns", "system:masters"))
    access(site.pki / "kwok.kubeconfig", authority.issue("kwok", "system:masters"))
    for component in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        access(site.pki / f"{component}.kubeconfig", authority.issue(f"system:{component}"))
    for node in nodes:
        pair = authority.issue(f"system:node:{node.name}", "system:nodes", [node.name, node.address])
        pair.write(site.pki, node.name)
        access(site.pki / f"{node.name}.kubeconfig", pair)


def etcd(binary: Binary, site: Site) -> Command:
    return [
        binary("etcd"),
        "--name=onair",
        f"--data-dir={site.folder}/etcd",
        f"--listen-client-urls={site.etcd}",
        f"--advertise-client-urls={site.etcd}",
        f"--listen-peer-urls={site.etcd_peer}",
        f"--initial-advertise-peer-urls={site.etcd_peer}",
        f"--initial-cluster=onair={site.etcd_peer}",
        "--watch-progress-notify-interval=5s",  # as kubeadm has it: without it, watches of what is quiet hear nothing
        "--unsafe-no-fsync",  # what it holds need not outlive the machine
        "--quota-backend-bytes=8589934592",
    ]


def api_server(binary: Binary, site: Site, *more: str) -> Command:
    _audit_policy(site).write_text(yaml.safe_dump(audit_policy()), encoding="utf-8")
    return [binary("kube-apiserver"), *api_server_flags(site), *more]


def api_server_flags(site: Site) -> list[str]:
    return [
        f"--etcd-servers={site.etcd}",
        f"--bind-address={site.address}",
        f"--advertise-address={addresses.CONTROL_PLANE}",
        f"--secure-port={site.port}",
        f"--service-cluster-ip-range={addresses.SERVICES}",
        "--authorization-mode=Node,RBAC",
        f"--enable-admission-plugins={','.join(ADMISSION)}",
        "--allow-privileged=true",
        f"--client-ca-file={site.pki}/ca.crt",
        f"--tls-cert-file={site.pki}/apiserver.crt",
        f"--tls-private-key-file={site.pki}/apiserver.key",
        f"--service-account-issuer=https://kubernetes.default.svc.{addresses.DOMAIN}",
        f"--service-account-key-file={site.pki}/service-accounts.pub",
        f"--service-account-signing-key-file={site.pki}/service-accounts.key",
        f"--kubelet-client-certificate={site.pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={site.pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={site.pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={site.pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={site.pki}/front-proxy-client.key",
        f"--audit-policy-file={_audit_policy(site)}",
        f"--audit-log-path={site.audit_log}",
        "--audit-log-maxsize=500",
    ]


def _audit_policy(site: Site) -> Path:
    return site.folder / "audit-policy.yaml"


def audit_policy() -> dict[str, object]:
    """Who did what to which object, without contents; the cluster's own components are left out."""
    components = ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": [*components, "coredns", "kwok"]},
            {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
            {"level": "Metadata"},
        ],
    }


def controller_manager(binary: Binary, site: Site) -> Command:
    access = site.pki / "kube-controller-manager.kubeconfig"
    return [
        binary("kube-controller-manager"),
        f"--kubeconfig={access}",
        f"--authentication-kubeconfig={access}",
        f"--authorization-kubeconfig={access}",
        NOTHING_SERVED,
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={site.pki}/ca.crt",
        f"--service-account-private-key-file={site.pki}/service-accounts.key",
        f"--cluster-signing-cert-file={site.pki}/ca.crt",
        f"--cluster-signing-key-file={site.pki}/ca.key",
        "--allocate-node-cidrs=false",  # each node is told its own
        f"--cluster-cidr={addresses.PODS}",
        f"--service-cluster-ip-range={addresses.SERVICES}",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={NODE_GRACE_SECONDS}s",
    ]


def scheduler(binary: Binary, site: Site, requests_per_second: int | None = None) -> Command:
    access = site.pki / "kube-scheduler.kubeconfig"
    configuration = site.folder / "kube-scheduler.yaml"
    rate = {} if requests_per_second is None else {"qps": requests_per_second, "burst": 2 * requests_per_second}
    content = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(access)} | rate,
        "leaderElection": {"leaderElect": False},
    }
    configuration.write_text(yaml.safe_dump(content), encoding="utf-8")
    return [
        binary("kube-scheduler"),
        f"--config={configuration}",
        f"--authentication-kubeconfig={access}",
        f"--authorization-kubeconfig={access}",
        NOTHING_SERVED,
    ]


def requests(site: Site, user: str) -> list[dict[str, Any]]:
    """What that user asked of the API server so far: events of the audit log (audit.k8s.io/v1)."""
    lines = site.audit_log.read_text(encoding="utf-8").splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be half written
    return [event for event in events if event["user"]["username"] == user]
