"""What a run writes down as it goes, so that the next one knows what it left."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from kubelab import layout
from kubelab.processes import Process

FILE = layout.STATE / "cluster.json"


@dataclass
class Record:
    """Of one cluster.

    Attributes:
        owner: the test run that will take it down; None: it was made to stay.
        complete: it came up whole.
        processes, nodes: what was started so far.
        images: archives that each node has.
        settings: of the kernel, as they were before.
    """

    owner: Process | None
    complete: bool = False
    processes: list[Process] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def save(self) -> None:
        content = dataclasses.asdict(self) | {"images": [str(path) for path in self.images]}
        unfinished = FILE.with_suffix(".new")
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")
        unfinished.replace(FILE)

    @classmethod
    def load(cls) -> Record | None:
        """None when there is no cluster, or one that came not so far as to have a record."""
        try:
            content = json.loads(FILE.read_text(encoding="utf-8"))
            return cls(
                owner=Process(**content["owner"]) if content["owner"] else None,
                complete=content["complete"],
                processes=[Process(**process) for process in content["processes"]],
                nodes=content["nodes"],
                images=[Path(path) for path in content["images"]],
                settings=content["settings"],
            )
        except (OSError, ValueError, KeyError, TypeError):  # none, half written, or of another version of this tool
            return None

    def stands(self) -> bool:
        """Whether the whole cluster is there, and nothing of it has died."""
        return self.complete and all(process.lives() for process in self.processes)
