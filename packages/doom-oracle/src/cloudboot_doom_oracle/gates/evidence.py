"""Evidence of gates in lines of text, for the terminal and the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def evidence_lines(evidence: Mapping[str, object]) -> list[str]:
    """A line for each fact: a diff as it is, a diagnosis in words, what is nested as JSON."""
    return [line for name, value in evidence.items() for line in _lines(name, value)]


def _lines(name: str, value: object) -> list[str]:
    if isinstance(value, list | tuple) and value and all(isinstance(line, str) for line in value):
        return [f"{name}:", *(f"  {line}" for line in value)]
    if isinstance(value, dict) and set(value) == {"kind", "cause"}:
        return [f"{name}: {value['kind']}: {value['cause']}"]
    if isinstance(value, str | int | float):
        return [f"{name}: {value}"]
    return [f"{name}: {json.dumps(value, ensure_ascii=False)}"]
