"""Changes of manifests are noticed, however they come about; and two processes never serve one state folder."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onair_core.local_state import LocalState
from onair_operator.local import app
from onair_operator.local.app import Options, StartError, serve
from onair_operator.local.requests import CompleteRequest, submit
from onair_operator.local.watch import watch

PATIENCE = 20.0


class Watched:
    """Counts what the watch calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = LocalState(folder / "state")
        self.reconciled = 0
        self.requested = 0
        self.due = False

    async def _reconcile(self) -> None:
        self.reconciled += 1
        self.due = False

    async def _take_requests(self) -> None:
        self.requested += 1
        for file in self.state.requests.glob("*.json"):
            file.unlink()

    @contextlib.asynccontextmanager
    async def on(self, *paths: Path) -> AsyncIterator[None]:
        task = asyncio.create_task(
            watch(
                paths, self.state, reconcile=self._reconcile, take_requests=self._take_requests, is_due=lambda: self.due
            )
        )
        try:
            await until(lambda: self.reconciled, "one look after the watch stands")
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sees(self, change: Callable[[], object]) -> None:
        before = self.reconciled
        change()
        await until(lambda: self.reconciled > before, "the change is seen")


async def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not: {what}"
        await asyncio.sleep(0.02)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


async def test_a_folder_that_is_removed_moved_and_made_again_stays_watched(watched: Watched) -> None:
    folder = watched.folder / "m"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "a.yaml").write_text("a: 1")
    async with watched.on(folder):
        await watched.sees(lambda: shutil.rmtree(folder))
        await watched.sees(lambda: (folder / "below").mkdir(parents=True))
        await watched.sees(lambda: (folder / "below" / "a.yaml").write_text("a: 2"))
        await watched.sees(lambda: folder.rename(watched.folder / "away"))
        await watched.sees(lambda: (watched.folder / "away").rename(folder))
        await watched.sees(lambda: (folder / "below").rename(folder / "moved"))
        await watched.sees(lambda: (folder / "moved" / "a.yaml").write_text("a: 33"))


async def test_what_links_lead_to_is_watched_too(watched: Watched) -> None:
    """As Kubernetes mounts a ConfigMap: a.yaml leads to ..data/a.yaml, and ..data is swapped."""
    folder = watched.folder / "m"
    for version in ("..v1", "..v2"):
        (folder / version).mkdir(parents=True)
        (folder / version / "a.yaml").write_text("a: 1")
    (folder / "..data").symlink_to("..v1")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    target = watched.folder / "elsewhere.yaml"
    target.write_text("a: 1")
    (folder / "b.yaml").symlink_to(target)

    def swap() -> None:
        (folder / "..new").symlink_to("..v2")
        (folder / "..new").replace(folder / "..data")

    async with watched.on(folder):
        await watched.sees(swap)
        await watched.sees(lambda: target.write_text("a: 2"))


async def test_a_single_file_is_watched_without_what_lies_beside_it(watched: Watched) -> None:
    file = watched.folder / "a.yaml"
    file.write_text("a: 1")
    for number in range(50):
        (watched.folder / "node_modules" / str(number)).mkdir(parents=True)

    def replace() -> None:
        (watched.folder / "new").write_text("a: 2")
        (watched.folder / "new").replace(file)

    async with watched.on(file):
        await watched.sees(replace)
        assert inotify_watches() <= 4
        await watched.sees(file.unlink)
        await watched.sees(lambda: file.write_text("a: 3"))


def inotify_watches() -> int:
    found = 0
    for file in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            found += file.read_text().count("inotify wd")
    return found


async def test_what_is_due_is_done_without_a_change_and_requests_are_taken(watched: Watched) -> None:
    (watched.folder / "m").mkdir()
    watched.state.requests.mkdir(parents=True)
    submit(watched.state.requests, CompleteRequest(namespace="default", name="s", broadcast="b"))
    async with watched.on(watched.folder / "m"):
        assert watched.requested == 1
        await watched.sees(lambda: setattr(watched, "due", True))
        submit(watched.state.requests, CompleteRequest(namespace="default", name="s", broadcast="c"))
        await until(lambda: watched.requested == 2, "the request is taken")


async def test_without_notifications_changes_are_found_all_the_same(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("onair_operator.local.watch.awatch", refuse)
    (watched.folder / "m").mkdir()
    async with watched.on(watched.folder / "m"):
        await watched.sees(lambda: (watched.folder / "m" / "a.yaml").write_text("a: 1"))


# Starting


def options(folder: Path, *paths: Path) -> Options:
    return Options(paths=paths, state_dir=folder / "state", rtmp=("127.0.0.1", 0), http=("127.0.0.1", 0))


async def start(given: Options) -> None:
    await serve(given, report=lambda _: None, ready=lambda *_: None)


async def test_a_look_at_the_lock_does_not_keep_a_start_from_happening(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        released: list[float] = []

        def release(seconds: float) -> None:
            released.append(seconds)
            fcntl.flock(file, fcntl.LOCK_UN)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(app.time, "sleep", release)
            with app._locked(LocalState(tmp_path / "state")):
                assert len(released) == 1


async def test_a_folder_that_is_served_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.time, "sleep", lambda _: None)
    (tmp_path / "m").mkdir()
    with app._locked(LocalState(tmp_path / "state")), pytest.raises(StartError, match="another onair local serves"):
        await start(options(tmp_path, tmp_path / "m"))


@pytest.mark.parametrize("inside", [".", "m"])
async def test_manifests_in_the_state_folder_are_refused(tmp_path: Path, inside: str) -> None:
    (tmp_path / "state" / inside).mkdir(parents=True)
    with pytest.raises(StartError, match="is inside the state folder"):
        await start(options(tmp_path, tmp_path / "state" / inside))
