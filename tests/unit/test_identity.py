"""Identity is a function of Git and the root secret: these values must never change."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_core import identity
from onair_core.playback.paths import is_playback_id

ROOT = bytes(range(32))


def test_known_values() -> None:
    """Changing one of them changes every URL and key of every installation."""
    assert identity.playback_id(ROOT, "events", "keynote", "main") == "zawosydvvk7jb3zgwatofcxk"
    assert identity.stream_key(ROOT, "events", "keynote", "2026-11") == "mv6dvudvxeovza2wakpuy46bg3nokvi4iigh52h2"
    assert identity.asset_playback_id(ROOT, "events", "keynote-abc234", "main") == "aaglfocpaviz6kmu2m5dl3m6"
    assert identity.fingerprint(identity.fingerprint_key(ROOT), "some stream key") == "0207a8ccc381d3e13146c75f2a13bf98"
    assert identity.control_token(ROOT, "uid", 1) == "dj2tqtxaijusmfprp2wf5n2qoyggmsal3cabeqa7"
    assert (
        identity.control_key(ROOT, "uid", 1).hex() == "53b80bdb825a8ce4f32b423023a38e6c6cf77b45b6cac6913355a834b9d313ba"
    )


def test_forms() -> None:
    assert is_playback_id(identity.playback_id(ROOT, "a", "b", "c"))
    key = identity.stream_key(ROOT, "a", "b", "")
    assert re.fullmatch(r"[a-z2-7]{40}", key) and len(key) >= identity.MIN_STREAM_KEY_LENGTH


def test_a_short_root_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        identity.playback_id(b"short", "a", "b", "c")


@given(st.lists(st.text(max_size=8), min_size=6, max_size=6))
def test_other_inputs_give_other_identities_and_purposes_never_meet(parts: list[str]) -> None:
    a, b = tuple(parts[:3]), tuple(parts[3:])
    assert (identity.playback_id(ROOT, *a) == identity.playback_id(ROOT, *b)) == (a == b)
    assert identity.playback_id(ROOT, *a) != identity.asset_playback_id(ROOT, *a)
    assert not identity.stream_key(ROOT, *a).startswith(identity.playback_id(ROOT, *a))
