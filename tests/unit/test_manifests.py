"""Manifests are judged as the API server judges them, each mistake with file, line, field and reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml
from click.testing import CliRunner

from onair_core.contract import LimitsSpec
from onair_core.manifests import LiveStreamClassSpec, LiveStreamSpec, crds, load, spec_of, validate
from onair_core.manifests.commands import validate as validate_command
from onair_core.manifests.crd import crd_folder
from onair_core.manifests.reference import render
from onair_core.manifests.schema import problems as schema_problems
from onair_core.playback.paths import RESERVED_PLAYBACK_IDS, is_playback_id

ROOT = Path(__file__).resolve().parents[2]
CLASS = "apiVersion: onair.dev/v1alpha1\nkind: LiveStreamClass\nmetadata: {name: c}\n"
STREAM = "apiVersion: onair.dev/v1alpha1\nkind: LiveStream\nmetadata: {name: s}\n"


def problems(tmp_path: Path, text: str, old: dict[str, Any] | None = None) -> list[str]:
    file = tmp_path / "m.yaml"
    file.write_text(text)
    found = validate(load([file]), lambda _: old).problems
    return [str(problem).removeprefix(f"{file}:") for problem in found]


def test_the_examples_are_valid() -> None:
    result = validate(load([ROOT / "examples"]))
    assert result.problems == [] and len(result.manifests) >= 4
    assert not any(kind == "WebhookEndpoint" for kind, _, _ in result.manifests)  # its events would pile up


def _uncommented() -> str:
    """As the file itself says: `sed -i 's/^#//'`."""
    return re.sub("^#", "", (ROOT / "examples" / "webhook.yaml").read_text(), flags=re.MULTILINE)


def _first_yaml_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text().split("```yaml\n")[1].split("```")[0]


@pytest.mark.parametrize("text", [_uncommented(), _first_yaml_of("webhooks.md")], ids=["example", "docs"])
def test_a_webhook_can_be_tried_with_one_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "webhook.yaml").write_text(text)
    result = validate(load([tmp_path]))
    assert result.problems == []
    (endpoint,) = (m.value for m in result.manifests.values() if m.identity[0] == "WebhookEndpoint")
    reference = endpoint["spec"]["secretRef"]
    secret = result.manifests["Secret", "default", reference["name"]].value
    assert reference["key"] in secret["data"]
    assert endpoint["metadata"]["namespace"] == "default"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("spec: {titel: x}", "4: spec.titel: unknown field; did you mean title?"),
        ("spec: {reconnectWindowSeconds: 1801}", "4: spec.reconnectWindowSeconds: must be at most 1800; it is 1801"),
        ("spec: {reconnectWindowSeconds: soon}", "4: spec.reconnectWindowSeconds: must be a whole number; it is 'soon'"),
        ("spec: {latencyMode: fast}", "4: spec.latencyMode: must be one of standard, reduced, low; it is 'fast'"),
        ("spec: {latencyMode: low}", "4: spec.latencyMode: only standard is supported in this version"),
        ("spec:\n  playback:\n    - {policy: signed}", "6: spec.playback[0].policy: only public is supported in this version"),
        ("spec:\n  playback:\n    - {}\n    - {}", "7: spec.playback[1]: another entry has the same name 'main'"),
        ("spec: {playback: [{id: short}]}", "4: spec.playback[0].id: must have at least 8 characters; it has 5"),
        ("spec: {slate: {}}", "4: spec.slate: not supported in this version; leave it out"),
        ("spec: {simulcastTargets: [{name: a, url: b}]}", "4: spec.simulcastTargets: not supported in this version; leave it empty"),
        ("spec: {streamKey: {rotation: a, secretRef: {name: b}}}",
         "4: spec.streamKey: rotation belongs to generated keys; with secretRef change the Secret instead"),
        ("spec: {playback: [null]}", "4: spec.playback[0]: must be an object; it is null"),
        ("", "1: spec: is required"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_line_field_and_reason(tmp_path: Path, spec: str, told: str) -> None:
    assert problems(tmp_path, STREAM + spec) == [told]


def test_a_limit_and_a_rule_are_told_together_when_the_shape_is_right(tmp_path: Path) -> None:
    spec = "spec: {reconnectWindowSeconds: 1801, latencyMode: low}"
    assert len(problems(tmp_path, STREAM + spec)) == 2
    shapeless = "spec: {reconnectWindowSeconds: soon, latencyMode: low}"
    assert [told.split(": ")[1] for told in problems(tmp_path, STREAM + shapeless)] == ["spec.reconnectWindowSeconds"]


def test_a_null_is_as_good_as_nothing_also_in_a_map(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(CLASS + "spec: {ingest: {pod: {labels: {team: null, a: b}, annotations: null}}}")
    (manifest,) = validate(load([tmp_path])).manifests.values()
    pod = manifest.value["spec"]["ingest"]["pod"]
    assert pod["labels"] == {"a": "b"} and "annotations" not in pod


@pytest.mark.parametrize(
    ("ingest", "told"),
    [
        ("maxIngestBitrate: 9223372036854775808", "spec.ingest.maxIngestBitrate: must be a whole number or a string;"),
        ("maxIngestBitrate: 1e19", "spec.ingest.maxIngestBitrate: must be a whole number or a string;"),
        ("image: ''", "spec.ingest.image: must have at least 1 characters; it has 0"),
        (
            f"pod: {{nodeSelector: {{{', '.join(f'k{n}: v' for n in range(33))}}}}}",
            "spec.ingest.pod.nodeSelector: must have at most 32 entries; it has 33",
        ),
    ],
)
def test_one_problem_in_few_words(tmp_path: Path, ingest: str, told: str) -> None:
    (found,) = problems(tmp_path, CLASS + f"spec: {{ingest: {{{ingest}}}}}")
    assert found.startswith(f"4: {told}")


def test_defaults_are_the_schemas(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(STREAM + "spec: {playback: [{}]}")
    manifest = validate(load([tmp_path])).manifests["LiveStream", "default", "s"]
    spec = spec_of(manifest.value, LiveStreamSpec)
    assert spec.playback[0].name == "main" and spec.playback[0].policy == "public"
    assert spec.reconnect_window_seconds is None and spec.new_asset_settings.recording
    assert [entry.policy for entry in spec.new_asset_settings.playback] == ["public"]


def test_what_must_not_change_is_judged_against_the_object_as_it_is(tmp_path: Path) -> None:
    old = {"spec": {"audioOnly": False, "test": False}}
    told = problems(tmp_path, STREAM + "spec: {audioOnly: true}", old)
    assert told == ["4: spec.audioOnly: cannot be changed; make another LiveStream"]


def test_one_bad_document_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(STREAM + "spec: {bad: 1}\n---\n" + STREAM.replace("s}", "t}") + "spec: {}\n")
    (tmp_path / "b.yaml").write_text("a: [")
    (tmp_path / "c.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    result = validate(load([tmp_path]))
    assert set(result.manifests) == {("LiveStream", "default", "t")}
    assert result.broken == {("LiveStream", "default", "s")}
    assert result.unreadable == {str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")}, "s may be another object, renamed"
    assert len(result.problems) == 2 and "ConfigMap" in result.skipped[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2", "2: the key 'a' stands twice"),
        ("- 1", "1: expected an object with apiVersion and kind"),
        ("apiVersion: onair.dev/v1alpha1\nkind: Stream\nmetadata: {name: a}", "2: kind: unknown kind Stream"),
        (STREAM.replace("{name: s}", "{name: S!}") + "spec: {}", "3: metadata.name: must be lower-case"),
        (
            STREAM.replace("{name: s}", "{name: s, labels: {a: 1}}") + "spec: {}",
            "3: metadata.labels.a: must be a string",
        ),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {x: '***'}", "4: data.x: must be base64"),
        ("apiVersion: v1\nkind: List\nitems:\n- 5", "4: items[0]: expected an object with apiVersion and kind"),
        (
            "apiVersion: onair.dev/v1alpha1\nkind: Asset\nmetadata: {name: a}\nspec: {}",
            "2: kind: Assets are made by OnAir",
        ),
        (
            "apiVersion: onair.de/v1alpha1\nkind: LiveStream\nmetadata: {name: a}",
            "2: kind: unknown kind LiveStream in onair.de",
        ),
        ("apiVersion: v1\nkind: Secrt\nmetadata: {name: a}", "2: kind: unknown kind Secrt in v1"),
        (STREAM.replace("{name: s}", "{name: a.b}") + "spec: {}", "1: metadata.name must have at most 50 characters"),
        (STREAM.replace("{name: s}", f"{{name: {'a' * 51}}}") + "spec: {}", "1: metadata.name must have at most 50"),
        (
            STREAM.replace("{name: s}", f"{{name: s, labels: {{{'a' * 64}: b}}}}") + "spec: {}",
            f"3: metadata.labels.{'a' * 64}: is not a valid key",
        ),
        (
            STREAM.replace("{name: s}", "{name: s, annotations: {onair.dev/journal: x}}") + "spec: {}",
            "3: metadata.annotations.onair.dev/journal: onair.dev/ is OnAir's own",
        ),
        (
            STREAM + "spec:\n  playback:\n    - id: |\n        keynote-2026\n",
            "6: spec.playback[0].id: must match ^[A-Z",
        ),
        (STREAM + "spec: {? [a] : b}", "4: a key must be a string"),
        (STREAM + "spec: {maxContinuousDurationSeconds: .inf}", "4: .inf is not a number that JSON can hold"),
    ],
)
def test_documents_that_are_no_manifests(tmp_path: Path, text: str, told: str) -> None:
    assert any(problem.startswith(told) for problem in problems(tmp_path, text)), problems(tmp_path, text)


def test_the_same_object_twice_is_a_problem_of_the_second(tmp_path: Path) -> None:
    told = problems(tmp_path, STREAM + "spec: {}\n---\n" + STREAM + "spec: {}\n")
    assert len(told) == 1 and told[0].startswith("8: metadata.name: LiveStream s is declared twice")


def test_validate_exits_with_1_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(STREAM + "spec: {bad: 1}")
    result = CliRunner().invoke(validate_command, [str(tmp_path)])
    assert result.exit_code == 1 and "m.yaml:4: spec.bad: unknown field" in result.output
    assert CliRunner().invoke(validate_command, [str(ROOT / "examples")]).exit_code == 0


def test_validate_finds_two_streams_that_claim_one_playback_id(tmp_path: Path) -> None:
    claim = "spec: {playback: [{id: keynote-2026}]}\n"
    (tmp_path / "a.yaml").write_text(STREAM + claim)
    (tmp_path / "b.yaml").write_text(STREAM.replace("s}", "t}") + claim)
    result = CliRunner().invoke(validate_command, [str(tmp_path), "-o", "yaml"])
    (told,) = yaml.safe_load(result.stdout)
    assert result.exit_code == 1
    assert (told["file"], told["line"], told["path"]) == (str(tmp_path / "b.yaml"), 4, "spec.playback[0].id")
    assert told["message"].startswith(f"keynote-2026 is also claimed in {tmp_path / 'a.yaml'}:4 by default/s")
    assert len(validate(load([tmp_path])).manifests) == 2  # each is valid, as on the API server


@pytest.mark.parametrize("text", ["metadata:\n\tname: x\n", "a:\n  b: 1\n\tc: 2\n", "a: 1\n  \tb: 2\n"])
def test_a_tab_is_called_a_tab(tmp_path: Path, text: str) -> None:
    assert [told.partition(" ")[2] for told in problems(tmp_path, text)] == [
        "not valid YAML: tabs are not allowed, indent with spaces"
    ]


def test_a_link_that_leads_nowhere_is_a_problem_and_what_it_declared_is_unknown(tmp_path: Path) -> None:
    (link := tmp_path / "a.yaml").symlink_to("gone.yaml")
    for path in (tmp_path, link):
        loaded = load([path])
        assert [str(problem) for problem in loaded.problems] == [f"{link}: the symbolic link leads nowhere"]
        assert loaded.unreadable == {str(link)}
    (tmp_path / ".#b.yaml").symlink_to("user@host.1")  # an editor's lock
    assert len(load([tmp_path]).problems) == 1


# The CRD files themselves


def schemas(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, below in schema.get("properties", {}).items():
        found += schemas(below, f"{path}.{name}")
    if "items" in schema:
        found += schemas(schema["items"], f"{path}[]")
    return found


# What the API server knows in a schema (JSONSchemaProps); a key that is not among them is a slip.
VOCABULARY = {
    "additionalProperties", "anyOf", "default", "description", "enum", "format", "items", "maxItems", "maxLength",
    "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "nullable", "pattern", "properties",
    "required", "type", "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys", "x-kubernetes-list-type",
    "x-kubernetes-validations",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(crds()))
def test_every_field_has_a_type_and_a_description(kind: str) -> None:
    for path, schema in schemas(crds()[kind].schema):
        assert set(schema) <= VOCABULARY, path
        if path == ".metadata":
            assert schema == {"type": "object"}, "the API server takes nothing else"
            continue
        assert ("type" in schema) != schema.get("x-kubernetes-int-or-string", False), path
        assert schema.get("description"), path


@pytest.mark.parametrize("kind", sorted(crds()))
def test_rules_compile_and_defaults_fit_their_own_schema(kind: str) -> None:
    for path, schema in schemas(crds()[kind].schema):
        for rule in schema.get("x-kubernetes-validations", ()):
            cel.compile(rule["rule"])
            assert rule["message"], path
        if "default" in schema:
            # The API server applies a rule to the default as it stands, without the defaults of the fields below.
            assert list(schema_problems(schema["default"], schema)) == [], path


@pytest.mark.parametrize("kind", sorted(crds()))
def test_what_users_write_is_bounded_so_that_the_api_server_accepts_the_rules(kind: str) -> None:
    spec = crds()[kind].schema["properties"]["spec"]
    for path, schema in schemas(spec):
        if (schema.get("type") == "string" and "enum" not in schema) or "x-kubernetes-int-or-string" in schema:
            assert "maxLength" in schema, path
        if schema.get("type") == "array":
            assert "maxItems" in schema, path


def test_files_are_custom_resource_definitions() -> None:
    for file in crd_folder().glob("*.yaml"):
        crd = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = crd["spec"]["names"]
        assert crd["apiVersion"] == "apiextensions.k8s.io/v1"
        assert crd["metadata"]["name"] == f"{names['plural']}.{crd['spec']['group']}" == file.stem
        version = crd["spec"]["versions"][0]
        assert version["subresources"] == {"status": {}} and version["additionalPrinterColumns"]


@pytest.mark.parametrize(
    "word", ["watch", "healthz", "metrics", "watch-me-live", "keynote-2026", "-keynote1", "a" * 129]
)
def test_the_schema_and_the_server_agree_on_playback_ids(tmp_path: Path, word: str) -> None:
    refused = bool(problems(tmp_path, STREAM + f"spec: {{playback: [{{id: {word!r}}}]}}"))
    assert refused == (not is_playback_id(word) or word in RESERVED_PLAYBACK_IDS)


def test_the_servers_own_paths_are_too_short_to_be_playback_ids(tmp_path: Path) -> None:
    for word in RESERVED_PLAYBACK_IDS:
        assert problems(tmp_path, STREAM + f"spec: {{playback: [{{id: {word}}}]}}"), word


@pytest.mark.parametrize(
    ("written", "bits"),
    [("20M", 20_000_000), ("2.5M", 2_500_000), ("800000", 800_000), ("800k", 800_000), ("1G", 10**9)],
)
def test_bitrates_are_numbers_or_quantities(tmp_path: Path, written: str, bits: int) -> None:
    (tmp_path / "m.yaml").write_text(CLASS + f"spec: {{ingest: {{maxIngestBitrate: {written}}}}}")
    (manifest,) = validate(load([tmp_path])).manifests.values()
    spec = spec_of(manifest.value, LiveStreamClassSpec)
    assert spec.ingest.max_ingest_bits_per_second == bits
    assert spec.limits == LimitsSpec() and spec.limits.max_connections == 5000


@pytest.mark.parametrize("written", ["20Mi", "-1", "0", "fast", "1.5", "''", "'20M '"])
def test_what_is_no_bitrate_is_refused(tmp_path: Path, written: str) -> None:
    assert problems(tmp_path, CLASS + f"spec: {{ingest: {{maxIngestBitrate: {written}}}}}")


@pytest.mark.parametrize(
    ("takeover", "media", "refused"),
    [(10, 15, False), (15, 15, False), (60, 60, False), (1, 1, False), (16, 15, True), (10, 9, True)],
)
def test_a_publisher_may_be_replaced_before_it_is_disconnected(
    tmp_path: Path, takeover: int, media: int, refused: bool
) -> None:
    spec = f"spec: {{ingest: {{publisherTimeoutSeconds: {takeover}}}, limits: {{mediaTimeoutSeconds: {media}}}}}"
    found = problems(tmp_path, CLASS + spec)
    assert bool(found) == refused
    assert all("must not be more than limits.mediaTimeoutSeconds" in problem for problem in found)


def test_what_is_left_out_counts_in_that_too(tmp_path: Path) -> None:
    assert problems(tmp_path, CLASS + "spec: {limits: {mediaTimeoutSeconds: 5}}")
    assert problems(tmp_path, CLASS + "spec: {ingest: {publisherTimeoutSeconds: 16}}")


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [("handshakeTimeoutSeconds", 1, 60), ("publishTimeoutSeconds", 1, 120), ("mediaTimeoutSeconds", 10, 300)],
)
def test_deadlines_have_bounds(tmp_path: Path, field: str, least: int, most: int) -> None:
    for value in (least, most):
        assert not problems(tmp_path, CLASS + f"spec: {{limits: {{{field}: {value}}}}}")
    for value in (0, most + 1):
        assert problems(tmp_path, CLASS + f"spec: {{limits: {{{field}: {value}}}}}")


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == render(), "run make docs"
