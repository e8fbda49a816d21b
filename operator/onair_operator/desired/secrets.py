"""The Secrets of a LiveStream. Nothing else that is made of it holds a key."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from onair_core.contract.settings import CERTIFICATE, CONFIG, KEY, TOKEN
from onair_operator.desired.addresses import ingest_addresses
from onair_operator.desired.certificates import pair_problem
from onair_operator.desired.labels import child_metadata
from onair_operator.desired.naming import pod_name, stream_key_secret_name
from onair_operator.desired.provision import Provision

STREAM_KEY = "streamKey"
"""Where a generated stream key stands in its Secret."""


def stream_key_secret(provision: Provision) -> dict[str, Any] | None:
    """For people: the generated key, and what encoders ask for.

    `streamKey` and `server` for those with two fields (OBS), `rtmpUrl` and `rtmpsUrl` for those with one (ffmpeg).
    None: no key was generated.
    """
    key = provision.generated_key
    if key is None:
        return None
    addresses = ingest_addresses(provision)
    data = {STREAM_KEY: key, "server": addresses.rtmps or addresses.rtmp, "rtmpUrl": f"{addresses.rtmp}/{key}"}
    if addresses.rtmps:
        data["rtmpsUrl"] = f"{addresses.rtmps}/{key}"
    return _secret(provision, stream_key_secret_name(provision.stream.name), data)


def pod_secret(provision: Provision) -> dict[str, Any]:
    """For one incarnation's pod: the configuration it starts with, and what its control port needs."""
    config = msgspec.json.encode(provision.config, order="deterministic").decode()
    data = {
        CONFIG: config,
        TOKEN: provision.control.token,
        CERTIFICATE: provision.control.certificate,
        KEY: provision.control.private_key,
    }
    return _secret(provision, pod_name(provision.stream.name, provision.incarnation), data)


def certificate_secret(provision: Provision, source: Mapping[str, Any]) -> dict[str, Any] | None:
    """The class's certificate, where the pod can mount it. `source`: the Secret in the installation's namespace."""
    if provision.rtmps_secret is None:
        return None
    data = {key: source["data"][key] for key in (CERTIFICATE, KEY)}
    made = _secret(provision, provision.rtmps_secret, {})
    return {**made, "type": "kubernetes.io/tls", "data": data}


def store_secret(provision: Provision, source: Mapping[str, Any]) -> dict[str, Any] | None:
    """The class's credentials for its store, where the pod can mount them; as they are in `source`."""
    if provision.store_secret is None:
        return None
    return {**_secret(provision, provision.store_secret, {}), "data": dict(source["data"])}


def certificate_problem(source: Mapping[str, Any] | None, name: str) -> str | None:
    """Why a Secret cannot be the certificate of a class; None: it can. The shape is cert-manager's."""
    missing = [key for key in (CERTIFICATE, KEY) if not secret_value(source, key)]
    if source is None:
        return f"there is no Secret {name} in OnAir's namespace"
    if missing:
        return f"Secret {name} in OnAir's namespace has no {' and no '.join(missing)}"
    problem = pair_problem(secret_value(source, CERTIFICATE) or b"", secret_value(source, KEY) or b"")
    return None if problem is None else f"Secret {name} in OnAir's namespace: {problem}"


def secret_value(secret: Mapping[str, Any] | None, key: str) -> bytes | None:
    """One value of a Secret object; None when it or the key is missing."""
    text = ((secret or {}).get("data") or {}).get(key)
    return None if text is None else base64.b64decode(text)


def _secret(provision: Provision, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": child_metadata(provision.stream, name),
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }
