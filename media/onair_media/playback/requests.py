"""What a playback request asks for: encodings, conditions, byte ranges, parameters. Pure (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_range = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII | re.IGNORECASE)
_quality = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to, not including, `stop`."""

    start: int
    stop: int


class Unsatisfiable(Exception):
    """The range begins behind the end: 416 (RFC 9110 15.5.17)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A parameter that must not be honoured: HTTP status and what to tell."""

    status: int
    message: str


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip may be sent (RFC 9110 12.5.3); `identity` is preferred only if gzip is refused."""
    if accept_encoding.startswith("gzip,") or accept_encoding == "gzip":
        return True
    accepted: dict[str, bool] = {}
    for element in accept_encoding.split(","):
        coding, _, parameters = element.partition(";")
        quality = _quality.fullmatch(parameters.strip())
        accepted[coding.strip().lower()] = quality is None or float(quality[1]) > 0
    return accepted.get("gzip", accepted.get("*", False))


def none_match(if_none_match: str, etag: str) -> bool:
    """Whether the client already has `etag`: 304 (RFC 9110 13.1.2, weak comparison)."""
    if if_none_match.strip() == "*":
        return True
    wanted = etag.removeprefix("W/")
    return any(tag.strip().removeprefix("W/") == wanted for tag in if_none_match.split(","))


def byte_range(range_header: str, if_range: str, size: int, etag: str) -> ByteRange | None:
    """The one range to answer with 206, or None to send everything (RFC 9110 14.2).

    Several ranges, other units and malformed ones are ignored, as section 14.2 permits; so is a range whose
    If-Range names anything but the present `etag`. Raises Unsatisfiable.
    """
    found = _range.fullmatch(range_header)
    if found is None or (if_range and if_range != etag):
        return None
    first, last = found[1], found[2]
    if not first:
        return _suffix(int(last), size) if last else None
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return ByteRange(start, min(int(last) + 1, size) if last else size)


def _suffix(length: int, size: int) -> ByteRange:
    if length == 0 or size == 0:
        raise Unsatisfiable
    return ByteRange(max(0, size - length), size)


_RESOLUTION = re.compile(r"(270|360|480|540|720|1080|1440|2160)p")
_BOOLEAN = re.compile(r"true|false")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")

_CHOICES = {
    "min_resolution": _RESOLUTION,
    "max_resolution": _RESOLUTION,
    "rendition_order": re.compile(r"desc|asc"),
    "redundant_streams": _BOOLEAN,
    "roku_trick_play": _BOOLEAN,
    "low_latency": _BOOLEAN,
    "exclude_pdt": _BOOLEAN,
    "default_subtitles_lang": _LANGUAGE,
}
"""Modifiers that choose among things of which there is one here: checked, and without effect."""

_CUTS = frozenset({"program_start_time", "program_end_time", "asset_start_time", "asset_end_time"})
"""Modifiers that show only a part. To ignore one would show what the address was meant to leave out."""


def check_query(parameters: Iterable[tuple[str, str]]) -> Refusal | None:
    """Judge a playback address's query. Parameters that nobody has defined are ignored, as caches add them.

    A token on a public playback ID fails on purpose: it shows that the ID was meant to be signed.
    """
    for name, value in parameters:
        if name == "token":
            return Refusal(403, "This playback ID is public and takes no token.")
        if name in _CUTS:
            return Refusal(400, f"{name} is not supported.")
        if name in _CHOICES and not _CHOICES[name].fullmatch(value):
            return Refusal(400, f"{name} has an invalid value.")
    return None
