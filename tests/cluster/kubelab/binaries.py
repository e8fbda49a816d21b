"""Go modules to binaries, built once and kept in the cache.

Kubernetes cannot be had with `go install …@version`: its parts replace each other, so a module of tools stands in
`go/kubernetes`. The others are modules that can be installed as they are; each has its own dependencies that way.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kubelab import layout, shell

HELM = "v4.3.1"
HELM3 = "v3.22.0"  # many still have it: the chart is for both
HELM3_KUBERNETES = ("1", "37")  # of its modules; the version that it takes for the cluster's where there is none
COREDNS = "v1.12.4"
KWOK = "v0.8.0"
KIND = "v0.33.0"
VERSITYGW = "v1.8.0"


class NotBuilt(Exception):
    """A binary is not in the cache and cannot be built; the message says why."""


@dataclass(frozen=True)
class Recipe:
    """Binaries that are built together.

    Attributes:
        packages: binary → Go package, with its version where no module is given.
        module: the folder with `go.mod` and `go.sum`; None: `go install`.
        variables: linked in, as `-X name=value`: without a version Helm and kubectl take the cluster for an ancient one.
    """

    name: str
    packages: dict[str, str]
    module: Path | None = None
    variables: dict[str, str] | None = None

    @property
    def flags(self) -> list[str]:
        variables = "".join(f" -X {name}={value}" for name, value in (self.variables or {}).items())
        return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w{variables}"]

    def key(self) -> str:
        """Another key, another binary: modules, sources, packages, flags, architecture."""
        digest = hashlib.sha256(repr((self.packages, self.flags, platform.machine())).encode())
        for file in sorted(self.module.iterdir()) if self.module else []:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"


def kubernetes_version(go_mod: str) -> str:
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", go_mod, re.MULTILINE)
    if not found:
        raise ValueError("go.mod does not require k8s.io/kubernetes")
    return found[1]


def _kubernetes() -> Recipe:
    module = layout.MODULES / "kubernetes"
    version = kubernetes_version((module / "go.mod").read_text(encoding="utf-8"))
    major, minor = version.removeprefix("v").split(".")[:2]
    told = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "modules",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    commands = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
    return Recipe(
        "kubernetes",
        {"etcd": "go.etcd.io/etcd/server/v3"} | {name: f"k8s.io/kubernetes/cmd/{name}" for name in commands},
        module,
        {f"{package}.{name}": value for package in packages for name, value in told.items()},
    )


def recipes() -> list[Recipe]:
    """Of all that a cluster on this machine and its tests need."""
    return [
        _kubernetes(),
        Recipe("coredns", {"coredns": f"github.com/coredns/coredns@{COREDNS}"}),
        Recipe(
            "helm",
            {"helm": f"helm.sh/helm/v4/cmd/helm@{HELM}"},
            variables={"helm.sh/helm/v4/internal/version.version": HELM},
        ),
        Recipe(
            "helm3",
            {"helm3": f"helm.sh/helm/v3/cmd/helm@{HELM3}"},
            variables={
                "helm.sh/helm/v3/internal/version.version": HELM3,
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": HELM3_KUBERNETES[0],
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": HELM3_KUBERNETES[1],
            },
        ),
        Recipe("kwok", {"kwok": f"sigs.k8s.io/kwok/cmd/kwok@{KWOK}"}),
        # An S3 server over a folder, for recordings.
        Recipe("versitygw", {"versitygw": f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW}"}),
        Recipe("pause", {"pause": "."}, layout.MODULES / "pause"),
    ]


def path(name: str, say: Callable[[str], None] = print) -> Path:
    """The binary of that name; builds it when it is not in the cache."""
    on_demand = Recipe("kind", {"kind": f"sigs.k8s.io/kind@{KIND}"})
    (recipe,) = (recipe for recipe in [*recipes(), on_demand] if name in recipe.packages)
    binary = layout.cache() / "bin" / recipe.key() / name
    if not binary.exists():
        _build(recipe, name, binary, say)
    return binary


def build_all(say: Callable[[str], None] = print) -> None:
    for recipe in recipes():
        for name in recipe.packages:
            path(name, say)


def _build(recipe: Recipe, name: str, binary: Path, say: Callable[[str], None]) -> None:
    go = shutil.which("go")
    if go is None:
        raise NotBuilt(f"{name} is not in the cache, and without Go it cannot be built")
    binary.parent.mkdir(parents=True, exist_ok=True)
    with (binary.parent / ".lock").open("w") as exclusive:  # two runs may want it at once
        fcntl.flock(exclusive, fcntl.LOCK_EX)
        if binary.exists():
            return
        say(f"building {name} …")
        began = time.monotonic()
        for stale in binary.parent.glob(".building-*"):  # of a build that was killed
            shutil.rmtree(stale)
        with tempfile.TemporaryDirectory(dir=binary.parent, prefix=".building-") as unfinished:
            environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": unfinished, "GOFLAGS": ""}
            package = recipe.packages[name]
            if recipe.module:
                # -mod=readonly is Go's way: what go.sum does not vouch for is refused.
                made = Path(unfinished, name)
                command = [go, "build", *recipe.flags, "-o", str(made), package]
            else:
                made = Path(unfinished, package.partition("@")[0].rpartition("/")[2])
                command = [go, "install", *recipe.flags, package]
            try:
                shell.run(*command, cwd=recipe.module or Path(unfinished), env=environment)
            except shell.CommandFailed as error:
                raise NotBuilt(f"{name} cannot be built: {error}") from error
            made.rename(binary)
        say(f"built {name} in {time.monotonic() - began:.0f} s")
