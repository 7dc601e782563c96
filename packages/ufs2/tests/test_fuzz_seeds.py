"""The fuzz harnesses hold for their own seeds and for what Hypothesis makes of their input format."""

from __future__ import annotations

import importlib.util
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudboot_ufs2 import check


def harness(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "fuzz" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HARNESSES = {name: harness(name) for name in ("fuzz_read", "fuzz_check", "fuzz_container", "fuzz_edit")}
PATCHES = HARNESSES["fuzz_read"].PATCHES


def test_without_patches_the_images_are_as_they_were() -> None:
    # NetBSD's makefs writes UFS2 where only NetBSD looks.
    kinds = [{finding.kind for finding in check(PATCHES.apply(bytes([number])))} for number in range(6)]
    assert kinds == [set(), set(), set(), set(), {"superblock-sblockloc"}, {"superblock-sblockloc"}]


@pytest.mark.parametrize("name", HARNESSES)
def test_seeds(name: str) -> None:
    module = HARNESSES[name]
    for seed in module.SEEDS:
        module.one_input(seed)


IMAGE = len(PATCHES.apply(b""))


_MOST_CALLS = 1_000_000  # of Python functions, for an image of a megabyte or less


def _calls(function: Callable[[bytes], object], data: bytes) -> int:
    """How many functions are called, those of Python's own included: work that does not depend on the machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function(data)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    # A compressed disk may fill the limit of its harness, and is read in chunks. Tracing is slow.
    ("name", "more", "every"),
    [
        ("fuzz_read", 1 << 20, 4),
        ("fuzz_check", 1 << 20, 4),
        ("fuzz_container", 16 << 20, 1),
        ("fuzz_edit", 1 << 20, 16),
    ],
)
def test_what_fuzzing_kept(name: str, more: int, every: int) -> None:
    """Nothing comes out that may not, nothing takes many steps, nor more memory than the image twice and a constant."""
    module = HARNESSES[name]
    assert len(module.CORPUS) > 100
    for number, data in enumerate(module.CORPUS):
        if number % (4 * every):
            module.one_input(data)
        else:  # counting takes several times as long
            assert _calls(module.one_input, data) < _MOST_CALLS
    tracemalloc.start()
    try:
        for data in module.CORPUS[::every]:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            module.one_input(data)
            assert tracemalloc.get_traced_memory()[1] - before <= 2 * IMAGE + more
    finally:
        tracemalloc.stop()


patches = st.builds(PATCHES.patch, st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=16))


@pytest.mark.parametrize("name", HARNESSES)
@settings(max_examples=150, deadline=None)
@given(base=st.integers(0, 5), pieces=st.lists(patches, min_size=1, max_size=8), script=st.binary(max_size=24))
def test_patches(name: str, base: int, pieces: list[bytes], script: bytes) -> None:
    data = bytes([base]) + b"".join(pieces)
    match name:
        case "fuzz_container":
            data = b"\xff" + data
        case "fuzz_edit":
            data = bytes([len(script)]) + script + data
    HARNESSES[name].one_input(data)
