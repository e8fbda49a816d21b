"""Where a channel is reached from outside, and what its children are made from."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from desired_stage import CONTROL, INSTALLATION, STREAM, class_of, provision

from onair_core.contract import Cursor, OpenBroadcast
from onair_operator.decide.grants import Grant
from onair_operator.decide.plan import Plan, draft, finish
from onair_operator.desired.addresses import address_pending, exposure, ingest_addresses, playback_url
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.pod import DEFAULT_STORE, RESUMES, TAKEN
from onair_operator.desired.provide import provide, taken_at_its_beginning
from onair_operator.desired.provision import Exposure, Provision

Object = dict[str, Any]
PORTS = [{"name": "http", "port": 8080, "nodePort": 30080}, {"name": "rtmp", "port": 5222, "nodePort": 30522}]
NAMED = {"hostname": "ingest.example.com"}


def balanced(*ingress: Object) -> Object:
    return {"spec": {"ports": PORTS}, "status": {"loadBalancer": {"ingress": list(ingress)}}}


@pytest.mark.parametrize(
    ("kind", "service", "named", "plain"),
    [
        ("ClusterIP", None, ("ingest.example.com", 5222), None),
        ("ClusterIP", {"spec": {"ports": PORTS}}, ("ingest.example.com", 5222), None),
        ("NodePort", None, ("ingest.example.com", 5222), None),
        ("NodePort", {"spec": {"ports": PORTS[:1]}}, ("ingest.example.com", 5222), None),
        ("NodePort", {"spec": {"ports": PORTS}}, ("ingest.example.com", 30522), None),
        ("LoadBalancer", None, ("ingest.example.com", 5222), None),
        ("LoadBalancer", {"spec": {"ports": PORTS}}, ("ingest.example.com", 5222), None),
        (
            "LoadBalancer",
            {"spec": {"ports": PORTS}, "status": {"loadBalancer": None}},
            ("ingest.example.com", 5222),
            None,
        ),
        ("LoadBalancer", balanced(), ("ingest.example.com", 5222), None),
        ("LoadBalancer", balanced({}), ("ingest.example.com", 5222), None),
        ("LoadBalancer", balanced({"ip": "203.0.113.7"}), ("ingest.example.com", 5222), ("203.0.113.7", 5222)),
        (
            "LoadBalancer",
            balanced({"hostname": "lb.example.net", "ip": "203.0.113.7"}),
            ("ingest.example.com", 5222),
            ("lb.example.net", 5222),
        ),
    ],
)
def test_how_the_outside_reaches_it(
    kind: str, service: Object | None, named: tuple[str, int], plain: tuple[str, int] | None
) -> None:
    with_name = class_of({"ingest": {**NAMED, "service": {"type": kind}}})
    without = class_of({"ingest": {"service": {"type": kind}}})
    assert exposure(with_name, service) == Exposure(*named)
    assert exposure(without, service) == (Exposure(*plain) if plain else None)
    assert not address_pending(with_name, service), "its name is what counts, whatever the load balancer has"
    assert address_pending(without, service) == (kind == "LoadBalancer" and plain is None)


def addresses(host: str | None, **more: Any) -> tuple[str, str | None]:
    made = provision(**more)
    exposed = None if host is None else Exposure(host, 5222)
    found = ingest_addresses(
        Provision(
            stream=made.stream,
            cls=made.cls,
            installation=made.installation,
            incarnation=made.incarnation,
            config=made.config,
            control=made.control,
            rtmps_secret=made.rtmps_secret,
            exposed=exposed,
        )
    )
    assert found.service == "keynote-ingest.events.svc:5222"
    return found.rtmp, found.rtmps


def test_addresses_as_encoders_write_them() -> None:
    assert addresses("203.0.113.7") == ("rtmp://203.0.113.7:5222/app", None)
    assert addresses("2001:db8::7") == ("rtmp://[2001:db8::7]:5222/app", None)
    assert addresses(None) == ("rtmp://keynote-ingest.events.svc:5222/app", None)
    rtmps = addresses("lb.example.net", rtmps_secret="keynote-rtmps")[1]
    assert rtmps == "rtmps://lb.example.net:5222/app"


def test_viewers_have_the_first_host_name_else_the_service() -> None:
    named = provision({"playback": {"hostnames": ["live.example.com", "b.example.com"]}})
    assert playback_url(named, "abc") == "https://live.example.com/abc.m3u8"
    assert playback_url(provision(), "abc") == "http://keynote-ingest.events.svc:8080/abc.m3u8"


# Put together.


def plan(cls: Object | None = None) -> Plan:
    metadata = {
        "namespace": STREAM.namespace,
        "name": STREAM.name,
        "uid": STREAM.uid,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    stream = {"metadata": metadata, "spec": {"title": "Keynote", "className": "a"}}
    classes = {"a": {"metadata": {"name": "a"}, "spec": cls or {}}}
    made = draft(stream, classes, root=bytes(32), secret=lambda *_: None, is_foreign=lambda *_: False, built_in=True)
    return finish(made, Grant(made.claim.entries), default_store=DEFAULT_STORE)


def provided(cls: Object | None = None, **more: Any) -> Provision:
    given: dict[str, Any] = {"pod": None, "service": None, "assets": (), "taken": Cursor(3, 7), "resumes": None, **more}
    return provide(plan(cls), Incarnation(STREAM.uid, 2), installation=INSTALLATION, control=CONTROL, **given)


def recording(name: str, volume: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {"onair.dev/incarnation": volume}},
        "spec": {"store": {"url": DEFAULT_STORE}},
        "status": {"playback": [{"id": f"id-{name}"}]},
    }


def test_a_pods_configuration_keeps_the_place_that_was_taken_when_it_began() -> None:
    assert provided().config.taken == Cursor(3, 7), "for one that is yet to be"
    there = {"metadata": {"annotations": {TAKEN: "1.2"}}}
    assert provided(pod=there).config.taken == Cursor(1, 2), "each event would be a write of its Secret otherwise"
    for strange in ({}, {"annotations": {TAKEN: "a.b"}}, {"annotations": {TAKEN: ""}}):
        assert taken_at_its_beginning({"metadata": strange}) == Cursor()


def test_a_pods_configuration_keeps_what_it_was_to_go_on_with_when_it_began() -> None:
    begun = OpenBroadcast(id="b", store="s3://bucket", started_at=1.0)
    assert provided(resumes=begun).config.resumes == begun, "for one that is yet to be"
    there = {"metadata": {"annotations": {RESUMES: msgspec.json.encode(begun).decode()}}}
    assert provided(pod=there).config.resumes == begun, "and then it is told once"
    for strange in ({}, {"annotations": {RESUMES: "x"}}, {"annotations": {RESUMES: "{}"}}):
        assert provided(pod={"metadata": strange}, resumes=begun).config.resumes is None


def test_credentials_are_for_classes_that_name_some() -> None:
    assert provided({"store": {"url": "s3://bucket"}}).store_secret is None
    named = {"store": {"url": "s3://bucket", "secretRef": {"name": "s3"}}}
    assert provided(named).store_secret == "keynote-store"
    settings = provided(named).config.channel.asset.store
    assert settings is not None and settings.spool_bytes == 8192 * 1024 * 1024


def test_a_pod_serves_what_is_on_its_own_volume() -> None:
    mine, older = Incarnation(STREAM.uid, 2).suffix, Incarnation(STREAM.uid, 1).suffix
    there = [recording("old", older), recording("new", mine), recording("kept", "claim")]
    assert [asset.id for asset in provided(assets=there).config.assets] == ["new"]
    kept = {"ingest": {"volume": {"persistentVolumeClaim": {"size": "1Gi"}}}}
    assert [asset.id for asset in provided(kept, assets=there).config.assets] == ["kept"]


def test_rtmps_is_for_classes_with_a_certificate() -> None:
    assert provided().rtmps_secret is None
    assert provided({"ingest": {"tls": {"secretName": "ingest-tls"}}}).rtmps_secret == "keynote-rtmps"
    assert provided().generated_key is not None and str(provided()).count(provided().generated_key or "-") == 0
