"""The control plane of `onair local` over real files and channels: what a moment, or one object, may cost."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from onair_core.contract import EventType, LimitsSpec
from onair_core.local_state import LocalState
from onair_core.manifests import Problem
from onair_media.ingest.clock import Clock
from onair_media.ingest.host import ChannelHost
from onair_operator.eventlog import FileEventLogs
from onair_operator.local import durable
from onair_operator.local.addresses import Addresses
from onair_operator.local.control import RETRY_SECONDS, Control
from onair_operator.local.departures import SECOND_LOOK_SECONDS
from onair_operator.webhooks import Deliverer, Environment, OutboundPolicy

Object = dict[str, Any]


def live_stream(name: str, spec: str = "{}", kind: str = "LiveStream", metadata: str = "") -> str:
    return f"apiVersion: onair.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{metadata}}}\nspec: {spec}\n"


def own_secret(name: str, **data: str) -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {data}\n"


class SteppedClock(Clock):
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time


class Installation:
    """One process' control plane; `control` may be made anew, as a restart does."""

    def __init__(self, folder: Path) -> None:
        self.manifests = folder / "m"
        self.manifests.mkdir()
        self.state = LocalState(folder / "state")
        self.state.objects.mkdir(parents=True)
        self.clock = SteppedClock()
        self.problems: list[Problem] = []
        self.limits = LimitsSpec()
        self.logs = FileEventLogs(self.state.event_logs)
        self._stops: list[Any] = []

    async def start(self) -> None:
        self.host = ChannelHost(self.state.folder / "ingest", on_journal=lambda _: None, clock=self.clock)
        await self.host.start()
        deliverer = Deliverer(self.logs, policy=OutboundPolicy(), environment=Environment("local", "x"))
        self.control = Control(
            self.state, [self.manifests], root=bytes(32), addresses=Addresses("a", 1, "b", 2), host=self.host,
            logs=self.logs, deliverer=deliverer, report=lambda problems: setattr(self, "problems", problems),
            limit=lambda limits: setattr(self, "limits", limits),
        )  # fmt: skip
        self._stops.append(self.host.stop)
        await self.control.reconcile()

    async def stop(self) -> None:
        for stop in self._stops:
            await stop()
        self._stops = []

    def write(self, name: str, text: str) -> None:
        (self.manifests / name).write_text(text)

    async def wait(self, seconds: float = SECOND_LOOK_SECONDS) -> None:
        """Time passes, and the control plane does what is due."""
        self.clock.time += seconds
        if self.control.reconcile_is_due:
            await self.control.reconcile()

    def get(self, kind: str, name: str) -> Object | None:
        return self.state.read(kind, "" if kind == "LiveStreamClass" else "default", name)

    def stream(self, name: str) -> Object:
        found = self.get("LiveStream", name)
        assert found is not None
        return found

    def ready(self, name: str, kind: str = "LiveStream", condition: str = "Ready") -> tuple[str, str]:
        found = self.get(kind, name)
        assert found is not None
        (told,) = (c for c in found["status"]["conditions"] if c["type"] == condition)
        return told["status"], told["reason"]

    def types(self, uid: str) -> list[str]:
        found = self.logs.read(uid)
        return [entry.type for entry in found.log.entries] if found else []


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Installation]:
    made = Installation(tmp_path)
    yield made
    await made.stop()


# A moment


@pytest.mark.parametrize(
    "moment",
    [
        "", "# nothing\n", None, "a: [", "- 1", live_stream("a", kind="LiveStrem"),
        live_stream("a").replace("v1alpha1", "v1"), live_stream("a").replace("onair.dev", "onair.de"),
        live_stream("A"), live_stream("a", "{bad: 1}"),
    ],
)  # fmt: skip
async def test_a_moment_of_a_file_ends_no_channel(local: Installation, moment: str | None) -> None:
    local.write("a.yaml", live_stream("a"))
    await local.start()
    uid = local.stream("a")["metadata"]["uid"]
    (local.manifests / "a.yaml").unlink() if moment is None else local.write("a.yaml", moment)
    await local.control.reconcile()
    await local.wait(SECOND_LOOK_SECONDS / 2)
    assert local.stream("a")["metadata"]["uid"] == uid
    local.write("a.yaml", live_stream("a", "{title: x}"))
    await local.control.reconcile()
    await local.wait()
    stream = local.stream("a")
    assert stream["metadata"]["uid"] == uid and stream["spec"]["title"] == "x"
    assert EventType.STREAM_DELETED not in local.types(uid)


