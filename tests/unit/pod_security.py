"""Pod Security Standards, profile *restricted*, as rules on a rendered pod.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from typing import Any

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: dict[str, Any]) -> list[str]:
    """What the admission plugin would say; none: the pod is let in."""
    spec = pod["spec"]
    found = [f"spec.{name}" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    for volume in spec.get("volumes", []):
        (source,) = set(volume) - {"name"}
        if source not in _VOLUMES:
            found.append(f"volume {volume['name']}: {source}")
    of_pod = spec.get("securityContext", {})
    found += [
        f"spec.securityContext.{name}" for name in ("sysctls", "seLinuxOptions", "windowsOptions") if name in of_pod
    ]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own = container.get("securityContext", {})
        where = f"container {container['name']}"
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{where}: privileges")
        if own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
            found.append(f"{where}: runAsNonRoot")
        if own.get("runAsUser", of_pod.get("runAsUser")) == 0:
            found.append(f"{where}: runAsUser")
        if own.get("seccompProfile", of_pod.get("seccompProfile", {})).get("type") not in (
            "RuntimeDefault",
            "Localhost",
        ):
            found.append(f"{where}: seccompProfile")
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            found.append(f"{where}: capabilities")
        if any("hostPort" in port for port in container.get("ports", [])):
            found.append(f"{where}: hostPort")
    return found
