"""The examples of the README run as they stand, and its matrix is one."""

import re
from pathlib import Path

from cloudboot_base.testing import run_examples
from cloudboot_fleet.matrix import parse

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_examples(tmp_path: Path) -> None:
    library = README[README.index("## Library") :]
    assert run_examples(library, tmp_path, warnings="ignore") == 1


def test_the_matrix_is_one() -> None:
    text = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert text is not None
    cells = list(parse(text[1]).cells())
    assert [cell.name for cell in cells] == [
        "probe(architecture=amd64)",
        "probe(architecture=arm64)",
        "check(image=images/*.img)",
        "check(image=registry.example/images:v1.*)",
    ]
    assert cells[2].limits.memory == 2 << 30
