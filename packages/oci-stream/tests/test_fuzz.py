"""What the fuzz harness starts from is fine with it, and so is whatever Hypothesis thinks of."""

from __future__ import annotations

import runpy
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

HARNESS = runpy.run_path(str(Path(__file__).parent / "fuzz" / "fuzz_manifest.py"))


def test_the_seeds() -> None:
    for seed in HARNESS["SEEDS"]:
        HARNESS["one_input"](seed)


@given(st.binary(max_size=200), st.sampled_from(HARNESS["SEEDS"]), st.integers(0, 300))
def test_changed_seeds(piece: bytes, seed: bytes, at: int) -> None:
    HARNESS["one_input"](piece)
    HARNESS["one_input"](seed[:at] + piece + seed[at + len(piece) :])
