"""Programs that hand out credentials (EKS, GKE, AKS, OIDC), as `client.authentication.k8s.io` describes them.

The program gets an `ExecCredential` in `$KUBERNETES_EXEC_INFO` and writes one to standard output. It cannot ask
anybody anything: a process that runs for weeks has nobody at its terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from onair_core.kube.errors import LoginError

TIMEOUT_SECONDS = 60.0
# A credential is renewed before it ends, by as much as clocks differ.
EARLY_SECONDS = 30.0
API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credential:
    """A token, or a certificate with its key, or both. `good_for` is in seconds; None: until it is refused."""

    token: str | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    good_for: float | None = None


async def run(plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> Credential:
    """`plugin` is the user's `exec` entry. Raises `LoginError` with the program's own words and its install hint."""
    command, version = str(plugin.get("command") or ""), str(plugin.get("apiVersion") or "")
    if not command or version not in API_VERSIONS:
        raise LoginError(f"an exec entry needs a command and one of the apiVersions {', '.join(API_VERSIONS)}")
    added = {str(entry["name"]): str(entry["value"]) for entry in plugin.get("env") or ()}
    environment = os.environ | added | {"KUBERNETES_EXEC_INFO": exec_info(plugin, cluster)}
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *map(str, plugin.get("args") or ()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=environment,
        )
    except OSError as error:
        hint = plugin.get("installHint") or ""
        raise LoginError(f"{command}, which the kubeconfig names, cannot be run: {error}. {hint}".strip()) from error
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            said, complained = await process.communicate()
    except TimeoutError as error:
        raise LoginError(f"{command} did not answer within {TIMEOUT_SECONDS:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise LoginError(f"{command} failed: {complained.decode(errors='replace').strip()[-500:]}")
    return credential(command, version, said, datetime.now(UTC))


def exec_info(plugin: Mapping[str, Any], cluster: Mapping[str, Any]) -> str:
    """What the program is told; the cluster only if it wants to know."""
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        fields = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
        spec["cluster"] = {field: cluster[field] for field in fields if cluster.get(field)}
        for extension in cluster.get("extensions") or ():
            if extension.get("name") == "client.authentication.k8s.io/exec":
                spec["cluster"]["config"] = extension.get("extension")
    return json.dumps({"apiVersion": plugin["apiVersion"], "kind": "ExecCredential", "spec": spec})


def credential(command: str, version: str, said: bytes, now: datetime) -> Credential:
    """From the program's standard output."""
    try:
        answer = json.loads(said)
        status = answer["status"]
        if answer.get("apiVersion") != version:
            raise ValueError(f"apiVersion {answer.get('apiVersion')}, asked for {version}")
        expires = status.get("expirationTimestamp")
        left = None if expires is None else (datetime.fromisoformat(expires) - now).total_seconds()
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if not status.get("token") and not (certificate and key):
            raise ValueError("neither a token nor a certificate with its key")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Without the answer itself: it may hold the credential.
        raise LoginError(f"{command} did not answer with an ExecCredential: {error}") from None
    return Credential(
        token=status.get("token"),
        certificate=certificate.encode() if certificate else None,
        key=key.encode() if key else None,
        good_for=None if left is None else max(left - EARLY_SECONDS, 1.0),
    )
