"""The README's examples run as they stand, and print what it says they print."""

from __future__ import annotations

import re
from pathlib import Path

from cloudboot_base.testing import run_examples


def test_examples(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    declaration = re.search(r"^```python\n(.*?)^```\n", text, re.DOTALL | re.MULTILINE)
    assert declaration is not None
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "layout.py").write_text(declaration[1])
    assert run_examples(text.replace(declaration[0], ""), tmp_path) == 3
