"""Operator processes that come and go: who leads, how one ends, what each does without an API server or a root secret."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest
from operator_process import CLASSES, Channel, Operator, cls, path_of, rules, secret

from kubelab.access import Access
from kubelab.nodeless import ControlPlane

pytestmark = [pytest.mark.usefixtures("crds")]
Run = Callable[..., Operator]
LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/onair-operator"


@pytest.fixture
def installation(control_plane: ControlPlane) -> str:
    """A namespace for operators of one test, which watch nothing but the test's own."""
    cls(control_plane, "standard")
    return control_plane.namespace("installation", unique=True)


@pytest.fixture
def run(control_plane: ControlPlane, installation: str, namespace: str, tmp_path: Path) -> Iterator[Run]:
    """Starts a replica of that name: with an account of its own, whose rights are those of a namespaced installation."""
    granted: dict[str, Access] = {}
    started: list[Operator] = []

    def start(name: str = "a") -> Operator:
        if name not in granted:
            granted[name] = _account(control_plane, name, installation, namespace)
        options = (f"--watch-namespace={namespace}", "--no-class-status")
        found = Operator(control_plane, granted[name], tmp_path, *options, installation=installation)
        found.start()
        started.append(found)
        return found

    yield start
    for each in started:
        each.kill()


def _account(plane: ControlPlane, name: str, installation: str, namespace: str) -> Access:
    own = rules("onair.installationRules", namespaced=True)
    access = plane.access(name, installation, rules=own, cluster_rules=[CLASSES])
    _grant(plane, name, installation, namespace)
    return access


def _grant(plane: ControlPlane, name: str, installation: str, namespace: str) -> None:
    role = {"metadata": {"name": name}, "rules": rules("onair.rules")}
    folder = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    plane.api.create(f"{folder}/roles", role)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": installation}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    plane.api.create(
        f"{folder}/rolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    )


def reconciled(channel: Channel) -> bool:
    return channel.condition("Ready") != ("", "")


def writers(plane: ControlPlane, installation: str, namespace: str) -> list[str]:
    """Who wrote there, one after the other, each once for all that it wrote in between."""
    found = sorted(
        (event["stageTimestamp"], name)
        for name in ("a", "b")
        for event in plane.requests(f"system:serviceaccount:{installation}:{name}")
        if event["verb"] in ("create", "patch", "delete") and event["objectRef"].get("namespace") == namespace
    )
    return [name for name, _ in groupby(name for _, name in found)]


def refused(plane: ControlPlane, installation: str) -> list[str]:
    return [
        event["requestURI"]
        for name in ("a", "b")
        for event in plane.requests(f"system:serviceaccount:{installation}:{name}")
        if event["responseStatus"]["code"] == 403
    ]


# Who leads.


def test_one_leads_and_another_takes_over(
    control_plane: ControlPlane, run: Run, namespace: str, installation: str
) -> None:
    """From one that sleeps, when its lease is over; from one that ends, at once. Who wakes does not write."""
    first = run("a").leads()
    second = run("b")
    second.until("it waits", lambda: "waiting to lead" in second.since_start())
    second.until("it could lead", lambda: second.get("/readyz")[0] == 200)
    assert second.get("/healthz")[0] == 200
    assert (first.metric("onair_operator_leading"), second.metric("onair_operator_leading")) == (1, 0)
    work_on(first, control_plane, namespace, "one")

    first.signal(signal.SIGSTOP)
    Channel(control_plane, namespace, "one").declare(title="Something for the sleeper to do")
    second.leads()
    work_on(second, control_plane, namespace, "two")
    Channel(control_plane, namespace, "two").declare(title="Something for both")
    first.signal(signal.SIGCONT)
    assert first.exited() == 1 and "lease" in first.log.splitlines()[-1], first.log[-3000:]
    second.until("it is worked on", lambda: reconciled(Channel(control_plane, namespace, "two")))

    first = run("a")
    first.until("it waits", lambda: "waiting to lead" in first.since_start())
    asked = time.monotonic()
    assert second.stop() == 0
    first.leads()
    assert time.monotonic() - asked < 15, "the lease was given back: nobody waits for its end"
    work_on(first, control_plane, namespace, "three")
    assert first.stop() == 0
    assert writers(control_plane, installation, namespace) == ["a", "b", "a"]
    assert not refused(control_plane, installation)
    assert "Traceback" not in first.log + second.log


