"""The objects of `onair local` on disk: as an API server would keep them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from onair_core.local_state import LocalState, LocalStateError
from onair_core.manifests import COMPLETE, DEFAULT_CLASS
from onair_operator.local.bookkeeping import JOURNAL, SOURCE, for_people, note, noted
from onair_operator.local.objects import Change, Objects
from onair_operator.local.requests import CompleteRequest, submit, waiting
from onair_operator.local.secrets import RootSecretError, root_secret, stream_key_secret


@pytest.fixture
def state(tmp_path: Path) -> LocalState:
    (tmp_path / "objects").mkdir()
    return LocalState(tmp_path)


def manifest(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStream",
            "metadata": {"name": "s", "namespace": "default"}, "spec": spec}  # fmt: skip


IDENTITY = ("LiveStream", "default", "s")


async def test_generation_counts_changes_of_spec_and_nothing_is_written_without_one(state: LocalState) -> None:
    objects = Objects(state)
    assert await objects.apply(manifest(title="a"), 0, "m.yaml") is Change.CREATED
    file = state.path(*IDENTITY)
    written = file.stat().st_mtime_ns
    assert await objects.apply(manifest(title="a"), 5, "m.yaml") is Change.NONE
    assert file.stat().st_mtime_ns == written
    assert await objects.apply(manifest(title="b"), 9, "m.yaml") is Change.UPDATED
    found = objects.get(IDENTITY)
    assert found is not None
    assert found["metadata"]["generation"] == 2 and noted(found, SOURCE) == "m.yaml"
    relabelled = manifest(title="b")
    relabelled["metadata"]["labels"] = {"a": "b"}
    assert await objects.apply(relabelled, 9, "m.yaml") is Change.RELABELLED
    assert (objects.get(IDENTITY) or {})["metadata"]["generation"] == 2


async def test_status_and_uid_survive_a_restart_and_a_change(state: LocalState) -> None:
    objects = Objects(state)
    await objects.apply(manifest(), 0)
    value = objects.get(IDENTITY)
    assert value is not None
    value["status"] = {"phase": "Active"}
    assert await objects.update(value) and not await objects.update(value)
    again = Objects(state)
    await again.apply(manifest(title="new"), 0)
    found = again.get(IDENTITY)
    assert found is not None and found["status"] == {"phase": "Active"}
    assert found["metadata"]["uid"] == value["metadata"]["uid"]


async def test_secrets_are_for_their_owner_only(state: LocalState) -> None:
    objects = Objects(state)
    await objects.apply(manifest(), 0)
    stream = objects.get(IDENTITY)
    assert stream is not None
    await objects.apply(stream_key_secret(stream, "the-key"), 0)
    assert state.path("Secret", "default", "s-stream-key").stat().st_mode & 0o777 == 0o600


async def test_what_onair_remembers_is_out_of_a_manifests_reach(state: LocalState) -> None:
    objects = Objects(state)
    await objects.apply(manifest(title="a"), 0, "/m.yaml")
    value = objects.get(IDENTITY)
    assert value is not None
    note(value, JOURNAL, "2.5")
    await objects.update(value)
    changed = manifest(title="b")
    changed["metadata"]["annotations"] = {"team": "a"}
    await objects.apply(changed, 1, "/n.yaml")
    found = Objects(state).get(IDENTITY)
    assert found is not None and (noted(found, JOURNAL), noted(found, SOURCE)) == ("2.5", "/n.yaml")
    assert found["metadata"]["annotations"] == {"team": "a"} and "bookkeeping" not in for_people(found)


async def test_an_annotation_goes_with_its_manifest_but_a_completed_broadcast_stays_so(state: LocalState) -> None:
    objects = Objects(state)
    marked = manifest()
    marked["metadata"]["annotations"] = {DEFAULT_CLASS: "true", COMPLETE: "s-1", "team": "a"}
    await objects.apply(marked, 0, "/m.yaml")
    await objects.apply(manifest(), 1, "/m.yaml")
    assert (objects.get(IDENTITY) or {})["metadata"]["annotations"] == {COMPLETE: "s-1"}


@pytest.mark.parametrize(
    "content", ["a: [", "", "- 1", "kind: LiveStream", "\xff", "kind: LiveStream\nmetadata: {name: s}"]
)
async def test_a_damaged_file_is_put_aside_and_costs_nothing_else(state: LocalState, content: str) -> None:
    objects = Objects(state)
    await objects.apply(manifest(), 0, "/m.yaml")
    damaged = state.path("LiveStream", "default", "t")
    damaged.write_bytes(content.encode("latin-1"))
    again = Objects(state)
    assert [value["metadata"]["name"] for value in again.all("LiveStream")] == ["s"]
    assert not damaged.exists() and damaged.with_name("t.yaml.damaged").read_bytes() == content.encode("latin-1")


async def test_a_name_may_be_longer_than_a_files(state: LocalState) -> None:
    objects = Objects(state)
    for end in "ab":
        value = manifest()
        value["kind"], value["metadata"]["name"] = "Secret", "x" * 252 + end
        await objects.apply(value, 0, "/m.yaml")
    assert [value["metadata"]["name"][-1] for value in Objects(state).all("Secret")] == ["a", "b"]
    found = state.read("Secret", "default", "x" * 252 + "b")
    assert found is not None and found["metadata"]["name"].endswith("b")


def test_an_empty_root_secret_is_none(tmp_path: Path) -> None:
    (tmp_path / "root.secret").touch()
    with pytest.raises(RootSecretError, match="missing or empty"):
        root_secret(tmp_path, channels_exist=True)
    assert len(root_secret(tmp_path, channels_exist=False)) == 32
    (tmp_path / "root.secret").write_bytes(b"cut short")
    with pytest.raises(RootSecretError, match="has 9 bytes"):
        root_secret(tmp_path, channels_exist=False)


async def key_of(state: LocalState, data: dict[str, str]) -> str:
    objects = Objects(state)
    await objects.apply(manifest(), 0)
    stream = objects.get(IDENTITY)
    assert stream is not None
    stream["status"] = {"ingest": {"streamKeySecret": {"name": "own", "key": "k"}}}
    if data:
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
        metadata = {"name": "own", "namespace": "default"}
        await objects.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}, 0)
    return state.stream_key(stream)


async def test_a_key_is_what_publishes_without_the_line_end_behind_it(state: LocalState) -> None:
    assert await key_of(state, {"k": "abcdefghijklmnopqrstuvwxyz\n"}) == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "there is no Secret own in namespace default"),
        ({"other": "x" * 30}, "Secret own holds no stream key in k"),
        ({"k": ""}, "Secret own holds no stream key in k"),
        ({"k": "short"}, "the stream key in Secret own must have at least 20 ASCII characters"),
    ],
)
async def test_a_key_that_is_not_there_is_said_so(state: LocalState, data: dict[str, str], told: str) -> None:
    with pytest.raises(LocalStateError, match=told):
        await key_of(state, data)


def test_a_lost_root_secret_is_not_replaced_while_channels_exist(tmp_path: Path) -> None:
    made = root_secret(tmp_path, channels_exist=False)
    assert (tmp_path / "root.secret").stat().st_mode & 0o777 == 0o600
    assert root_secret(tmp_path, channels_exist=True) == made
    (tmp_path / "root.secret").unlink()
    with pytest.raises(RootSecretError, match="Restore it from a backup"):
        root_secret(tmp_path, channels_exist=True)


async def test_an_unknown_stream_is_told_with_those_there_are(state: LocalState) -> None:
    await Objects(state).apply(manifest(), 0)
    with pytest.raises(LocalStateError, match='no LiveStream "x" in namespace "default"; there are: s'):
        state.stream("default", "x")
    with pytest.raises(LocalStateError, match="not the state folder"):
        LocalState(state.folder / "elsewhere").stream("default", "x")


def test_requests_wait_until_somebody_takes_them_up(tmp_path: Path) -> None:
    request = CompleteRequest(namespace="default", name="s", broadcast="b")
    file = submit(tmp_path, request)
    (tmp_path / "nonsense.json").write_text("{")
    assert dict(waiting(tmp_path)) == {file: request, tmp_path / "nonsense.json": None}
