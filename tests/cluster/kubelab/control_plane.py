"""etcd, API server, controllers and scheduler: their command lines and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from kubelab import addresses, layout, pki

PKI = layout.STATE / "pki"
AUDIT_POLICY = layout.STATE / "audit-policy.yaml"

# Without the latter, a missing permission to set finalizers would show on OpenShift only.
ADMISSION = ("NodeRestriction", "OwnerReferencesPermissionEnforcement")

# A node that has not been heard of for so long is NotReady. Its lease is renewed four times in that span.
NODE_GRACE_SECONDS = 20
LEASE_SECONDS = 20

Command = list[str | Path]
Binary = Callable[[str], Path]


def credentials() -> None:
    """Writes certificates, keys and kubeconfigs."""
    authority, front_proxy = pki.Authority("onair-test"), pki.Authority("onair-test-front-proxy")
    authority.pair.write(PKI, "ca")
    front_proxy.pair.write(PKI, "front-proxy-ca")
    service = "kubernetes.default.svc"
    names = ["kubernetes", "kubernetes.default", service, f"{service}.{addresses.DOMAIN}", "localhost"]
    names += ["127.0.0.1", addresses.KUBERNETES_SERVICE, addresses.CONTROL_PLANE]
    authority.issue("kube-apiserver", server_names=names).write(PKI, "apiserver")
    authority.issue("apiserver-kubelet-client", "system:masters").write(PKI, "apiserver-kubelet-client")
    front_proxy.issue("front-proxy-client").write(PKI, "front-proxy-client")
    private, public = pki.signing_pair()
    pki.write_secret(PKI / "service-accounts.key", private)
    (PKI / "service-accounts.pub").write_bytes(public)

    def access(file: Path, client: pki.Pair) -> None:
        pki.write_secret(file, pki.kubeconfig(addresses.API_SERVER, authority.pair.certificate, client))

    access(layout.KUBECONFIG, authority.issue("admin", "system:masters"))
    access(PKI / "coredns.kubeconfig", authority.issue("coredns", "system:masters"))
    for component in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        access(PKI / f"{component}.kubeconfig", authority.issue(f"system:{component}"))
    for node in addresses.NODES.values():
        pair = authority.issue(f"system:node:{node.name}", "system:nodes", [node.name, node.address])
        pair.write(PKI, node.name)
        access(PKI / f"{node.name}.kubeconfig", pair)


def etcd(binary: Binary) -> Command:
    return [
        binary("etcd"),
        "--name=onair",
        f"--data-dir={layout.STATE}/etcd",
        f"--listen-client-urls={addresses.ETCD}",
        f"--advertise-client-urls={addresses.ETCD}",
        f"--listen-peer-urls={addresses.ETCD_PEER}",
        f"--initial-advertise-peer-urls={addresses.ETCD_PEER}",
        f"--initial-cluster=onair={addresses.ETCD_PEER}",
        "--unsafe-no-fsync",  # what it holds need not outlive the machine
        "--quota-backend-bytes=8589934592",
    ]


def api_server(binary: Binary) -> Command:
    AUDIT_POLICY.write_text(yaml.safe_dump(audit_policy()), encoding="utf-8")
    return [binary("kube-apiserver"), *api_server_flags()]


def api_server_flags() -> list[str]:
    return [
        f"--etcd-servers={addresses.ETCD}",
        f"--bind-address={addresses.CONTROL_PLANE}",
        f"--advertise-address={addresses.CONTROL_PLANE}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={addresses.SERVICES}",
        "--authorization-mode=Node,RBAC",
        f"--enable-admission-plugins={','.join(ADMISSION)}",
        "--allow-privileged=true",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--service-account-issuer=https://kubernetes.default.svc.{addresses.DOMAIN}",
        f"--service-account-key-file={PKI}/service-accounts.pub",
        f"--service-account-signing-key-file={PKI}/service-accounts.key",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={PKI}/front-proxy-client.crt",
        f"--proxy-client-key-file={PKI}/front-proxy-client.key",
        f"--audit-policy-file={AUDIT_POLICY}",
        f"--audit-log-path={layout.AUDIT_LOG}",
        "--audit-log-maxsize=500",
    ]


def audit_policy() -> dict[str, object]:
    """Who did what to which object, without contents; the cluster's own components are left out."""
    components = ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": [*components, "coredns"]},
            {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
            {"level": "Metadata"},
        ],
    }


def controller_manager(binary: Binary) -> Command:
    access = PKI / "kube-controller-manager.kubeconfig"
    return [
        binary("kube-controller-manager"),
        f"--kubeconfig={access}",
        f"--authentication-kubeconfig={access}",
        f"--authorization-kubeconfig={access}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={PKI}/ca.crt",
        f"--service-account-private-key-file={PKI}/service-accounts.key",
        f"--cluster-signing-cert-file={PKI}/ca.crt",
        f"--cluster-signing-key-file={PKI}/ca.key",
        "--allocate-node-cidrs=false",  # each node is told its own
        f"--cluster-cidr={addresses.PODS}",
        f"--service-cluster-ip-range={addresses.SERVICES}",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={NODE_GRACE_SECONDS}s",
    ]


def scheduler(binary: Binary) -> Command:
    access = PKI / "kube-scheduler.kubeconfig"
    configuration = layout.STATE / "kube-scheduler.yaml"
    content = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(access)},
        "leaderElection": {"leaderElect": False},
    }
    configuration.write_text(yaml.safe_dump(content), encoding="utf-8")
    return [
        binary("kube-scheduler"),
        f"--config={configuration}",
        f"--authentication-kubeconfig={access}",
        f"--authorization-kubeconfig={access}",
        "--bind-address=127.0.0.1",
    ]
