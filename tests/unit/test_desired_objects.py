"""What is made of one LiveStream on Kubernetes: the whole objects (golden files), and what holds for all of them.

`ONAIR_GOLDEN=write pytest tests/unit/test_desired_objects.py` writes the golden files anew; read the difference.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from desired_stage import CONTROL, FULL_CLASS, KEY, STREAM, provision
from hypothesis import given
from hypothesis import strategies as st
from pod_security import violations

from onair_core.contract import (
    Cursor,
    OpenBroadcast,
    PackagingSettings,
    PlaybackEntry,
    PodConfig,
    ServedAsset,
    StreamRef,
    config_hash,
)
from onair_media.pod.commands import ingest
from onair_media.pod.settings import read_settings
from onair_operator.desired.labels import incarnation_selector, stream_selector
from onair_operator.desired.naming import Incarnation, pod_name
from onair_operator.desired.networkpolicy import network_policy
from onair_operator.desired.pod import CONFIG_HASH, INCARNATION_NUMBER, POD_HASH, RESUMES, pod, pod_hash
from onair_operator.desired.provision import Provision
from onair_operator.desired.secrets import pod_secret, store_secret, stream_key_secret
from onair_operator.desired.service import service
from onair_operator.desired.volume import volume_claim

GOLDEN = Path(__file__).parent / "golden"
PLAIN = provision()
FULL = provision(FULL_CLASS, number=7, rtmps_secret="standard-ingest-tls")

BUILDERS = (stream_key_secret, pod_secret, volume_claim, network_policy, pod, service)


def children(of: Provision) -> list[dict[str, Any]]:
    return [made for build in BUILDERS if (made := build(of)) is not None]


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def readable(made: dict[str, Any]) -> dict[str, Any]:
    return made if made["kind"] != "Secret" else {**made, "data": {"(decoded)": True, **decoded(made)}}


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.mark.parametrize(("name", "given_"), [("plain", PLAIN), ("full", FULL)])
def test_the_children_are_those_of_the_golden_file(name: str, given_: Provision) -> None:
    rendered = yaml.safe_dump_all(map(readable, children(given_)), sort_keys=False, width=120)
    file = GOLDEN / f"livestream-{name}.yaml"
    if os.environ.get("ONAIR_GOLDEN") == "write":
        file.write_text(rendered, encoding="utf-8")
    assert rendered == file.read_text(encoding="utf-8")


# For all of them


@pytest.mark.parametrize("given_", [PLAIN, FULL])
def test_children_belong_to_the_livestream_and_lie_beside_it(given_: Provision) -> None:
    for child in children(given_):
        metadata = child["metadata"]
        assert metadata["namespace"] == "events"
        assert metadata["ownerReferences"] == [
            {
                "apiVersion": "onair.dev/v1alpha1",
                "kind": "LiveStream",
                "name": "keynote",
                "uid": STREAM.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        assert (
            metadata["labels"].items()
            >= {
                "app.kubernetes.io/name": "onair",
                "app.kubernetes.io/instance": "keynote",
                "app.kubernetes.io/component": "ingest",
                "app.kubernetes.io/managed-by": "onair",
            }.items()
        )


def test_labels_and_annotations_are_onairs_and_those_the_class_names() -> None:
    of_class = {"team", "prometheus.io/scrape", "external-dns.alpha.kubernetes.io/hostname"}
    known = ("app.kubernetes.io/", "onair.dev/", "cluster-autoscaler.kubernetes.io/", "karpenter.sh/")
    for child in children(FULL):
        names = {*child["metadata"]["labels"], *child["metadata"].get("annotations", {})}
        assert not {name for name in names - of_class if not name.startswith(known)}


def test_the_class_cannot_take_labels_away_that_selectors_need() -> None:
    hostile = {"ingest": {"pod": {"labels": {"onair.dev/live-stream": "other"}, "annotations": {POD_HASH: "0"}}}}
    made = pod(provision(hostile))["metadata"]
    assert made["labels"]["onair.dev/live-stream"] == "keynote" and made["annotations"][POD_HASH] != "0"


def test_keys_and_tokens_are_in_secrets_only() -> None:
    secret = (KEY, CONTROL.token, CONTROL.private_key.strip())
    for child in children(FULL):
        text = json.dumps(child)
        assert child["kind"] == "Secret" or not any(word in text for word in secret)
    assert not any(word in repr(FULL) for word in secret)


@given(
    name=st.from_regex(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?", fullmatch=True),
    number=st.integers(min_value=1, max_value=10**9),
)
def test_names_are_valid_and_short_enough_for_a_label(name: str, number: int) -> None:
    given_ = provision(FULL_CLASS, stream=StreamRef("events", name, "uid"), number=number, rtmps_secret="x")
    for child in children(given_):
        assert len(child["metadata"]["name"]) <= 63
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", child["metadata"]["name"])
        assert all(len(value) <= 63 for value in child["metadata"]["labels"].values())


# Selectors


def test_the_service_selects_the_current_incarnation_alone() -> None:
    selector = service(PLAIN)["spec"]["selector"]
    assert matches(selector, pod(PLAIN)["metadata"]["labels"])
    made_anew = StreamRef("events", "keynote", "another-uid")
    for other in (provision(number=2), provision(stream=made_anew), provision(stream=StreamRef("events", "b", "b"))):
        assert not matches(selector, pod(other)["metadata"]["labels"])


def test_the_policy_is_for_every_incarnation_of_the_stream_and_for_no_other() -> None:
    selector = network_policy(PLAIN)["spec"]["podSelector"]["matchLabels"]
    assert (
        selector == stream_selector(STREAM)
        and selector.items() < incarnation_selector(STREAM, PLAIN.incarnation).items()
    )
    assert all(matches(selector, pod(provision(number=n))["metadata"]["labels"]) for n in (1, 2))
    assert not matches(selector, pod(provision(stream=StreamRef("events", "b", "b")))["metadata"]["labels"])


def test_ports_lead_to_the_pods() -> None:
    (container,) = pod(PLAIN)["spec"]["containers"]
    by_name = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert by_name == {"rtmp": 5222, "http": 8080, "control": 9090, "probes": 9091}
    assert {port["port"]: by_name[port["targetPort"]] for port in service(PLAIN)["spec"]["ports"]} == {
        5222: 5222,
        8080: 8080,
    }


# Pod


@pytest.mark.parametrize("given_", [PLAIN, FULL])
def test_the_pod_is_restricted(given_: Provision) -> None:
    made = pod(given_)
    assert violations(made) == []
    spec, (container,) = made["spec"], made["spec"]["containers"]
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert written == {"/data", "/tmp"}
    assert spec["securityContext"]["runAsUser"] == 10001


def test_where_the_platform_gives_the_user_the_pod_names_none() -> None:
    made = pod(provision({"ingest": {"pod": {"assignedUser": True}}}))
    assert violations(made) == []
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(made["spec"]["securityContext"])


def test_what_is_not_restricted_is_seen() -> None:
    made = pod(PLAIN)
    made["spec"] |= {"hostNetwork": True, "securityContext": {}, "volumes": [{"name": "x", "hostPath": {"path": "/"}}]}
    made["spec"]["containers"][0]["securityContext"] = {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}
    assert len(violations(made)) == 6


@pytest.mark.parametrize("given_", [PLAIN, FULL])
def test_the_process_understands_its_arguments(given_: Provision, tmp_path: Path) -> None:
    (container,) = pod(given_)["spec"]["containers"]
    verb, *arguments = container["args"]
    folders = [argument.partition("=")[2] for argument in arguments if argument.partition("=")[2].startswith("/")]
    assert set(folders) <= {mount["mountPath"] for mount in container["volumeMounts"]}
    here = [re.sub("=/.*", f"={tmp_path}", argument) for argument in arguments]
    assert verb == ingest.name and ingest.make_context(verb, here).params["probes"] == ("", 9091)


def test_volumes_and_mounts_agree() -> None:
    for given_ in (PLAIN, FULL):
        spec = pod(given_)["spec"]
        assert {volume["name"] for volume in spec["volumes"]} == {
            mount["name"] for mount in spec["containers"][0]["volumeMounts"]
        }


def test_the_volume_is_the_classs() -> None:
    limited = provision({"ingest": {"volume": {"emptyDir": {"sizeLimit": "10Gi"}}}})
    assert pod(limited)["spec"]["volumes"][0] == {"name": "data", "emptyDir": {"sizeLimit": "10Gi"}}
    assert volume_claim(PLAIN) is volume_claim(limited) is None
    claim = volume_claim(FULL)
    assert claim is not None
    assert pod(FULL)["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_other_lives_have_other_names() -> None:
    names = {pod_name("keynote", Incarnation(uid, number)) for uid in ("a", "b") for number in range(1, 1000)}
    assert len(names) == 2 * 999


# Hashes


def test_what_a_live_pod_can_be_told_makes_no_other_pod() -> None:
    for changed in (
        provision(key="another-key-of-at-least-twenty-characters"),
        provision(key=None),
        provision(playback=(PlaybackEntry("main", "another-playback-id"),)),
        provision(reconnect_window=0.0, disabled=True),
        provision(packaging=PackagingSettings(live_window_seconds=60.0)),
    ):
        assert pod_hash(changed) == pod_hash(PLAIN)
        assert config_hash(changed.config) != config_hash(PLAIN.config)
        told, usual = pod(changed), pod(PLAIN)
        assert told["metadata"]["annotations"].pop(CONFIG_HASH) != usual["metadata"]["annotations"].pop(CONFIG_HASH)
        assert told == usual, "it only says what it began with"


def test_the_next_incarnation_of_the_same_pod_has_its_hash() -> None:
    assert pod_hash(provision(number=2)) == pod_hash(PLAIN) == pod(PLAIN)["metadata"]["annotations"][POD_HASH]
    assert pod(provision(number=2))["metadata"]["annotations"][INCARNATION_NUMBER] == "2"


@pytest.mark.parametrize(
    "changed",
    [
        provision(image="ghcr.io/onair/onair:1.0.1"),
        provision(rtmps_secret="ingest-tls"),
        provision({"ingest": {"image": "x"}}),
        provision({"ingest": {"imagePullPolicy": "Always"}}),
        provision({"ingest": {"pod": {"assignedUser": True}}}),
        provision({"ingest": {"volume": {"emptyDir": {"sizeLimit": 1}}}}),
        provision(store_secret="keynote-store"),
        provision({"ingest": {"pod": {"serviceAccountName": "recorder"}}}),
        *(
            provision({"ingest": {"pod": {name: value}}})
            for name, value in FULL_CLASS["ingest"]["pod"].items()
        ),
    ],
)  # fmt: skip
def test_what_a_running_pod_cannot_become_makes_another_pod(changed: Provision) -> None:
    assert pod_hash(changed) != pod_hash(PLAIN)


def test_the_service_is_exposed_as_the_class_says() -> None:
    wanted = {name: value for name, value in FULL_CLASS["ingest"]["service"].items() if name != "annotations"}
    spec = service(FULL)["spec"]
    assert {name: spec[name] for name in wanted} == wanted
    assert set(service(PLAIN)["spec"]) == {"type", "selector", "ports"}


def test_credentials_of_the_store_are_copied_and_mounted_as_they_are() -> None:
    given_ = provision(store="s3://bucket/onair", store_secret="keynote-store")
    source = {"metadata": {"name": "recordings-s3", "labels": {"a": "b"}}, "data": {"AWS_ACCESS_KEY_ID": "YQ=="}}
    copy = store_secret(given_, source)
    assert copy is not None and copy["data"] == source["data"] and copy["metadata"]["name"] == "keynote-store"
    assert "a" not in copy["metadata"]["labels"] and store_secret(PLAIN, source) is None
    spec = pod(given_)["spec"]
    assert {"name": "store", "mountPath": "/etc/onair-store", "readOnly": True} in spec["containers"][0]["volumeMounts"]
    assert "--store-credentials=/etc/onair-store" in spec["containers"][0]["args"] and violations(pod(given_)) == []


def test_what_a_pod_goes_on_with_is_told_at_its_beginning_and_makes_no_other_pod() -> None:
    begun = OpenBroadcast(id="keynote-abc234", store="s3://bucket/onair", started_at=1000.0, active=True)
    resuming = msgspec.structs.replace(PLAIN.config, resumes=begun)
    changed = dataclasses.replace(PLAIN, config=resuming)
    assert pod_hash(changed) == pod_hash(PLAIN) and config_hash(changed.config) == config_hash(PLAIN.config)
    annotation = pod(changed)["metadata"]["annotations"][RESUMES]
    assert msgspec.json.decode(annotation, type=OpenBroadcast) == begun
    assert RESUMES not in pod(PLAIN)["metadata"]["annotations"]


def test_how_fast_a_change_rolls_out_is_not_a_change_of_the_pod() -> None:
    assert pod_hash(provision({"ingest": {"rollout": {"maxUnavailablePercent": 1}}})) == pod_hash(PLAIN)


def test_a_service_of_another_type_is_the_same_pod() -> None:
    exposed = provision({"ingest": {"service": {"type": "LoadBalancer"}, "hostname": "x"}})
    assert pod_hash(exposed) == pod_hash(PLAIN)


# Secrets


def test_the_stream_key_secret_has_what_encoders_ask_for() -> None:
    made = stream_key_secret(FULL)
    assert made is not None and made["metadata"]["name"] == "keynote-stream-key"
    assert decoded(made) == {
        "streamKey": KEY,
        "server": "rtmps://ingest.example.com:5222/app",
        "rtmpUrl": f"rtmp://ingest.example.com:5222/app/{KEY}",
        "rtmpsUrl": f"rtmps://ingest.example.com:5222/app/{KEY}",
    }
    plain = stream_key_secret(PLAIN)
    assert plain is not None and decoded(plain)["server"] == "rtmp://keynote-ingest.events.svc:5222/app"
    assert "rtmpsUrl" not in decoded(plain)


def test_a_key_of_ones_own_is_not_copied() -> None:
    assert stream_key_secret(provision(key=None)) is None


def test_the_pod_reads_its_secret(tmp_path: Path) -> None:
    for name, text in decoded(pod_secret(PLAIN)).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = read_settings(tmp_path)
    assert settings.config == PLAIN.config and settings.token == CONTROL.token
    assert settings.certificate.read_text() == CONTROL.certificate and settings.key.read_text() == CONTROL.private_key


def test_only_its_own_pod_mounts_a_secret() -> None:
    for given_ in (PLAIN, provision(number=2)):
        mounted = {v["secret"]["secretName"] for v in pod(given_)["spec"]["volumes"] if "secret" in v}
        assert mounted == {pod_secret(given_)["metadata"]["name"]}


@given(epoch=st.integers(0, 10**6), n=st.integers(0, 10**6))
def test_equal_configurations_are_equal_secrets(epoch: int, n: int) -> None:
    config = msgspec.structs.replace(PLAIN.config, taken=Cursor(epoch, n))
    again = msgspec.json.decode(msgspec.json.encode(config), type=PodConfig)
    assert pod_secret(dataclasses.replace(PLAIN, config=config)) == pod_secret(dataclasses.replace(PLAIN, config=again))


# Network


def admitted(policy: dict[str, Any], port: int) -> list[Any]:
    """Who may come to a port; None: anyone."""
    return [
        rule.get("from")
        for rule in policy["spec"]["ingress"]
        if any(open_["port"] == port for open_ in rule["ports"])
    ]  # fmt: skip


def test_the_operator_alone_comes_to_the_control_port() -> None:
    policy = network_policy(PLAIN)
    assert [admitted(policy, port) for port in (5222, 8080, 9091)] == [[None]] * 3
    ((peer,),) = admitted(policy, 9090)
    assert peer == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "onair-system"}},
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/name": "onair", "app.kubernetes.io/component": "operator"}
        },
    }  # fmt: skip
    assert not matches(peer["podSelector"]["matchLabels"], pod(PLAIN)["metadata"]["labels"])


@pytest.mark.parametrize(
    ("store", "endpoint", "out"),
    [
        (None, "", []),
        ("file:///data/recordings", "", []),
        ("s3://bucket/onair", "", [53, 53, 443]),
        ("s3://bucket/onair", "https://minio.store.svc:9000", [53, 53, 9000]),
        ("s3://bucket/onair", "http://minio.store.svc", [53, 53, 80]),
        ("gs://bucket/onair", "", [53, 53, 443]),
    ],
)
def test_a_pod_goes_out_to_its_store_and_nowhere_else(store: str | None, endpoint: str, out: list[int]) -> None:
    spec = network_policy(provision(store=store, endpoint=endpoint, store_secret="keynote-store"))["spec"]
    assert "Egress" in spec["policyTypes"]
    assert [port["port"] for rule in spec.get("egress", []) for port in rule["ports"]] == out


def test_a_pod_without_credentials_may_ask_the_cloud_who_it_is() -> None:
    *_, last = network_policy(provision(store="gs://bucket/onair"))["spec"]["egress"]
    assert last["to"] == [{"ipBlock": {"cidr": "169.254.0.0/16"}}]
    assert [port["port"] for port in last["ports"]] == [80, 988]


def test_a_pod_reaches_the_recordings_that_it_serves() -> None:
    served = ServedAsset(id="a", store="s3://b", endpoint="https://s3.example.com:9000", playback_ids=("id-of-a",))
    config = msgspec.structs.replace(provision(store=None).config, assets=(served,))
    policy = network_policy(dataclasses.replace(provision(store=None, store_secret="s"), config=config))
    assert [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]] == [53, 53, 9000]
