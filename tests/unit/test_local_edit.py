"""`onair rotate-key` changes one value of a file, and not another character of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onair_operator.local.edit import EditError, set_rotation

HEAD = "apiVersion: onair.dev/v1alpha1\nkind: LiveStream\nmetadata: {name: s}\n"


def rotated(tmp_path: Path, text: str, name: str = "m.yaml", rotation: str = "2026-12") -> str:
    file = tmp_path / name
    file.write_bytes(text.encode())
    set_rotation(file, "default", "s", rotation)
    return file.read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("spec: {}\n", 'spec: {streamKey: {rotation: "2026-12"}}\n'),
        ("spec: {title: x}  # c\n", 'spec: {streamKey: {rotation: "2026-12"}, title: x}  # c\n'),
        ("spec:\n    title:   x # c\n", 'spec:\n    streamKey: {rotation: "2026-12"}\n    title:   x # c\n'),
        ("spec:\n  streamKey: {}\n", 'spec:\n  streamKey: {rotation: "2026-12"}\n'),
        ("spec:\n  streamKey:\n  title: x\n", 'spec:\n  streamKey: {rotation: "2026-12"}\n  title: x\n'),
        ("spec:\n  streamKey: ~ # c\n", 'spec:\n  streamKey: {rotation: "2026-12"} # c\n'),
        ("spec:\n  streamKey:\n    rotation: a # c\n", 'spec:\n  streamKey:\n    rotation: "2026-12" # c\n'),
        ("spec:\n  streamKey:\n    rotation: 'a'\n", 'spec:\n  streamKey:\n    rotation: "2026-12"\n'),
        ("spec:\n  streamKey:\n    rotation:\n", 'spec:\n  streamKey:\n    rotation: "2026-12"\n'),
        ("spec:\n  streamKey:\n    rotation: |\n      a\n  title: x\n", 'spec:\n  streamKey:\n    rotation: "2026-12"\n  title: x\n'),
        ("spec: {streamKey: {rotation: a}}\r\n", 'spec: {streamKey: {rotation: "2026-12"}}\r\n'),
    ],
)  # fmt: skip
def test_what_changes_is_the_value_alone(tmp_path: Path, before: str, after: str) -> None:
    around = "# é first\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n- 0o17\n---\n"
    assert rotated(tmp_path, around + HEAD + before) == around + HEAD + after


def test_in_a_list_the_right_item_is_changed(tmp_path: Path) -> None:
    item = "- " + HEAD.replace("\n", "\n  ") + "spec:\n    title: x\n"
    text = "apiVersion: v1\nkind: List\nitems:\n" + item.replace("name: s", "name: t") + item
    made = rotated(tmp_path, text)
    assert made == text[: -len("title: x\n")] + 'streamKey: {rotation: "2026-12"}\n    title: x\n'


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_stays_json(tmp_path: Path, indent: int | str | None) -> None:
    value = {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStream", "metadata": {"name": "s"},
             "spec": {"title": "\U0001f3a5"}}  # fmt: skip
    made = rotated(tmp_path, json.dumps(value, indent=indent), "m.json")
    assert json.loads(made)["spec"] == {"title": "\U0001f3a5", "streamKey": {"rotation": "2026-12"}}
    again = rotated(tmp_path, made, "m.json", "2027")
    assert again == made.replace("2026-12", "2027")


def test_a_symbolic_link_stays_one_and_modes_stay(tmp_path: Path) -> None:
    real = tmp_path / "repo.yaml"
    real.write_text(HEAD + "spec: {}\n")
    real.chmod(0o640)
    link = tmp_path / "m.yaml"
    link.symlink_to("repo.yaml")
    set_rotation(link, "default", "s", "1")
    assert link.is_symlink() and "rotation" in real.read_text() and real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.yaml", "repo.yaml"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD.replace("name: s", "name: t") + "spec: {}", "does not declare LiveStream default/s"),
        (HEAD.replace("name: s", "name: s, namespace: x") + "spec: {}", "does not declare LiveStream default/s"),
        ("a: [", "cannot be read"),
        (
            HEAD.replace("name: s", "name: t") + "spec: &x {streamKey: &k {rotation: a}}\n---\n" + HEAD
            + "spec: {title: x}\n", "",
        ),
        (
            "apiVersion: v1\nkind: List\nx: &k {rotation: a}\nitems:\n- " + HEAD.replace("\n", "\n  ")
            + "spec: {streamKey: *k}\n", "cannot be changed safely",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_alone_is_left_as_it_is(tmp_path: Path, text: str, told: str) -> None:
    if not told:
        assert rotated(tmp_path, text).endswith('spec: {streamKey: {rotation: "2026-12"}, title: x}\n')
        return
    with pytest.raises(EditError, match=told):
        rotated(tmp_path, text)
    assert (tmp_path / "m.yaml").read_text() == text


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(EditError, match="No such file"):
        set_rotation(tmp_path / "m.yaml", "default", "s", "1")
