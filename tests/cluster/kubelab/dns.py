"""CoreDNS as a process of the machine: its command line and file."""

from __future__ import annotations

import urllib.request

from kubelab import addresses, layout
from kubelab.control_plane import Binary, Command
from kubelab.site import MACHINE


def corefile() -> str:
    return f"""\
.:53 {{
    bind {addresses.CONTROL_PLANE}
    errors
    ready {addresses.DNS_READY}
    kubernetes {addresses.DOMAIN} in-addr.arpa {{
        kubeconfig {MACHINE.pki}/coredns.kubeconfig
        ttl 5
    }}
}}
"""


def coredns(binary: Binary) -> Command:
    file = layout.STATE / "Corefile"
    file.write_text(corefile(), encoding="utf-8")
    return [binary("coredns"), "-conf", file]


def is_ready() -> bool:
    with urllib.request.urlopen(f"http://{addresses.DNS_READY}/ready", timeout=1) as answer:
        return bool(answer.status == 200)
