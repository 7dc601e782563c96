"""What the fuzz harnesses start from is fine with them, and so is whatever Hypothesis thinks of."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

HARNESSES = sorted((Path(__file__).parent / "fuzz").glob("fuzz_*.py"))


@functools.cache
def harness(path: Path) -> dict[str, Any]:
    return runpy.run_path(str(path))


@pytest.mark.parametrize("path", HARNESSES, ids=lambda path: path.stem)
def test_the_seeds(path: Path) -> None:
    for seed in harness(path)["SEEDS"]:
        harness(path)["one_input"](seed)


@pytest.mark.parametrize("path", HARNESSES, ids=lambda path: path.stem)
@given(st.binary(max_size=200), st.integers(0, 30), st.integers(0, 4000))
def test_changed_seeds(path: Path, piece: bytes, number: int, at: int) -> None:
    run, seeds = harness(path)["one_input"], harness(path)["SEEDS"]
    seed = seeds[number % len(seeds)]
    run(piece)
    at %= len(seed)
    run(seed[:at] + piece + seed[at + len(piece) :])
