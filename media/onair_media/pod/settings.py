"""What an ingest pod finds in its file system: a Secret with its configuration and what the control port needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from onair_core.contract import PodConfig
from onair_core.contract.settings import CERTIFICATE, CONFIG, KEY, TOKEN

MIN_TOKEN = 32


class SettingsError(Exception):
    """A mounted file is missing or makes no sense; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`certificate` and `key` are those of the control port, which the operator pins."""

    config: PodConfig
    token: str = field(repr=False)
    certificate: Path
    key: Path


def read_settings(folder: Path) -> Settings:
    """Raises `SettingsError`."""
    try:
        config = msgspec.json.decode(_read(folder / CONFIG), type=PodConfig)
    except msgspec.DecodeError as error:
        raise SettingsError(f"{folder / CONFIG}: {error}") from None  # the cause has keys in it
    token = _read(folder / TOKEN).decode(errors="replace").strip()
    if len(token) < MIN_TOKEN:
        raise SettingsError(f"{folder / TOKEN}: shorter than {MIN_TOKEN} characters")
    return Settings(config, token, folder / CERTIFICATE, folder / KEY)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
