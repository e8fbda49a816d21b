"""What server and encoder tell each other of Enhanced RTMP (v2, "Enhancing NetConnection connect Command").

An encoder that says nothing of it gets the answer it always got: a strict array it did not ask for broke some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onair_media import amf0

CAN_FORWARD = 0x04
# What the parser of media handles. Not Reconnect (0x01): the server never asks an encoder to move.
MULTITRACK, MOD_EX, TIMESTAMP_NANO_OFFSET = 0x02, 0x04, 0x08
CAPS_EX = MULTITRACK | MOD_EX | TIMESTAMP_NANO_OFFSET

_LIST, _VIDEO_MAP, _AUDIO_MAP, _CAPS = "fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"


def is_spoken(properties: Mapping[str, object]) -> bool:
    """Whether the properties of a connect say anything of Enhanced RTMP."""
    return any(properties.get(name) is not None for name in (_LIST, _VIDEO_MAP, _AUDIO_MAP, _CAPS))


def fourccs(properties: Mapping[str, object]) -> frozenset[str]:
    """The codecs that the encoder names, in the list of v1 and in the maps of v2; `*` is any."""
    named: set[str] = set()
    listed = properties.get(_LIST)
    if isinstance(listed, list):
        named.update(item for item in listed if isinstance(item, str))
    for name in (_VIDEO_MAP, _AUDIO_MAP):
        found = properties.get(name)
        if isinstance(found, dict):
            named.update(found)
    return frozenset(named)


def caps_ex(properties: Mapping[str, object]) -> int:
    """The encoder's capsEx flags; 0 when it names none."""
    return amf0.whole_number(properties.get(_CAPS))


def answer(video: Iterable[str], audio: Iterable[str]) -> dict[str, object]:
    """What a server that packages these codecs, and decodes none, puts beside `fmsVer`."""
    video, audio = list(video), list(audio)
    return {
        _LIST: [*video, *audio],
        _VIDEO_MAP: dict.fromkeys(video, CAN_FORWARD),
        _AUDIO_MAP: dict.fromkeys(audio, CAN_FORWARD),
        _CAPS: CAPS_EX,
    }
