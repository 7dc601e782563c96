"""The README's examples print what it says."""

from pathlib import Path

from cloudboot_base.testing import run_examples

README = Path(__file__).parent.parent / "README.md"


def test_the_examples(tmp_path: Path) -> None:
    document = README.read_text().replace("```console\n$ pip install", "```text\n$ pip install")
    assert run_examples(document, tmp_path) == 1
