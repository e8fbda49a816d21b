"""Colour and HDR metadata of Enhanced RTMP (v2, "Metadata Frame"): the `colorInfo` object, held to its ranges.

Whatever is missing or out of range is left out: a wrong mastering display is not worth losing a picture for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from onair_media import amf0
from onair_media.flv.errors import MediaError

_CHROMATICITIES = ("redX", "redY", "greenX", "greenY", "blueX", "blueY", "whitePointX", "whitePointY")
_BAD = "bad colour metadata"


@dataclass(frozen=True, slots=True)
class Colour:
    """Code points of ITU-T H.273 (2: unspecified), light levels in cd/m², mastering display as ST 2086 has it.

    `light_level`: MaxCLL and MaxFALL. `mastering`: eight chromaticity coordinates (red, green, blue and white, x and
    y), then maximum and minimum luminance.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    light_level: tuple[float, float] | None = None
    mastering: tuple[float, ...] | None = None


def parse_colour(data: bytes) -> Colour | None:
    """The body of a metadata packet, a series of AMF name and value pairs; None: back to what the bitstream says.

    Raises `MediaError`.
    """
    try:
        values = amf0.decode(data)
    except amf0.AmfError:
        raise MediaError(_BAD) from None
    found: Colour | None = None
    for name, value in zip(values[::2], values[1::2], strict=False):
        if name == "colorInfo":
            found = _colour(value) if isinstance(value, Mapping) and value else None
    return found


def encode_colour(colour: Colour) -> bytes:
    """What `parse_colour` reads."""
    value: dict[str, object] = {
        "colorConfig": {
            "colorPrimaries": colour.primaries,
            "transferCharacteristics": colour.transfer,
            "matrixCoefficients": colour.matrix,
        }
    }
    if colour.light_level is not None:
        value["hdrCll"] = {"maxCLL": colour.light_level[0], "maxFall": colour.light_level[1]}
    if colour.mastering is not None:
        names = (*_CHROMATICITIES, "maxLuminance", "minLuminance")
        value["hdrMdcv"] = dict(zip(names, colour.mastering, strict=True))
    return amf0.encode("colorInfo", value)


def _colour(info: Mapping[str, object]) -> Colour:
    config = _mapping(info.get("colorConfig"))
    light, display = _mapping(info.get("hdrCll")), _mapping(info.get("hdrMdcv"))
    return Colour(
        primaries=_code_point(config.get("colorPrimaries")),
        transfer=_code_point(config.get("transferCharacteristics")),
        matrix=_code_point(config.get("matrixCoefficients")),
        light_level=_numbers(light, (("maxCLL", 0.0, 65_535.0), ("maxFall", 0.0, 65_535.0))),  # type: ignore[arg-type]
        mastering=_numbers(
            display,
            (
                *((name, 0.0, 1.0) for name in _CHROMATICITIES),
                ("maxLuminance", 0.0001, 400_000.0),
                ("minLuminance", 0.0, 400_000.0),
            ),
        ),
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _code_point(value: object) -> int:
    return int(value) if isinstance(value, float) and 0 <= value <= 255 else 2


def _numbers(value: Mapping[str, object], wanted: tuple[tuple[str, float, float], ...]) -> tuple[float, ...] | None:
    """All of the wanted numbers, each within its range, or None."""
    found = []
    for name, least, most in wanted:
        number = value.get(name)
        if not isinstance(number, float) or not math.isfinite(number) or not least <= number <= most:
            return None
        found.append(number)
    return tuple(found)
