"""YAML and JSON mean what they mean to kubectl, and no file can take more than its share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onair_core.manifests import load, validate
from onair_core.manifests.nodes import MAX_BYTES, MAX_NODES
from onair_core.manifests.scalars import key, plain
from onair_core.manifests.schema import as_python_pattern

HEAD = "apiVersion: onair.dev/v1alpha1\nkind: LiveStream\nmetadata: {name: s}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # What sigs.k8s.io/yaml v1.6.0 makes of them.
        ("12:30", "12:30"), ("1:30.5", "1:30.5"), ("1e1", 10), ("1e-3", 0.001), ("1E+2", 100), ("0o17", 15), ("017", 15),
        ("08", 8), ("08.5", 8.5), ("0x1F", 31), ("-0x1f", -31), ("0b11", 3), ("0b2", "0b2"), ("0o8", "0o8"),
        ("1_000", 1000), ("+5", 5), ("-5", -5), ("+.5", 0.5), ("5.", 5), ("60.0", 60), ("00", 0), ("y", True),
        ("Y", True), ("yes", True), ("on", True), ("n", False), ("NO", False), ("off", False), ("True", True),
        ("tRue", "tRue"), ("~", None), ("Null", None), ("nULL", "nULL"), ("", None), ("2001-01-01", "2001-01-01"),
        ("<<", "<<"), ("=", "="), ("1e400", "1e400"), ("1e", "1e"), ("-", "-"), ("Inf", "Inf"), ("\u0661", "\u0661"),
        ("9" * 500, "9" * 500), ("18446744073709551615", 18446744073709551615),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_mean_to_kubectl(text: str, value: Any) -> None:
    assert plain(text) == value and type(plain(text)) is type(value)


def test_keys_are_strings_as_json_has_them() -> None:
    assert [key(text) for text in ("y", "1", "0x10", "1.5", "name")] == ["true", "1", "16", "1.5", "name"]
    with pytest.raises(ValueError, match="null"):
        key("~")


def loaded(tmp_path: Path, text: str, name: str = "m.yaml") -> Any:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = load([tmp_path / name])
    assert found.problems == [], found.problems
    return found.documents[0].value


def test_quotes_and_tags_say_what_a_scalar_is(tmp_path: Path) -> None:
    value = loaded(tmp_path, "a: '12'\nb: !!str 12\nc: !!int '12'\nd: \"yes\"\ne: yes\nf: !!binary aGk=\ng: |\n  5\n")
    assert value == {"a": "12", "b": "12", "c": 12, "d": "yes", "e": True, "f": "hi", "g": "5\n"}


def test_merge_keys_are_followed_and_own_fields_win(tmp_path: Path) -> None:
    text = "a: &a {name: a, policy: public}\nb: &b {x: 1}\nc: {<<: *a, name: c}\nd: {name: d, <<: [*b, {x: 2, z: 3}]}\n"
    value = loaded(tmp_path, text)
    assert value["c"] == {"name": "c", "policy": "public"}
    assert value["d"] == {"name": "d", "x": 1, "z": 3}


def test_json_may_have_tabs_and_characters_beyond_the_basic_plane(tmp_path: Path) -> None:
    content = {"kind": "LiveStream", "title": "\U0001f3a5 \\ud83c", "list": [1, 2.5, None, True]}
    assert loaded(tmp_path, json.dumps(content, indent="\t"), "m.json") == content


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufeffkind: a\n") == {"kind": "a"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8)), str(MAX_NODES)),
        ("m0: &m0 {a: 1}\n" + "".join(f"m{i}: &m{i} {{<<: [{','.join([f'*m{i - 1}'] * 10)}]}}\n" for i in range(1, 8)), str(MAX_NODES)),
        ("a: &a [*a]\n", "nested too deeply"),
        ("a: &a {<<: *a}\n", "nested too deeply"),
        ("[" * 100_000, "nest"),
        ("a: " + "[" * 70 + "]" * 70, "nested too deeply"),
        ("#" * (MAX_BYTES + 1), "longer than 3 MiB"),
    ],
)  # fmt: skip
def test_a_file_that_takes_too_much_is_a_problem_and_nothing_else(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    (tmp_path / "good.yaml").write_text(HEAD + "spec: {}")
    result = validate(load([tmp_path]))
    assert set(result.manifests) == {("LiveStream", "default", "s")}
    assert result.unreadable == {str(tmp_path / "bad.yaml")}
    (problem,) = result.problems
    assert told in problem.message


def test_a_list_of_many_items_is_taken_apart_in_one_pass(tmp_path: Path) -> None:
    items = "".join(f"- {{kind: ConfigMap, apiVersion: v1, metadata: {{name: a{i}}}}}\n" for i in range(15_000))
    (tmp_path / "m.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n{items}")
    found = load([tmp_path])
    assert len(found.documents) == 15_000 and found.documents[-1].lines["metadata", "name"] == 15_003


@pytest.mark.parametrize(
    ("written", "python"), [("^a$", r"^a\Z"), (r"^[$a]\$$", r"^[$a]\$\Z"), (r"^\\$", r"^\\\Z"), (r"[\]$]$", r"[\]$]\Z")]
)
def test_the_end_of_a_pattern_is_the_end_of_the_text(written: str, python: str) -> None:
    assert as_python_pattern(written) == "(?a)" + python


# What is known of an installation, and what is not


@pytest.mark.parametrize(
    "text",
    [
        HEAD.replace("LiveStream", "LiveStrem") + "spec: {}",
        HEAD.replace("v1alpha1", "v1") + "spec: {}",
        HEAD.replace("onair.dev", "onair.de") + "spec: {}",
        HEAD.replace("name: s", "name: S!") + "spec: {}",
        HEAD.replace("{name: s}", "{}") + "spec: {}",
        HEAD.replace("name: s", "name: s, namespace: [a]") + "spec: {}",
        "kind: LiveStream\nmetadata: {name: s}\nspec: {}",
        "- 1",
        "a: [",
        "apiVersion: v1\nkind: List\nitems: [5]",
    ],
)
def test_a_document_whose_object_is_unknown_makes_its_file_unreadable(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    result = validate(load([tmp_path]), lambda identity: {} if identity == ("LiveStream", "default", "s") else None)
    assert result.unreadable == {str(tmp_path / "m.yaml")} and result.problems


def test_a_mistake_in_a_known_object_keeps_that_object_only(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(HEAD + "spec: {bad: 1}")
    result = validate(load([tmp_path]), lambda _: {"spec": {}})
    assert result.unreadable == set() and result.broken == {("LiveStream", "default", "s")}


def test_a_missing_folder_is_unreadable_and_an_empty_file_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "e.yaml").write_text("# nothing\n---\n")
    result = validate(load(["m", "gone"]))
    assert result.unreadable == {str(tmp_path / "gone")}, "wherever the next process stands"


def test_folders_may_be_left_out(tmp_path: Path) -> None:
    for folder in ("m", "m/state/objects", "m/.git"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.yaml").write_text(HEAD + "spec: {}")
    found = load([tmp_path / "m"], exclude=[(tmp_path / "m" / "state").resolve()])
    assert [document.file for document in found.documents] == [str(tmp_path / "m" / "a.yaml")]
