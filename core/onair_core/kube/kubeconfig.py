"""kubeconfig files as kubectl reads them: several are merged, paths are relative to the file they stand in.

Certificates (files or inline), tokens, user name and password, proxies, and programs that hand out credentials
(`exec_plugin`). The `auth-provider` of old files is refused with a message: what it was for has such programs now.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from onair_core.kube import exec_plugin
from onair_core.kube.errors import LoginError
from onair_core.kube.login import Login, tls_context

_SECTIONS = ("clusters", "users", "contexts")
_FILE_FIELDS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
# A token in a file may be one that rotates.
TOKEN_FILE_SECONDS = 60.0

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """Files, and the context in them; None: their current one. Read anew for each login."""

    files: tuple[Path, ...]
    context: str | None = None

    async def login(self) -> Login:
        chosen = choose(merge(_read(file) for file in self.files if file.exists()), self.context)
        credential: exec_plugin.Credential | None = None
        if plugin := chosen.user.get("exec"):
            credential = await exec_plugin.run(plugin, chosen.cluster)
        return login(chosen, credential)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What one context points at."""

    cluster: Entry
    user: Entry
    namespace: str


def _read(file: Path) -> tuple[Path, Any]:
    try:
        return file.parent.absolute(), yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise LoginError(f"{file} cannot be read: {error}") from error


def merge(files: Iterable[tuple[Path, Any]]) -> dict[str, Any]:
    """(folder, content) of each file → sections by name, with absolute paths. Of equal names the first counts."""
    merged: dict[str, Any] = {section: {} for section in _SECTIONS} | {"current-context": ""}
    for folder, content in files:
        if content is None:
            continue
        if not isinstance(content, dict):
            raise LoginError(f"a file in {folder} is no kubeconfig")
        merged["current-context"] = merged["current-context"] or content.get("current-context") or ""
        for section in _SECTIONS:
            for entry in content.get(section) or ():
                body = dict(entry.get(section.removesuffix("s")) or {})
                body |= {field: str(folder / body[field]) for field in _FILE_FIELDS if body.get(field)}
                if "/" in (command := str((body.get("exec") or {}).get("command") or "")):
                    body["exec"] = {**body["exec"], "command": str(folder / command)}
                merged[section].setdefault(entry.get("name"), body)
    return merged


def choose(merged: Entry, context: str | None) -> Chosen:
    """Raises `LoginError`, which names what there is."""
    name = context or merged["current-context"]
    if not name:
        raise LoginError("the kubeconfig has no current context; kubectl config use-context NAME sets one")
    found = _named(merged, "contexts", name)
    user = _named(merged, "users", found["user"]) if found.get("user") else {}
    cluster = _named(merged, "clusters", found.get("cluster"))
    return Chosen(cluster, user, found.get("namespace") or "default")


def _named(merged: Entry, section: str, name: str | None) -> Entry:
    entries: Mapping[str | None, Entry] = merged[section]
    if name not in entries:
        there = ", ".join(str(entry) for entry in entries) or "none"
        raise LoginError(f"the kubeconfig has no {section.removesuffix('s')} {name!r} (there is {there})")
    return entries[name]


def login(chosen: Chosen, credential: exec_plugin.Credential | None = None) -> Login:
    """`credential` is what the user's program said, if it has one."""
    cluster, user = chosen.cluster, chosen.user
    if user.get("auth-provider"):
        raise LoginError("auth-provider is not supported; use an exec plugin (kubelogin, gke-gcloud-auth-plugin, …)")
    if not (server := str(cluster.get("server") or "").rstrip("/")):
        raise LoginError("the kubeconfig's cluster has no server")
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    good_for = TOKEN_FILE_SECONDS if user.get("tokenFile") else None
    authorization = _authorization(user)
    if credential is not None:
        certificate, key = credential.certificate or certificate, credential.key or key
        authorization = f"Bearer {credential.token}" if credential.token else authorization
        good_for = credential.good_for
    verify = not cluster.get("insecure-skip-tls-verify")
    encrypted = server.startswith("https://")
    authority = _pem(cluster, "certificate-authority")
    return Login(
        server=server,
        tls=tls_context(authority, certificate, key, verify=verify) if encrypted else None,
        server_name=cluster.get("tls-server-name"),
        authorization=authorization,
        proxy=cluster.get("proxy-url"),
        namespace=chosen.namespace,
        good_for=good_for,
    )


def _authorization(user: Entry) -> str | None:
    if user.get("tokenFile"):
        return f"Bearer {_content(user['tokenFile']).decode('ascii', 'replace').strip()}"
    if user.get("token"):
        return f"Bearer {user['token']}"
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return None


def _pem(entry: Entry, field: str) -> bytes | None:
    """What stands inline counts before what stands in a file."""
    if inline := entry.get(f"{field}-data"):
        try:
            return base64.b64decode(inline, validate=True)
        except (binascii.Error, ValueError) as error:
            raise LoginError(f"the kubeconfig's {field}-data is no base64") from error
    return _content(entry[field]) if entry.get(field) else None


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise LoginError(f"a file that the kubeconfig names cannot be read: {error}") from error
