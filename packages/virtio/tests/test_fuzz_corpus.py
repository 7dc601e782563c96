"""The harnesses hold for what fuzzing found worth keeping."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

FUZZ = Path(__file__).parent / "fuzz"
INPUTS = [
    pytest.param(folder.name, path, id=f"{folder.name}-{path.name[:8]}")
    for folder in sorted((FUZZ / "corpus").iterdir())
    for path in sorted(folder.iterdir())
]


def harness(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, FUZZ / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HARNESSES = {path.stem: harness(path.stem) for path in FUZZ.glob("fuzz_*.py")}


@pytest.mark.parametrize(("name", "path"), INPUTS)
def test_an_input(name: str, path: Path) -> None:
    HARNESSES[name].one_input(path.read_bytes())
