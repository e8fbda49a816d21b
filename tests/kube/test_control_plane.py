"""The control plane without nodes that tests and benchmarks get: what it promises them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from free_ports import free_ports
from kubelab import nodeless
from kubelab.nodeless import ControlPlane
from kubelab.processes import Process
from kubelab.waiting import until
from onair_core.kube.client import Client, Object, Selection
from onair_core.kube.errors import Forbidden
from onair_core.kube.kubeconfig import Kubeconfig
from onair_core.kube.resources import CONFIG_MAPS, PODS, SECRETS

RUN = """
import sys
from pathlib import Path
from kubelab import nodeless
with nodeless.running(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]) as plane:
    print(*[process.pid for process in plane.processes], flush=True)
    sys.stdin.read()
"""
POD = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "c",
            "image": "c",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}


def named(namespace: str, name: str, **more: object) -> Object:
    return {"metadata": {"namespace": namespace, "name": name, **more}}


def test_a_killed_run_leaves_nothing_running(tmp_path: Path, control_plane: ControlPlane) -> None:
    ports = map(str, free_ports(nodeless.PORTS))
    command = [sys.executable, "-c", RUN, str(tmp_path / "plane"), *ports]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert run.stdout
    started = [Process.of("?", int(pid)) for pid in run.stdout.readline().split()]
    assert len(started) == 2 and all(process.lives() for process in started)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    until("they are gone", lambda: not any(process.lives() for process in started))
    assert control_plane.is_ready(), "that of others is not"


async def test_who_is_given_something_may_do_that_and_is_on_record(
    control_plane: ControlPlane, namespace: str, api: Client
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "patch"]}]
    granted = control_plane.access("operator", namespace, rules=rules)
    owner = await api.create(SECRETS, named(namespace, "owner"), manager="test")
    reference = {"apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": owner["metadata"]["uid"]}
    async with Client(Kubeconfig((granted.kubeconfig,))) as client:
        assert await client.namespace() == namespace
        await client.create(CONFIG_MAPS, named(namespace, "modest", ownerReferences=[reference]), manager="test")
        greedy = named(namespace, "greedy", ownerReferences=[{**reference, "blockOwnerDeletion": True}])
        with pytest.raises(Forbidden, match="cannot set blockOwnerDeletion"):
            await client.create(CONFIG_MAPS, greedy, manager="test")
        with pytest.raises(Forbidden):
            await client.list_all(Selection(SECRETS, namespace))
    seen = [(e["verb"], e["objectRef"]["resource"], e["responseStatus"]["code"]) for e in asked(control_plane, granted)]
    assert seen == [("create", "configmaps", 201), ("create", "configmaps", 403), ("list", "secrets", 403)]


def asked(control_plane: ControlPlane, granted: nodeless.Access) -> list[Object]:
    def all_three() -> list[Object]:
        found = control_plane.requests(granted.user)
        return found if len(found) >= 3 else []

    return until("they are written", all_three)


async def test_pods_have_to_be_restricted(api: Client, namespace: str) -> None:
    careless = {"containers": [{"name": "c", "image": "c"}]}
    with pytest.raises(Forbidden, match="restricted"):
        await api.create(PODS, {**named(namespace, "careless"), "spec": careless}, manager="test")
    await api.create(PODS, {**named(namespace, "careful"), "spec": POD}, manager="test")


async def test_a_frozen_api_server_is_asked_in_vain(control_plane: ControlPlane) -> None:
    with control_plane.frozen_api_server():
        assert not control_plane.is_ready()
    assert control_plane.is_ready()


async def test_pods_run_and_children_go_with_their_owner(api: Client, namespace: str, nodes: list[str]) -> None:
    owner = await api.create(CONFIG_MAPS, named(namespace, "owner"), manager="test")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    pod = named(namespace, "child", ownerReferences=[reference])
    await api.create(PODS, {**pod, "spec": POD}, manager="test")
    while (found := await api.get(PODS, "child", namespace))["status"].get("phase") != "Running":
        await asyncio.sleep(0.05)
    assert found["spec"]["nodeName"] in nodes and found["status"]["podIP"]
    await api.delete(CONFIG_MAPS, "owner", namespace)
    while (await api.list_all(Selection(PODS, namespace))).items:
        await asyncio.sleep(0.05)


def test_only_the_main_thread_starts_what_ends_with_it(control_plane: ControlPlane) -> None:
    async def elsewhere() -> None:
        await asyncio.to_thread(control_plane.spawn_api_server)

    with pytest.raises(RuntimeError, match="main thread"):
        asyncio.run(elsewhere())
