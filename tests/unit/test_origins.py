"""What counts as one address and as one site, and how they are counted, of publishers and viewers alike."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.origins import Origin, Tally, origin_of


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("192.0.2.7", Origin("192.0.2.7")),
        ("2001:db8:1:2:3:4:5:6", Origin("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:db8:1:2::1", Origin("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("::ffff:192.0.2.7", Origin("192.0.2.7")),
        ("fe80::1%eth0", Origin("fe80::/64", "fe80::/48")),
        ("::1", Origin("::/64", "::/48")),
        ("a socket", Origin("a socket")),
    ],
)
def test_an_address_of_ipv6_is_its_network(host: str, origin: Origin) -> None:
    assert origin_of(host) == origin


ORIGINS = [Origin("192.0.2.1"), *(origin_of(f"2001:db8:{site}:{net}::1") for site in (1, 2) for net in (1, 2))]


@given(st.lists(st.tuples(st.sampled_from(ORIGINS), st.booleans()), max_size=60))
def test_a_tally_says_who_is_full_and_forgets_who_has_left(story: list[tuple[Origin, bool]]) -> None:
    tally, inside = Tally(), Counter[Origin]()
    for origin, comes in story:
        of_site = sum(count for other, count in inside.items() if other.site and other.site == origin.site)
        expected = "per_address" if inside[origin] >= 2 else "per_site" if of_site >= 3 * 2 else ""
        assert tally.full(origin, 2, 3) == expected
        if comes and not expected:
            tally.add(origin)
            inside[origin] += 1
        elif inside[origin]:
            tally.remove(origin)
            inside[origin] -= 1
        assert tally.total == inside.total()
    for origin in inside.elements():
        tally.remove(origin)
    assert not any(tally.of(group) for origin in ORIGINS for group in origin.groups)
