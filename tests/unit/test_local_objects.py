"""The objects of `onair local` on disk: as an API server would keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onair_core.local_state import LocalState, LocalStateError
from onair_operator.local.edit import EditError, set_rotation
from onair_operator.local.objects import SOURCE, Change, Objects
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
    assert found["metadata"]["generation"] == 2 and found["metadata"]["annotations"][SOURCE] == "m.yaml"
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


def test_rotation_is_changed_in_place_and_comments_stay(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(
        "# first\napiVersion: onair.dev/v1alpha1\nkind: LiveStream\nmetadata: {name: s}   # name\nspec:\n"
        '  title: "x"  # title\n  playback:\n    - policy: public\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: t}\n'
    )
    set_rotation(file, "default", "s", "2026-12")
    text = file.read_text()
    assert "# first" in text and "# name" in text and '"x"  # title' in text and "    - policy: public" in text
    assert "streamKey:\n    rotation: 2026-12" in text and "kind: Secret" in text
    with pytest.raises(EditError, match="does not declare LiveStream default/other"):
        set_rotation(file, "default", "other", "1")


def test_requests_wait_until_somebody_takes_them_up(tmp_path: Path) -> None:
    request = CompleteRequest(namespace="default", name="s", broadcast="b")
    file = submit(tmp_path, request)
    (tmp_path / "nonsense.json").write_text("{")
    assert dict(waiting(tmp_path)) == {file: request, tmp_path / "nonsense.json": None}
