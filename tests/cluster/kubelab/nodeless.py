"""A control plane without nodes: etcd and an API server in any folder, by any user, beside whatever else runs here.

Controllers, scheduler and nodes of kwok's can be had with it. All of them are killed when the process that started them
ends, also when that one is killed.

    with nodeless.running(folder, free_ports(nodeless.PORTS)) as plane:
        operator = subprocess.Popen(…, env={"KUBECONFIG": str(plane.kubeconfig)})
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kubelab import access, addresses, binaries, control_plane, kwok, processes
from kubelab.access import Access, Rule
from kubelab.api import Api, Refused
from kubelab.kubectl import Kubectl
from kubelab.processes import Process
from kubelab.provider import Unavailable
from kubelab.site import Site
from kubelab.waiting import until

Say = Callable[[str], None]

PORTS = 3
BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
API_SERVER = "kube-apiserver"
# There are no nodes: nobody asks for the API server by the Service `kubernetes`.
_NO_ENDPOINT = "--endpoint-reconciler-type=none"
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def prepare(say: Say) -> None:
    """Builds what is needed.

    Raises:
        Unavailable: with the reason.
    """
    if sys.platform != "linux" or shutil.which(processes.BOUND[0]) is None:
        raise Unavailable("the API server's processes are held by Linux and setpriv (util-linux)")
    try:
        for name in BINARIES:
            binaries.path(name, say)
    except binaries.NotBuilt as error:
        raise Unavailable(str(error)) from error


@contextlib.contextmanager
def running(folder: Path, ports: Sequence[int], say: Say = print) -> Iterator[ControlPlane]:
    """One in `folder`, until the end of the block; `ports`: `PORTS` free ones of loopback. Its logs stay.

    Raises:
        Unavailable: with the reason.
    """
    prepare(say)
    plane = ControlPlane(folder, ports)
    try:
        plane.start()
        yield plane
    finally:
        plane.end()


class ControlPlane:
    """See above. Everything blocks, and is for the main thread."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        server, etcd, etcd_peer = ports
        self.site = Site(folder, "127.0.0.1", server, f"http://127.0.0.1:{etcd}", f"http://127.0.0.1:{etcd_peer}")
        self._running: dict[str, Process] = {}

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.site.kubeconfig

    @property
    def kubectl(self) -> Kubectl:
        """The administrator's."""
        return Kubectl(binaries.path("kubectl"), self.kubeconfig)

    @property
    def api(self) -> Api:
        """The administrator's."""
        return Api(self.site)

    @property
    def processes(self) -> list[Process]:
        """All that run."""
        return list(self._running.values())

    # etcd and API server

    def start(self) -> None:
        self.site.logs.mkdir(parents=True, exist_ok=True)
        control_plane.credentials(self.site)
        self._start("etcd", control_plane.etcd(binaries.path, self.site))
        self.start_api_server()

    def start_api_server(self) -> None:
        """Returns when it is ready."""
        self.spawn_api_server()
        self._await("the API server is ready", API_SERVER, self.is_ready)
        self._await("it has its first namespace", API_SERVER, lambda: self.api.get("/api/v1/namespaces/default"))

    def spawn_api_server(self) -> None:
        """Does not wait; `is_ready` tells."""
        self._start(API_SERVER, control_plane.api_server(binaries.path, self.site, _NO_ENDPOINT))

    def is_ready(self) -> bool:
        """Whether the API server is; may be asked by any thread."""
        try:
            return self.api.ask("GET", "/readyz", timeout=1) == "ok"
        except (OSError, Refused):
            return False

    def kill_api_server(self) -> None:
        """As a crash would: connections end, nothing is said."""
        self._kill(API_SERVER)

    @contextlib.contextmanager
    def frozen_api_server(self) -> Iterator[None]:
        """Within, connections stay and nothing answers."""
        processes.send(self._running[API_SERVER], signal.SIGSTOP)
        try:
            yield
        finally:
            processes.send(self._running[API_SERVER], signal.SIGCONT)

    def ensure(self) -> None:
        """An API server that runs, whatever the test before has left."""
        found = self._running.get(API_SERVER)
        if found is None or not found.lives():
            self.start_api_server()

    def end(self) -> None:
        for name in list(self._running):
            self._kill(name)
        shutil.rmtree(self.site.folder / "etcd", ignore_errors=True)

    # What else a cluster has

    @contextlib.contextmanager
    def controllers(self, *more: str) -> Iterator[None]:
        """Kubernetes' own: the garbage collector, namespaces, service accounts, …; `more`: flags."""
        name = "kube-controller-manager"
        with self._beside(name, [*control_plane.controller_manager(binaries.path, self.site), *more]):
            made = self.namespace("controllers", unique=True, account=False)
            account = f"/api/v1/namespaces/{made}/serviceaccounts/default"
            self._await("the controllers work", name, lambda: self.api.get(account))
            self.api.ask("DELETE", f"/api/v1/namespaces/{made}")
            yield

    @contextlib.contextmanager
    def scheduler(self, requests_per_second: int | None = None) -> Iterator[None]:
        """Without a number, its own limit: 50."""
        with self._beside("kube-scheduler", control_plane.scheduler(binaries.path, self.site, requests_per_second)):
            yield

    @contextlib.contextmanager
    def nodes(self, count: int = 1, pods: str = addresses.PODS) -> Iterator[list[str]]:
        """So many of kwok's, Ready: pods bound to them run at once. It takes `controllers` and `scheduler` to bind any.

        `pods`: where their pods' addresses come from.
        """
        names = [f"kwok-{number}" for number in range(1, count + 1)]
        with self._beside("kwok", kwok.command(binaries.path, self.site, pods)):
            for name in names:
                self.api.create("/api/v1/nodes", kwok.node(name))
            for name in names:
                self._await(f"{name} is Ready", "kwok", lambda name=name: self._is_ready(name))  # type: ignore[misc]
            try:
                yield names
            finally:
                for name in names:
                    self.api.ask("DELETE", f"/api/v1/nodes/{name}")

    # What tests need

    def namespace(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        unique: bool = False,
        account: bool = True,
    ) -> str:
        """Makes a namespace for pods of the restricted Pod Security Standard; returns its name.

        `unique` adds something random. `account`: with the ServiceAccount that no pod can be made without, as a
        controller would do.
        """
        named = {"generateName": f"{name}-"} if unique else {"name": name}
        wanted = _RESTRICTED if labels is None else dict(labels)
        made: str = self.api.create("/api/v1/namespaces", {"metadata": {**named, "labels": wanted}})["metadata"]["name"]
        if account:
            with contextlib.suppress(Refused):  # a controller was faster
                self.api.create(f"/api/v1/namespaces/{made}/serviceaccounts", {"metadata": {"name": "default"}})
        return made

    def access(
        self, name: str, namespace: str, *, rules: Sequence[Rule] = (), cluster_rules: Sequence[Rule] = ()
    ) -> Access:
        """A ServiceAccount that may do just that; see `access.grant`."""
        return access.grant(self.api, self.site, name, namespace, rules=rules, cluster_rules=cluster_rules)

    def install(self, *definitions: Mapping[str, Any]) -> None:
        """CustomResourceDefinitions, new or changed; returns when the API server serves them."""
        for definition in definitions:
            self._apply_definition(definition)
        for definition in definitions:
            until(f"{definition['metadata']['name']} is served", lambda of=definition: self._serves(of), 30.0)  # type: ignore[misc]

    def requests(self, user: str) -> list[dict[str, Any]]:
        """What that user asked of the API server so far: events of the audit log (audit.k8s.io/v1)."""
        return control_plane.requests(self.site, user)

    def _apply_definition(self, definition: Mapping[str, Any]) -> None:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
        self.api.apply(path, dict(definition))

    def _serves(self, definition: Mapping[str, Any]) -> bool:
        spec = definition["spec"]
        for version in spec["versions"]:
            self.api.get(f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}?limit=1")
        return True

    def _is_ready(self, node: str) -> bool:
        conditions = self.api.get(f"/api/v1/nodes/{node}")["status"].get("conditions", [])
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    @contextlib.contextmanager
    def _beside(self, name: str, command: Sequence[str | Path]) -> Iterator[None]:
        self._start(name, command)
        try:
            yield
        finally:
            self._kill(name)

    def _start(self, name: str, command: Sequence[str | Path]) -> None:
        self._running[name] = processes.spawn(name, command, self._log(name), bound=True)

    def _kill(self, name: str) -> None:
        if name in self._running:
            processes.shoot(self._running.pop(name))

    def _await(self, what: str, process: str, condition: Callable[[], object]) -> None:
        processes.until_or_death(what, condition, self._running[process], self._log(process))

    def _log(self, name: str) -> Path:
        return self.site.logs / f"{name}.log"
