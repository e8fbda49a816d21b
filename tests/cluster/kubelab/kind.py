"""A cluster in containers of Docker or Podman, with kind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from kubelab import layout, shell
from kubelab.binaries import path as binary
from kubelab.control_plane import ADMISSION
from kubelab.image import Image, project_key

STAYING, PASSING = "onair", "onair-test"  # made by `up`, made for one test run


def tool() -> str | None:
    """The container tool whose engine runs here."""
    for name in ("docker", "podman"):
        if shutil.which(name) and shell.succeeds(name, "info"):
            return name
    return None


def configuration() -> dict[str, object]:
    """As on the machine itself: the same admission plugin, and the kubelet's eviction left to the developer's disk."""
    patch = {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": {"enable-admission-plugins": ",".join(ADMISSION)},
        },
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kubeadmConfigPatches": [yaml.safe_dump(patch)],
        "nodes": [{"role": "control-plane"}],
    }


class Kind:
    """One kind cluster."""

    def __init__(self, name: str, container_tool: str, say: Callable[[str], None]) -> None:
        self.name, self._tool, self._say = name, container_tool, say

    @property
    def kubeconfig(self) -> Path:
        return layout.cache() / f"{self.name}.kubeconfig"

    def stands(self) -> bool:
        return self.name in self._kind("get", "clusters").split() and self.kubeconfig.exists()

    def up(self) -> None:
        self.down()
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        file = layout.cache() / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump(configuration()), encoding="utf-8")
        self._kind("create", "cluster", "--config", str(file), "--wait", "120s", "--kubeconfig", str(self.kubeconfig))

    def down(self) -> None:
        self._kind("delete", "cluster", "--kubeconfig", str(self.kubeconfig))
        self.kubeconfig.unlink(missing_ok=True)

    def image(self) -> Image:
        """The project's image, built and given to the cluster."""
        reference = f"localhost/onair-test/onair:{project_key(self._tool)}"
        archive = layout.cache() / "images" / f"{self._tool}.tar"
        archive.parent.mkdir(parents=True, exist_ok=True)
        shell.run(self._tool, "build", "--tag", reference, layout.PROJECT)
        archive.unlink(missing_ok=True)
        shell.run(self._tool, "save", "--output", archive, reference)
        self.load(archive)
        return Image(reference, archive)

    def load(self, archive: Path) -> None:
        self._kind("load", "image-archive", str(archive))

    def _kind(self, *words: str) -> str:
        environment = dict(os.environ)
        if self._tool == "podman":
            environment["KIND_EXPERIMENTAL_PROVIDER"] = "podman"
        named = () if words[:2] == ("get", "clusters") else ("--name", self.name)
        return shell.run(binary("kind", self._say), *words, *named, env=environment)
