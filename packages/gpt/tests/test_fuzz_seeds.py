"""The fuzz harness holds for its own seeds and for whatever Hypothesis makes of its input format."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st


def _harness() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz_read", Path(__file__).parent / "fuzz" / "fuzz_read.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HARNESS = _harness()


@pytest.mark.parametrize("seed", HARNESS.SEEDS)
def test_a_seed(seed: bytes) -> None:
    HARNESS.one_input(seed)


areas = st.integers(0, 1024 + 4 * 128) | st.integers(0x8000, 0x8000 | 1024) | st.integers(0, 0xFFFF)
patches = st.builds(HARNESS.patch, areas, st.binary(max_size=16))


@given(st.integers(0, 15), st.lists(patches, max_size=6))
def test_patches(mode: int, pieces: list[bytes]) -> None:
    HARNESS.one_input(bytes([mode]) + b"".join(pieces))