def work_on(operator: Operator, plane: ControlPlane, namespace: str, name: str) -> None:
    channel = Channel(plane, namespace, name)
    channel.declare()
    operator.until(f"{name} is worked on", lambda: reconciled(channel))
    operator.rests()


def test_a_leader_whose_api_server_freezes_ends_before_another_may_lead(
    control_plane: ControlPlane, run: Run, namespace: str
) -> None:
    leader = run().leads()
    work_on(leader, control_plane, namespace, "one")
    before = leader.writes()
    with control_plane.frozen_api_server():
        frozen = time.monotonic()
        assert leader.exited(40) == 1
        assert 8 < time.monotonic() - frozen < 18, "13 s after its last renewal, and the newest is at most 4 s old"
    assert "lease" in leader.log.splitlines()[-1] and "Traceback" not in leader.log
    assert leader.writes() == before


# How it ends.


def test_a_stop_in_the_middle_of_work_leaves_nothing_half_done_for_good(
    control_plane: ControlPlane, run: Run, namespace: str, installation: str
) -> None:
    operator = run().leads()
    channels = [Channel(control_plane, namespace, f"s{number}") for number in range(40)]
    for channel in channels:
        channel.declare()
    assert operator.stop() == 0
    assert "Traceback" not in operator.log and "Task was destroyed" not in operator.log
    assert control_plane.api.get(LEASE.format(installation))["spec"]["holderIdentity"] == ""
    operator = run().leads()
    operator.until("all are worked on", lambda: operator.metric("onair_operator_live_streams", ready="False") == 40)
    operator.rests()
    everything = [write for write in operator.writes(namespace) if write[3] < 300]
    assert len(set(everything)) == 40 * 6
    assert len(everything) == 40 * 6, [write for write, count in Counter(everything).items() if count > 1]
    assert operator.stop() == 0


