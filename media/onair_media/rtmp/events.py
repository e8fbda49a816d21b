"""What an RTMP connection tells its user.

Media messages are made a hundred times a second for each publisher: they are not frozen, which would cost three times
as much.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Connected:
    """`connect` came. `flash_version` names the encoder (`FMLE/3.0 (compatible; FMSc/1.0)`, `Lavf…`).

    `fourccs` and `caps_ex` are what it says of Enhanced RTMP (v2, "connect"); empty and 0 when it says nothing.
    """

    app: str
    flash_version: str = ""
    fourccs: frozenset[str] = frozenset()
    caps_ex: int = 0


@dataclass(frozen=True, slots=True)
class PublishRequested:
    """An encoder wants to publish with this stream key; answer with `accept_publish` or `reject_publish`."""

    app: str
    key: str = field(repr=False)


@dataclass(slots=True)
class AudioMessage:
    """An audio tag body; `timestamp` in milliseconds, modulo 2^32."""

    timestamp: int
    payload: bytes = field(repr=False)


@dataclass(slots=True)
class VideoMessage:
    """A video tag body; `timestamp` in milliseconds, modulo 2^32."""

    timestamp: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MetadataMessage:
    """`onMetaData`: a hint at most; encoders send wrong codec ids and zero sizes."""

    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """The encoder said goodbye: FCUnpublish, closeStream or deleteStream."""


Event = Connected | PublishRequested | AudioMessage | VideoMessage | MetadataMessage | PublishEnded
