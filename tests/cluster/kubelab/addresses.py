"""The addresses of a cluster: none of them is seen outside of the machine."""

from __future__ import annotations

from dataclasses import dataclass

PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
DOMAIN = "cluster.local"

# The bridge of the first node carries the API server and the DNS server: Endpoints may not be loopback addresses.
CONTROL_PLANE = "10.244.0.1"
ETCD = "http://127.0.0.1:23790"
ETCD_PEER = "http://127.0.0.1:23800"
DNS_READY = f"{CONTROL_PLANE}:8181"


@dataclass(frozen=True)
class NodeAddresses:
    """Of one node.

    Attributes:
        address: of the node.
        bridge, pods, first_pod: its pods hang on this bridge, with addresses of this range from the first on.
        namespace: its network namespace; None: the machine's own, which is joined with the other by a veth pair
            (`link` here, `far_link` there, with `gateway` at this end).
    """

    name: str
    address: str
    pods: str
    bridge_address: str
    first_pod: str
    bridge: str = "onair0"
    namespace: str | None = None
    link: str = ""
    far_link: str = ""
    gateway: str = ""

    @property
    def inside(self) -> list[str]:
        """Put before a command that shall see this node's network. (`ip netns exec` would hide /sys/fs/cgroup.)"""
        return ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []


FIRST = NodeAddresses(
    name="node1",
    address=CONTROL_PLANE,
    pods="10.244.0.0/24",
    bridge_address=f"{CONTROL_PLANE}/24",
    first_pod="10.244.0.2",
)
SECOND = NodeAddresses(
    name="node2",
    address="10.245.0.2",
    pods="10.244.1.0/24",
    bridge_address="10.244.1.1/24",
    first_pod="10.244.1.2",
    namespace="onair-node2",
    link="onair-link1",
    far_link="onair-link2",
    gateway="10.245.0.1",
)
NODES = {node.name: node for node in (FIRST, SECOND)}
