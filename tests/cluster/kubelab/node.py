"""containerd, kubelet and kube-proxy of one node: their command lines and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from kubelab import addresses, layout
from kubelab.addresses import NodeAddresses
from kubelab.control_plane import LEASE_SECONDS, Binary, Command
from kubelab.site import MACHINE

PAUSE_IMAGE = "localhost/onair-test/pause:1"


def home(node: NodeAddresses) -> Path:
    return layout.STATE / node.name


def socket(node: NodeAddresses) -> Path:
    return layout.SOCKETS / f"{node.name}.sock"


def cgroup(node: NodeAddresses) -> str:
    return f"/{layout.CGROUP}/{node.name}"


def ctr(node: NodeAddresses) -> Command:
    """containerd's own client, for the images and containers that the kubelet sees."""
    return ["ctr", "--address", socket(node), "--namespace", "k8s.io"]


def containerd(node: NodeAddresses) -> Command:
    folder = home(node)
    (folder / "cni").mkdir(parents=True)
    (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(cni_network(node)), encoding="utf-8")
    (folder / "containerd.toml").write_text(containerd_configuration(node), encoding="utf-8")
    return [*node.inside, "containerd", "--config", folder / "containerd.toml"]


def cni_network(node: NodeAddresses) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": node.bridge,
        "isGateway": True,
        "ipMasq": False,  # all pods see each other's own addresses; there is nothing outside
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": node.pods, "rangeStart": node.first_pod}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(home(node) / "addresses"),
        },
    }
    return {
        "cniVersion": "1.0.0",
        "name": "onair",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def containerd_configuration(node: NodeAddresses) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE a sandbox cannot have a lower score than containerd.
    # netns_mounts_under_state_dir: so that all mounts of a node are below its folders, and can be found there.
    return f"""\
version = 2
root = "{home(node)}/containerd"
state = "{layout.SOCKETS}/{node.name}"
oom_score = 0

[grpc]
  address = "{socket(node)}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{home(node)}/cni"
"""


def kubelet(node: NodeAddresses, binary: Binary) -> Command:
    folder = home(node)
    # Pods shall not get the machine's search domains: all that they resolve is in the cluster.
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(kubelet_configuration(node)), encoding="utf-8")
    return [
        *node.inside,
        binary("kubelet"),
        f"--config={folder}/kubelet.yaml",
        f"--kubeconfig={MACHINE.pki}/{node.name}.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--root-dir={folder}/kubelet",
    ]


def kubelet_configuration(node: NodeAddresses) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{MACHINE.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{MACHINE.pki}/{node.name}.crt",
        "tlsPrivateKeyFile": f"{MACHINE.pki}/{node.name}.key",
        "rotateCertificates": False,
        "containerRuntimeEndpoint": f"unix://{socket(node)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup(node),
        "makeIPTablesUtilChains": False,  # kube-proxy works with nftables
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDNS": [addresses.CONTROL_PLANE],
        "clusterDomain": addresses.DOMAIN,
        "resolvConf": f"{home(node)}/resolv.conf",
        "podLogsDir": f"{home(node)}/pod-logs",
        "serializeImagePulls": False,
        "maxPods": 250,
        "nodeStatusUpdateFrequency": "5s",
        "nodeLeaseDurationSeconds": LEASE_SECONDS,
        # The machine's disk may be nearly full, and images that were loaded cannot be pulled again.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def proxy(node: NodeAddresses, binary: Binary) -> Command:
    configuration = home(node) / "kube-proxy.yaml"
    configuration.write_text(yaml.safe_dump(proxy_configuration(node)), encoding="utf-8")
    return [*node.inside, binary("kube-proxy"), f"--config={configuration}"]


def proxy_configuration(node: NodeAddresses) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{MACHINE.pki}/kube-proxy.kubeconfig"},
        "mode": "nftables",
        "clusterCIDR": addresses.PODS,
        "hostnameOverride": node.name,
        "oomScoreAdj": 0,
        # The machine's connection tracking is not ours to tune.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
