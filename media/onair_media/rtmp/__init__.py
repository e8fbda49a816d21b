"""RTMP (Adobe RTMP 1.0) as a server hears it, sans-I/O: bytes in, events out."""

from onair_media.rtmp.address import APPLICATIONS
from onair_media.rtmp.connection import ServerConnection
from onair_media.rtmp.errors import ProtocolError
from onair_media.rtmp.events import (
    AudioMessage,
    Connected,
    Event,
    MetadataMessage,
    PublishEnded,
    PublishRequested,
    VideoMessage,
)
from onair_media.rtmp.limits import Limits

__all__ = [
    "APPLICATIONS",
    "AudioMessage",
    "Connected",
    "Event",
    "Limits",
    "MetadataMessage",
    "ProtocolError",
    "PublishEnded",
    "PublishRequested",
    "ServerConnection",
    "VideoMessage",
]