async def test_what_is_missing_on_a_second_look_is_gone(local: Installation) -> None:
    local.write("a.yaml", live_stream("a") + "---\n" + live_stream("b"))
    await local.start()
    uid = local.stream("a")["metadata"]["uid"]
    local.write("a.yaml", live_stream("b"))
    await local.control.reconcile()
    assert local.get("LiveStream", "a") is not None and not local.control.reconcile_is_due
    await local.wait()
    assert local.get("LiveStream", "a") is None and local.get("LiveStream", "b") is not None
    assert local.get("Secret", "a-stream-key") is None and local.types(uid)[-1] == EventType.STREAM_DELETED
    assert not local.control.reconcile_is_due


async def test_a_file_that_is_being_written_is_waited_for(local: Installation) -> None:
    local.write("all.yaml", live_stream("a") + "---\n" + live_stream("b"))
    await local.start()
    local.write("all.yaml", "# 1\n" + live_stream("a"))
    await local.control.reconcile()
    local.write("all.yaml", "# 1 2\n" + live_stream("a"))
    await local.wait()
    assert local.get("LiveStream", "b") is not None, "the file changed between the looks"
    await local.wait()
    assert local.get("LiveStream", "b") is None


async def test_a_missing_folder_removes_nothing(local: Installation) -> None:
    local.write("a.yaml", live_stream("a"))
    await local.start()
    local.manifests.rename(local.manifests.with_name("away"))
    await local.control.reconcile()
    await local.wait(600)
    assert local.get("LiveStream", "a") is not None and "no such file or folder" in str(local.problems[0])


