"""The fuzz harnesses run on what fuzzing found worth keeping, and on inputs that chance makes."""

from __future__ import annotations

import base64
import random
import runpy
from pathlib import Path

import pytest

HARNESSES = sorted((Path(__file__).parent / "fuzz").glob("fuzz_*.py"))


@pytest.mark.parametrize("path", HARNESSES, ids=lambda path: path.stem)
def test_harness(path: Path) -> None:
    one_input = runpy.run_path(str(path))["one_input"]
    chance = random.Random(path.stem)
    for _ in range(20):
        one_input(chance.randbytes(chance.randrange(60)))
    kept = [base64.b64decode(line) for line in (path.parent / "corpus" / f"{path.stem}.txt").read_text().split()]
    assert kept
    for data in kept:
        one_input(data)