@pytest.mark.parametrize("at", ['"leading"', '"everything is known"'])
def test_a_signal_ends_it_whatever_it_is_at(run: Run, at: str) -> None:
    """Kopf takes the signals to itself while it starts."""
    operator = run()
    operator.until("it has come so far", lambda: at in operator.since_start())
    assert operator.stop(15) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "Missing option '--image'"),
        (("--image=x", "--http=nonsense"), "Invalid value for '--http'"),
        (("--image=x", "--pod-labels=name"), "name=value"),
        (("--image=x", "--workers=0"), "Invalid value for '--workers'"),
        (("--image=x", "--kubeconfig=/nowhere"), "does not exist"),
        (("--image=x", "--context=nowhere", "--kubeconfig={kubeconfig}"), "nowhere"),
        (("--image=x", "--http={taken}", "--kubeconfig={kubeconfig}"), "cannot listen on"),
        (("--image=x", "--namespace=Not/A/Name", "--kubeconfig={kubeconfig}"), "Not/A/Name"),
    ],
)
def test_bad_options_are_refused_with_a_reason(
    control_plane: ControlPlane, options: tuple[str, ...], said: str
) -> None:
    taken = control_plane.site.server.removeprefix("https://")
    words = [word.format(kubeconfig=control_plane.kubeconfig, taken=taken) for word in options]
    command = [sys.executable, "-m", "onair_core.cli", "operator", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (1, 2) and said in done.stderr and "Traceback" not in done.stderr


# What it cannot do without.


def test_without_its_root_secret_nothing_is_touched(
    control_plane: ControlPlane, run: Run, namespace: str, installation: str
) -> None:
    operator = run().leads()
    work_on(operator, control_plane, namespace, "keynote")
    assert operator.stop() == 0
    path = path_of("secrets", installation, "onair-root")
    root = control_plane.api.get(path)
    control_plane.api.ask("DELETE", path)
    old, new = Channel(control_plane, namespace), Channel(control_plane, namespace, "new")
    new.declare()
    before, there, playback = operator.writes(namespace), old.children(), old.status["playback"]

    operator = run()
    for channel in (old, new):
        channel.becomes("Stalled", "True", "RootSecretMissing")
        assert channel.condition("Ready") == ("False", "RootSecretMissing") and "onair-root" in channel.message()
    assert old.children() == there and not new.children() and old.status["playback"] == playback
    statuses = [("patch", "livestreams/status", name, 200) for name in ("keynote", "new")]
    assert sorted(operator.writes(namespace)[len(before) :]) == statuses
    assert operator.get("/healthz")[0] == 200

    metadata = {"name": "onair-root", "namespace": installation}
    control_plane.api.create(path_of("secrets", installation), {"metadata": metadata, "data": root["data"]})
    operator.leads().until("the new one is worked on", lambda: new.children("pods"))
    operator.until("and told so", lambda: new.condition("Stalled")[0] == old.condition("Stalled")[0] == "False")
    assert old.status["playback"] == playback
    key = base64.b64decode(root["data"]["root"])
    assert root["data"]["root"] not in operator.log and key.hex() not in operator.log


def test_what_was_deleted_while_nobody_looked_leaves_no_ghost(
    control_plane: ControlPlane, run: Run, namespace: str, installation: str
) -> None:
    """One LiveStream goes while there is no leader, for the other was killed; one while the API server comes back."""
    first = run("a").leads()
    second = run("b")
    second.until("it waits", lambda: "waiting to lead" in second.since_start())
    for name in ("stays", "leaderless", "away"):
        work_on(first, control_plane, namespace, name)
    first.kill()
    killed = time.monotonic()
    Channel(control_plane, namespace, "leaderless").delete()
    second.leads()
    lease = control_plane.api.get(LEASE.format(installation))["spec"]
    assert lease["leaseTransitions"] == 1 and time.monotonic() - killed < lease["leaseDurationSeconds"] + 15
    second.until("two are known", lambda: second.metric("onair_operator_live_streams") == 2)
    second.rests()

    control_plane.kill_api_server()
    second.until("it has noticed", lambda: "cannot follow" in second.since_start())
    control_plane.start_api_server()
    Channel(control_plane, namespace, "away").delete()
    second.until("one is known", lambda: second.metric("onair_operator_live_streams") == 1)
    second.rests()
    assert not second.writes(), "what is gone needs nothing, and what stays has all of it"
    stays = Channel(control_plane, namespace, "stays")
    stays.declare(title="It still hears of changes")
    second.until("it is reconciled", lambda: reconciled(stays))
    assert second.stop() == 0 and "Traceback" not in second.log


def test_a_namespace_that_may_not_be_read_does_not_hold_up_the_others(
    control_plane: ControlPlane, installation: str, namespace: str, tmp_path: Path
) -> None:
    """It was deleted, say, and its Role with it; and it is served when it is there."""
    account = _account(control_plane, "a", installation, namespace)
    other = control_plane.namespace("later", unique=True)
    secret(control_plane, installation, "onair-root", root="r" * 32)  # none is made where channels may be unseen
    options = (f"--watch-namespace={namespace}", f"--watch-namespace={other}", "--no-class-status")
    operator = Operator(control_plane, account, tmp_path, *options, installation=installation)
    operator.start()
    try:
        operator.leads()
        channel, later = Channel(control_plane, namespace), Channel(control_plane, other)
        for each in (channel, later):
            each.declare()
        operator.until("it works", lambda: reconciled(channel))
        assert not reconciled(later) and f'"namespace": "{other}"' in operator.log
        _grant(control_plane, "a", installation, other)
        operator.until("it works there, too", lambda: reconciled(later), 60)
        operator.rests()
        assert operator.stop() == 0 and "Traceback" not in operator.log
    finally:
        operator.kill()
