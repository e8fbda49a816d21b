"""Changing one field of a manifest file, with its comments and layout kept: files are the truth, as Git is."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from onair_core.manifests import API_VERSION, DEFAULT_NAMESPACE


class EditError(Exception):
    """The file cannot be changed; the message says why."""


def set_rotation(file: Path, namespace: str, name: str, rotation: str) -> None:
    """Sets `spec.streamKey.rotation` of one LiveStream, in place and atomically. Raises `EditError`."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        documents = list(yaml.load_all(file.read_text()))
    except (OSError, YAMLError) as error:
        raise EditError(f"{file} cannot be read: {error}") from error
    for document in documents:
        if _is_stream(document, namespace, name):
            document["spec"].setdefault("streamKey", {})["rotation"] = rotation
            break
    else:
        raise EditError(f"{file} does not declare LiveStream {namespace}/{name}")
    text = StringIO()
    yaml.dump_all(documents, text)
    temporary = file.with_name(f".{file.name}.new")
    try:
        temporary.write_text(text.getvalue())
        temporary.chmod(file.stat().st_mode & 0o777)
        os.replace(temporary, file)  # noqa: PTH105 - atomically
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise EditError(f"{file} cannot be written: {error.strerror}") from error


def _is_stream(document: object, namespace: str, name: str) -> bool:
    if not isinstance(document, dict):
        return False
    metadata = document.get("metadata") or {}
    return (
        document.get("apiVersion") == API_VERSION
        and document.get("kind") == "LiveStream"
        and metadata.get("name") == name
        and (metadata.get("namespace") or DEFAULT_NAMESPACE) == namespace
        and isinstance(document.get("spec"), dict)
    )
