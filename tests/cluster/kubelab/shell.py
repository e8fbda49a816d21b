"""Commands that are expected to succeed, and say why when they do not."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path


class CommandFailed(Exception):
    """A command ended with an error; the message ends with what it said."""


def run(
    *command: str | Path, stdin: str | None = None, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Returns what the command printed."""
    done = subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, check=False, cwd=cwd, env=env
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-3000:]
        raise CommandFailed(
            f"{Path(command[0]).name} {' '.join(map(str, command[1:4]))} …: exit {done.returncode}: {said}"
        )
    return done.stdout


def succeeds(*command: str | Path) -> bool:
    return not subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode
