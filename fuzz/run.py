"""Fuzzes one target, or all in turn, for a given time: coverage-guided, by atheris.

    .venv/bin/python fuzz/run.py [TARGET …] [--seconds 60]

What was found is kept in `fuzz/corpus/TARGET/`, where the unit tests replay it for ever; interesting inputs of a run
lie in `.cache/fuzz/TARGET`, where the next run goes on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)  # `fuzz` is a package to the tests, too
CACHE = HERE.parent / ".cache" / "fuzz"
CORPUS = HERE / "corpus"
MAX_INPUT_BYTES = 16 * 1024
INSIDE = "--inside"


def main() -> None:
    if sys.argv[1:2] == [INSIDE]:
        fuzz(sys.argv[2], int(sys.argv[3]))
        return
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of: {', '.join(TARGETS)}; all without one")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are: {', '.join(TARGETS)}")
    failed = []
    for name in options.targets or TARGETS:
        print(f"== {name}, {options.seconds} s", flush=True)
        # A process each: libFuzzer ends its own.
        command = [sys.executable, __file__, INSIDE, name, str(options.seconds)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"defects in: {', '.join(failed)}; see fuzz/corpus, and mend them with the input as a test")
    print("nothing found")


def fuzz(name: str, seconds: int) -> None:
    """Does not return. Nothing of ours may have been imported before: what is imported here is instrumented."""
    import atheris

    with atheris.instrument_imports(include=["onair_media", "fuzz"]):
        from fuzz.targets import MAX_SECONDS, TARGETS
    from fuzz.seeds import seeds

    work, kept = CACHE / name, CORPUS / name
    for folder in (work, kept):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (work / f"seed-{number}").write_bytes(data[:MAX_INPUT_BYTES])
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # SVT-AV1 takes real-time priority, as root
    arguments = [
        sys.argv[0], str(work), str(kept), f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={MAX_SECONDS}", "-rss_limit_mb=2048", f"-artifact_prefix={kept}/",
        "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
