"""Trouble with one object is told once and contained; a disk that refuses is waited for."""

from __future__ import annotations

import errno

import pytest
import structlog
from structlog.testing import capture_logs

from onair_operator.local import patience
from onair_operator.local.faults import Faults
from onair_operator.local.patience import insist


def test_a_fault_is_told_when_it_comes_and_when_it_is_over() -> None:
    structlog.reset_defaults()
    faults = Faults()
    with capture_logs() as logs:
        for _ in range(3):
            with faults.contained("LiveStream a"):
                raise PermissionError(errno.EACCES, "Permission denied", "/a")
        assert faults and [log["problem"] for log in logs] == ["Permission denied: /a"]
        with faults.contained("LiveStream a"):
            raise ValueError("a defect")
        assert faults and "defect" in logs[-1]["event"]
        with faults.contained("LiveStream a"):
            pass
    assert not faults and "works again" in logs[-1]["event"] and len(logs) == 3


def test_what_is_not_tried_any_more_is_forgotten() -> None:
    faults = Faults()
    faults.note("a", "x")
    faults.note("b", "x")
    faults.forget_the_rest()
    faults.note("a", "x")
    faults.forget_the_rest()
    assert faults
    faults.over("a")
    assert not faults


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
async def test_a_disk_that_refuses_is_waited_for(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0)
    tries: list[int] = []

    async def turn() -> None:
        with Faults().contained("a"):
            tries.append(number)
            if len(tries) < 3:
                raise OSError(number, "refused")

    await insist(turn)
    assert len(tries) == 3


async def test_what_time_does_not_mend_is_not_waited_for() -> None:
    async def turn() -> None:
        raise OSError(errno.ENAMETOOLONG, "File name too long")

    with pytest.raises(OSError, match="too long"):
        await insist(turn)
