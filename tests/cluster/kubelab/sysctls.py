"""Settings of the machine's kernel that a node changes: kept before, put back afterwards."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/proc/sys")

# What pods and Services need.
NEEDED = {
    "net/ipv4/ip_forward": "1",
    # Replies between two pods of a node must pass the rules that turned a Service's address into a pod's.
    "net/bridge/bridge-nf-call-iptables": "1",
}
# What the kubelet sets, without being asked (kubelet/cm/container_manager_linux.go).
KUBELETS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def current() -> dict[str, str]:
    names = (*NEEDED, *KUBELETS)
    return {name: (ROOT / name).read_text(encoding="ascii").strip() for name in names if (ROOT / name).exists()}


def put_back(before: dict[str, str]) -> None:
    for name, value in before.items():
        if (ROOT / name).exists():
            (ROOT / name).write_text(value, encoding="ascii")
