"""OBS Studio, as most people will publish."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from obs import OBS
from service import Service, until
from viewers import decode, following

pytestmark = pytest.mark.obs


@asynccontextmanager
async def opened(home: Path, trusted: Path | None = None) -> AsyncIterator[OBS]:
    home.mkdir()
    obs = OBS(home, trusted)
    try:
        await obs.open()
        yield obs
    finally:
        await obs.kill()


@pytest.fixture
async def obs(tmp_path: Path) -> AsyncIterator[OBS]:
    async with opened(tmp_path / "obs") as obs:
        yield obs


@pytest.fixture
async def trusting_obs(tmp_path: Path, onair_local: Service) -> AsyncIterator[OBS]:
    """It knows the installation's self-signed certificate."""
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    shutil.copy(onair_local.state.folder / "rtmps.crt", trusted)
    async with opened(tmp_path / "obs", trusted) as obs:
        yield obs


async def test_obs_goes_live_reconnects_by_itself_and_stops_in_order(onair_local: Service, obs: OBS) -> None:
    """The server is killed under it: OBS comes back alone, to the same recording, with one discontinuity."""
    await obs.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    url = onair_local.playback_url("keynote")
    decoded = await decode(url, first_seconds=2)
    assert decoded.complaints == ""
    assert decoded.video >= 30 and decoded.audio >= 60
    async with following(url) as followers:
        await onair_local.restart()
        await onair_local.has("keynote", "active", "disconnected", "connected")
        await until(lambda: followers["video"].discontinuities == 1, "it goes on after one discontinuity")
    await obs.stop()
    await onair_local.has("keynote", "disconnected", "connected", "disconnected")
    assert onair_local.events("keynote")[-1]["reason"] == "CleanStop"
    (asset,) = onair_local.assets("keynote")
    onair_local.complete("keynote")
    await onair_local.has("keynote", "idle")
    assert (await decode(asset["status"]["playback"][0]["url"])).complaints == ""


async def test_obs_killed_is_a_lost_connection(onair_local: Service, obs: OBS) -> None:
    await obs.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    await obs.kill()
    await onair_local.has("keynote", "disconnected")
    assert onair_local.events("keynote")[-1]["reason"] == "ConnectionLost"


async def test_obs_publishes_over_rtmps(onair_local: Service, trusting_obs: OBS) -> None:
    url = onair_local.publish_url("keynote", "rtmps").replace("127.0.0.1", "localhost")
    await trusting_obs.start(url)
    await onair_local.has("keynote", "active")
    assert (await decode(onair_local.playback_url("keynote"), first_seconds=2)).complaints == ""
    await trusting_obs.stop()
    await onair_local.has("keynote", "disconnected")
    assert onair_local.events("keynote")[-1]["reason"] == "CleanStop"


async def test_obs_refuses_a_certificate_it_does_not_trust(onair_local: Service, obs: OBS) -> None:
    """As the README says of self-signed certificates."""
    await obs.start(onair_local.publish_url("keynote", "rtmps").replace("127.0.0.1", "localhost"))
    active = True
    while active:
        active = (await obs.streaming())["outputActive"]
    assert onair_local.types("keynote") == ["created"]


async def test_obs_with_a_wrong_key_is_refused(onair_local: Service, obs: OBS) -> None:
    assert onair_local.endpoint is not None
    await obs.start(f"{onair_local.endpoint.rtmp}/app/not-the-key-of-anything")
    active = True
    while active:
        active = (await obs.streaming())["outputActive"]
    assert onair_local.types("keynote") == ["created"]
