"""What tests ask of a cluster, in the words of kubectl."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from kubelab import shell

Object = dict[str, Any]


class Kubectl:
    """kubectl with one kubeconfig and one namespace."""

    def __init__(self, binary: Path, kubeconfig: Path, namespace: str = "default") -> None:
        self.binary, self.kubeconfig, self.namespace = binary, kubeconfig, namespace

    def within(self, namespace: str) -> Kubectl:
        return Kubectl(self.binary, self.kubeconfig, namespace)

    def command(self, *words: str | Path) -> list[str]:
        """The whole command line, for who runs it in another way."""
        fixed = [str(self.binary), f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        return fixed + [str(word) for word in words]

    def run(self, *words: str | Path, stdin: str | None = None) -> str:
        return shell.run(*self.command(*words), stdin=stdin)

    def apply(self, *objects: Object | Path) -> None:
        """Server-side; paths are files or folders of manifests."""
        apply = ("apply", "--server-side", "--field-manager=test", "-f")
        made = [thing for thing in objects if not isinstance(thing, Path)]
        if made:
            self.run(*apply, "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
        for path in objects:
            if isinstance(path, Path):
                self.run(*apply, path)

    def get(self, kind: str, name: str) -> Object:
        found: Object = json.loads(self.run("get", kind, name, "-o", "json"))
        return found

    def list(self, kind: str, *words: str) -> list[Object]:
        found: list[Object] = json.loads(self.run("get", kind, *words, "-o", "json"))["items"]
        return found

    def wait(self, thing: str, condition: str, seconds: float = 60) -> None:
        """Waits for `thing` (kind/name) to have the condition (`Ready`, `Ready=Unknown`), or to be (`create`, `delete`)."""
        wanted = condition if condition in ("create", "delete") else f"condition={condition}"
        self.run("wait", thing, f"--for={wanted}", f"--timeout={seconds}s")

    def delete(self, *things: str) -> None:
        self.run("delete", "--ignore-not-found", "--wait=false", *things)

    def logs(self, pod: str) -> str:
        return self.run("logs", pod)

    def exec(self, pod: str, *command: str) -> str:
        return self.run("exec", pod, "--", *command)

    def attempt(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """For what may fail: a test of a refusal, or collecting what can still be had."""
        command = self.command(*words)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)
