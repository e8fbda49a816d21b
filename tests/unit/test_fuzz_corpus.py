"""What fuzzing has found stays mended, and the targets run on what real encoders send."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fuzz.seeds import seeds
from fuzz.targets import TARGETS

CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "corpus"
KEPT = sorted(file for file in CORPUS.glob("*/*") if file.is_file())


@pytest.mark.timeout(30)  # what was found for its time took far longer on any machine, or for ever
@pytest.mark.parametrize("file", KEPT, ids=lambda file: f"{file.parent.name}-{file.name[:20]}")
def test_what_was_found_is_mended(file: Path) -> None:
    TARGETS[file.parent.name](file.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_real_streams_and_their_mutations(name: str) -> None:
    dice = random.Random(name)
    for seed in seeds(name)[:6]:
        TARGETS[name](seed)
        for _ in range(20):
            damaged = bytearray(seed)
            for _ in range(dice.randint(1, 8)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            TARGETS[name](bytes(damaged[: dice.randint(1, len(damaged))]))
