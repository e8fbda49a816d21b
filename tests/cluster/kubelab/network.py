"""Bridges, the second node's network namespace and the cable to it."""

from __future__ import annotations

from pathlib import Path

from kubelab import shell
from kubelab.addresses import FIRST, SECOND, NodeAddresses
from kubelab.sysctls import NEEDED

PROXY_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def lay(node: NodeAddresses) -> None:
    """Makes the node's network: its bridge, and the namespace and the cable when it has one of its own."""
    if node.namespace:
        shell.run("ip", "netns", "add", node.namespace)
        shell.run(
            "ip", "link", "add", node.link, "type", "veth", "peer", "name", node.far_link, "netns", node.namespace
        )
        shell.run("ip", "address", "add", f"{node.gateway}/30", "dev", node.link)
        for command in (
            ("address", "add", f"{node.address}/30", "dev", node.far_link),
            ("link", "set", node.far_link, "up"),
            ("link", "set", "lo", "up"),
        ):
            shell.run("ip", "-n", node.namespace, *command)
        plug_in(node)
        shell.run("ip", "-n", node.namespace, "route", "add", "default", "via", node.gateway)
    for command in (
        ("link", "add", node.bridge, "type", "bridge"),
        ("address", "add", node.bridge_address, "dev", node.bridge),
        ("link", "set", node.bridge, "up"),
    ):
        shell.run(*node.inside, "ip", *command)
    for name, value in NEEDED.items():
        shell.run(*node.inside, "sysctl", "-qw", f"{name}={value}")


def plug_in(node: NodeAddresses) -> None:
    """The cable to a node with a namespace of its own; the route to its pods went with the cable."""
    shell.run("ip", "link", "set", node.link, "up")
    shell.run("ip", "route", "replace", node.pods, "via", node.address)


def unplug(node: NodeAddresses) -> None:
    """A partition: nothing gets to that node or from it, while all on it goes on."""
    shell.run("ip", "link", "set", node.link, "down")


def is_proxied() -> bool:
    """Whether some kube-proxy has put its rules here."""
    return any(shell.succeeds("nft", "list", "table", *table) for table in PROXY_TABLES)


def clear() -> None:
    """Removes everything that may have been laid, and kube-proxy's rules."""
    if Path("/sys/class/net", SECOND.link).exists():
        shell.run("ip", "link", "delete", SECOND.link)
    if Path("/run/netns", SECOND.namespace or "").exists():
        shell.run("ip", "netns", "delete", SECOND.namespace or "")
    if Path("/sys/class/net", FIRST.bridge).exists():
        shell.run("ip", "link", "delete", FIRST.bridge)
    for table in PROXY_TABLES:
        if shell.succeeds("nft", "list", "table", *table):
            shell.run("nft", "delete", "table", *table)
