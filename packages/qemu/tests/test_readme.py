"""The library example of the README runs, and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

from cloudboot_base.testing import run_examples


def shape(text: str) -> str:
    """``text`` without the accesses, which depend on when the firmware's cache was filled."""
    return re.sub(r"^disk0 \d+ \d+\n", "", text, flags=re.MULTILINE)


def test_example(disk: Path, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    given = f"from pathlib import Path; image = Path({str(disk)!r}).read_bytes()\n"
    assert run_examples(readme, tmp_path, shape=shape, before=given) == 1