async def test_a_file_is_the_same_wherever_the_process_was_started(
    local: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.write("a.yaml", live_stream("a"))
    monkeypatch.chdir(local.manifests.parent)
    absolute, local.manifests = local.manifests, Path("m")
    await local.start()
    await local.stop()
    local.manifests = absolute
    local.write("a.yaml", "a: [")
    await local.start()
    await local.wait(600)
    assert local.get("LiveStream", "a") is not None


# One object


async def test_a_manifest_cannot_reach_what_onair_remembers(local: Installation) -> None:
    local.write("a.yaml", live_stream("a"))
    await local.start()
    local.write("a.yaml", live_stream("a", metadata=", annotations: {onair.dev/journal: hello}"))
    local.write("b.yaml", live_stream("b"))
    await local.control.reconcile()
    assert "onair.dev/ is OnAir's own" in str(local.problems[0]) and local.ready("b") == ("True", "AcceptingPublisher")


async def test_an_object_that_cannot_be_written_costs_nothing_else_and_is_tried_again(
    local: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = durable.replace

    def refuse(path: Path, content: bytes, mode: int) -> None:
        if path.name == "a.yaml":
            raise OSError(errno.ENAMETOOLONG, "File name too long", str(path))
        replace(path, content, mode)

    monkeypatch.setattr(durable, "replace", refuse)
    local.write("a.yaml", live_stream("a"))
    local.write("b.yaml", live_stream("b"))
    await local.start()
    assert local.get("LiveStream", "a") is None and local.ready("b")[0] == "True"
    monkeypatch.undo()
    await local.wait(RETRY_SECONDS)
    assert local.ready("a")[0] == "True" and not local.control.reconcile_is_due


async def test_a_removal_that_fails_is_tried_again(local: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    local.write("a.yaml", live_stream("a"))
    local.write("b.yaml", live_stream("b"))
    await local.start()

    async def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(local.control.objects, "delete", refuse)
    (local.manifests / "a.yaml").unlink()
    await local.control.reconcile()
    await local.wait()
    assert local.get("LiveStream", "a") is not None and local.ready("b")[0] == "True"
    monkeypatch.undo()
    await local.wait(RETRY_SECONDS)
    await local.wait()
    assert local.get("LiveStream", "a") is None and not local.control.reconcile_is_due


async def test_a_full_disk_is_for_all_to_wait_for(local: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes, mode: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(durable, "replace", refuse)
    local.write("a.yaml", live_stream("a"))
    with pytest.raises(OSError, match="No space left"):
        await local.start()


async def test_an_object_from_elsewhere_that_makes_no_sense_costs_nothing_else(local: Installation) -> None:
    local.write("a.yaml", live_stream("a"))
    local.write("b.yaml", live_stream("b"))
    await local.start()
    await local.stop()
    file = local.state.path("LiveStream", "default", "a")
    file.write_text(file.read_text().replace("latencyMode: standard", "latencyMode: [5]"))
    local.write("a.yaml", "a: [")
    local.write("b.yaml", live_stream("b", "{title: x}"))
    await local.start()
    assert local.stream("b")["status"]["observedGeneration"] == 2


async def test_a_store_that_cannot_be_opened_shows_in_status_until_it_can(local: Installation, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, where a folder is needed")
    local.write("c.yaml", live_stream("c", f"{{store: {{url: 'file://{blocked}/rec'}}}}", "LiveStreamClass"))
    local.write("a.yaml", live_stream("a", "{className: c}"))
    await local.start()
    assert local.ready("c", "LiveStreamClass") == ("False", "StoreUnavailable")
    assert local.ready("a") == ("True", "AcceptingPublisher"), "without recordings, but it accepts a publisher"
    asset = {
        "apiVersion": "onair.dev/v1alpha1", "kind": "Asset", "metadata": {"name": "a-1", "namespace": "default"},
        "spec": {"store": {"url": f"file://{blocked}/rec"}}, "status": {"state": "Ready"},
    }  # fmt: skip
    await local.control.objects.apply(asset, 0)
    await local.control.reconcile()
    assert local.ready("a-1", "Asset") == ("False", "StoreUnavailable")
    blocked.unlink()
    await local.wait(RETRY_SECONDS)
    assert local.ready("c", "LiveStreamClass") == ("True", "Usable")
    assert (local.get("Asset", "a-1") or {})["status"]["observedGeneration"] == 1
    assert local.ready("a-1", "Asset")[1] != "StoreUnavailable" and not local.control.reconcile_is_due


# Who has what


async def test_a_renamed_stream_takes_over_its_id(local: Installation) -> None:
    local.write("a.yaml", live_stream("old", "{playback: [{id: my-own-id-1}]}"))
    await local.start()
    local.write("a.yaml", live_stream("new", "{playback: [{id: my-own-id-1}]}"))
    await local.control.reconcile()
    await local.wait()
    assert local.get("LiveStream", "old") is None
    assert local.ready("new") == ("True", "AcceptingPublisher")
    assert local.stream("new")["status"]["playback"][0]["id"] == "my-own-id-1"


async def test_a_deleted_streams_key_is_free_at_once(local: Installation) -> None:
    local.write("s.yaml", own_secret("own", streamKey="x" * 30))
    for name in ("a", "b"):
        local.write(f"{name}.yaml", live_stream(name, "{streamKey: {secretRef: {name: own}}}"))
    await local.start()
    assert local.ready("a")[0] == "True" and local.ready("b") == ("False", "StreamKeyTaken")
    (local.manifests / "a.yaml").unlink()
    await local.control.reconcile()
    await local.wait()
    assert local.ready("b") == ("True", "AcceptingPublisher")


async def test_who_holds_a_key_keeps_it_from_an_older_one(local: Installation) -> None:
    local.write("s.yaml", own_secret("own", streamKey="x" * 30))
    local.write("older.yaml", live_stream("older"))
    await local.start()
    local.clock.time += 100
    local.write("holder.yaml", live_stream("holder", "{streamKey: {secretRef: {name: own}}}"))
    await local.control.reconcile()
    local.write("older.yaml", live_stream("older", "{streamKey: {secretRef: {name: own}}}"))
    await local.control.reconcile()
    assert local.ready("holder")[0] == "True" and local.ready("older") == ("False", "StreamKeyTaken")
    assert "x" * 30 not in str(local.stream("holder"))


async def test_a_users_secret_is_never_written_over(local: Installation) -> None:
    local.write("a.yaml", live_stream("a"))
    local.write("s.yaml", own_secret("a-stream-key", secret="mine"))
    await local.start()
    await local.control.reconcile()
    found = local.get("Secret", "a-stream-key")
    assert found is not None and list(found["data"]) == ["secret"] and found["metadata"]["generation"] == 1
    assert local.ready("a") == ("False", "SecretNotOwned")
    (local.manifests / "s.yaml").unlink()
    await local.control.reconcile()
    await local.wait()
    found = local.get("Secret", "a-stream-key")
    assert found is not None and list(found["data"]) == ["streamKey"] and local.ready("a")[0] == "True"


async def test_a_mistyped_class_leaves_nothing_behind(local: Installation) -> None:
    local.write("a.yaml", live_stream("a", "{className: standrad}"))
    await local.start()
    assert local.ready("a") == ("False", "ClassNotFound") and "className" not in local.stream("a")["status"]
    local.write("a.yaml", live_stream("a"))
    await local.control.reconcile()
    assert local.ready("a")[0] == "True" and local.stream("a")["status"]["className"] == "standard"


async def test_the_default_classes_limits_reach_the_port_with_each_edit(local: Installation) -> None:
    def standard(limits: str) -> str:
        mark = ', annotations: {onair.dev/is-default-class: "true"}'
        return live_stream("standard", f"{{limits: {limits}}}", "LiveStreamClass", mark)

    local.write("class.yaml", standard("{mediaTimeoutSeconds: 30}"))
    await local.start()
    assert local.limits == LimitsSpec(media_timeout_seconds=30)
    local.write("class.yaml", standard("{handshakeTimeoutSeconds: 5, publishTimeoutSeconds: 6}"))
    await local.control.reconcile()
    assert local.limits == LimitsSpec(handshake_timeout_seconds=5, publish_timeout_seconds=6)
    local.write("class.yaml", standard("{mediaTimeoutSeconds: 9}"))
    await local.control.reconcile()
    assert local.limits == LimitsSpec(handshake_timeout_seconds=5, publish_timeout_seconds=6), "10 s are for takeover"
    assert "limits.mediaTimeoutSeconds" in local.problems[0].message


async def test_of_two_default_classes_the_newest_counts_and_both_say_so(local: Installation) -> None:
    marked = ", annotations: {onair.dev/is-default-class: 'true'}"
    local.write("old.yaml", live_stream("a-old", "{}", "LiveStreamClass", marked))
    await local.start()
    local.clock.time += 100
    local.write("new.yaml", live_stream("b-new", "{}", "LiveStreamClass", marked))
    local.write("s.yaml", live_stream("s"))
    await local.control.reconcile()
    assert local.stream("s")["status"]["className"] == "b-new"
    assert local.ready("a-old", "LiveStreamClass", "Default") == ("False", "AnotherIsNewer")
    assert local.ready("b-new", "LiveStreamClass", "Default") == ("True", "MarkedAsDefault")
    local.write("old.yaml", live_stream("a-old", "{}", "LiveStreamClass"))
    await local.control.reconcile()
    conditions = (local.get("LiveStreamClass", "a-old") or {})["status"]["conditions"]
    assert [c["type"] for c in conditions] == ["Ready"]


async def test_a_state_folder_among_the_manifests_is_not_read(tmp_path: Path) -> None:
    local = Installation(tmp_path)
    local.state = LocalState(local.manifests / "state")
    local.state.objects.mkdir(parents=True)
    local.logs = FileEventLogs(local.state.event_logs)
    local.write("a.yaml", live_stream("a"))
    await local.start()
    await local.control.reconcile()
    (local.manifests / "a.yaml").unlink()
    await local.control.reconcile()
    await local.wait()
    assert local.get("LiveStream", "a") is None and "no *.yaml files" in str(local.problems)
    await local.stop()


# What is said


async def test_edits_mistakes_and_keys_are_told_as_they_are_taken_up(local: Installation) -> None:
    local.write("a.yaml", live_stream("a"))
    await local.start()
    told = []
    edits = [
        "{title: x}", "{titel: x}", '{title: x, streamKey: {rotation: "1"}}', "{title: x}", '{streamKey: {rotation: "2"}}'
    ]  # fmt: skip
    for spec in edits:
        with capture_logs() as logs:
            local.write("a.yaml", live_stream("a", spec))
            await local.control.reconcile()
        told.append([line["event"].partition(":")[0] for line in logs if line.get("object") == "LiveStream default/a"])
    another, earlier = (
        "the stream key is another one; the one before is refused",
        "the stream key is an earlier one again",
    )
    assert told == [
        ["updated"], ["keeping the previous version"], ["updated", another], ["updated", earlier], ["updated", another]
    ]  # fmt: skip


async def test_an_endpoint_without_a_secret_or_without_streams_is_told(local: Installation) -> None:
    endpoint = live_stream("e", "{url: http://a.example/, secretRef: {name: s, key: k}}", kind="WebhookEndpoint")
    local.write("e.yaml", endpoint)
    with capture_logs() as logs:
        await local.start()
    assert {line.get("reason") or line["event"] for line in logs} == {
        "SecretMissing", "nothing will be sent: its namespace has no LiveStream"
    }  # fmt: skip
