"""How many connections may come in a second: in all, from one address, from one site. Pure.

Who comes and goes takes no place for long, but each handshake costs: TLS half a millisecond of the one thread that all
publishers share.
"""

from __future__ import annotations

from onair_media.origins import Origin
from onair_media.rtmp.rate import Rate


class Arrivals:
    """Token buckets that hold `burst_seconds` of their rate; a site's is `site_factor` times an address's.

    Those that are full again are forgotten.
    """

    def __init__(self, per_second: float, per_address: float, burst_seconds: float, site_factor: float) -> None:
        self._per_address = per_address
        self._burst_seconds = burst_seconds
        self._site_factor = site_factor
        self._all = Rate(per_second, per_second * burst_seconds)
        self._used: dict[str, Rate] = {}
        self._used_before: dict[str, Rate] = {}  # not since `_since`
        self._since = 0.0

    def refusal(self, origin: Origin, now: float) -> str | None:
        """Why nobody may come from there now, as the end of a limit's name; None, and counted, when somebody may.

        `now` is in seconds on any clock that does not go back.
        """
        self._forget(now)
        if self._all.left(now) < 1:
            return ""
        buckets = [self._all]
        of_one = (origin.address, 1.0, "_per_address"), (origin.site, self._site_factor, "_per_site")
        for group, factor, name in of_one:
            if group:
                bucket = self._bucket(group, factor)
                if bucket.left(now) < 1:
                    return name
                buckets.append(bucket)
        for bucket in buckets:
            bucket.take()
        return None

    @property
    def remembered(self) -> int:
        """Addresses and sites."""
        return len(self._used) + len(self._used_before)

    def _bucket(self, group: str, factor: float) -> Rate:
        bucket = self._used.get(group) or self._used_before.pop(group, None)
        if bucket is None:
            per_second = self._per_address * factor
            bucket = Rate(per_second, per_second * self._burst_seconds)
        self._used[group] = bucket
        return bucket

    def _forget(self, now: float) -> None:
        """A bucket that nobody drew from for `burst_seconds` is full."""
        if now - self._since >= self._burst_seconds:
            idle = now - self._since >= 2 * self._burst_seconds
            self._used_before, self._used, self._since = {} if idle else self._used, {}, now
