"""The fuzz harness holds for its seeds, for the kept corpus, and for damaged copies of both."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

FUZZ = Path(__file__).parent / "fuzz"


def _harness() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz_codecs", FUZZ / "fuzz_codecs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HARNESS = _harness()
SEEDS: list[bytes] = HARNESS.seeds()
KEPT = sorted((FUZZ / "corpus" / "fuzz_codecs").iterdir())


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: HARNESS.CODECS[seed[0]].__name__)
def test_a_seed_is_accepted(seed: bytes) -> None:
    if HARNESS.CODECS[seed[0]] not in {HARNESS.image, HARNESS.event_log}:
        HARNESS.CODECS[seed[0]](seed[1:])
    HARNESS.one_input(seed)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_a_kept_input(path: Path) -> None:
    HARNESS.one_input(path.read_bytes())


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=4),
    st.integers(0, 64),
)
def test_damaged_seeds(seed: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(seed[: len(seed) - cut])
    for place, value in changes:
        if 0 < place < len(data):
            data[place] = value
    HARNESS.one_input(bytes(data))
