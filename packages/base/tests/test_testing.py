"""The helpers of other tests: a judge that is missing, examples that are wrong, and help that lacks something."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from cloudboot_base.program import Program
from cloudboot_base.testing import Journal, flipped, help_defects, judge, run, run_examples, truncations


def test_a_missing_judge_is_a_skip_and_in_ci_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program is not installed \(Debian package nothing\)"):
        judge("no-such-program", "nothing")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        judge("no-such-program", "nothing")
    assert judge("sh", "dash").endswith("/sh")


def test_a_judge_that_disagrees_is_a_failure_with_its_output() -> None:
    assert run("sh", "-c", "cat; echo said >&2", stdin=b"given ") == "given said\n"
    assert run("sh", "-c", "exit 3", codes=(0, 3)) == ""
    with pytest.raises(AssertionError, match=r"exited with 4:\nwhy"):
        run("sh", "-c", "echo why; exit 4")


def test_damage() -> None:
    assert list(truncations(b"abcde", 2)) == [b"", b"ab", b"abcd"]
    assert flipped(b"abc", 1, 0x20) == b"aBc"
    journal = Journal(bytearray(8))
    journal.write_at(2, memoryview(b"xy"))
    journal.write_at(3, b"z")
    assert journal.writes == [(2, b"xy"), (3, b"z")]
    assert journal.read_at(0, 8) == b"\0\0xz\0\0\0\0"


DOCUMENT = """\
A program:

```python
print(6 * 7)
```

    42

Another, and a command that goes on in the next line:

```python
print("a")
```

```text
a
```

```console
$ echo one \\
    two
one two
$ python -c 'raise SystemExit("no")'
no
```
"""


def test_examples_run_and_are_compared(tmp_path: Path) -> None:
    assert run_examples(DOCUMENT, tmp_path) == 3
    assert run_examples("```python\nprint(value)\n```\n\n    5\n", tmp_path, before="value = 5\n") == 1
    assert run_examples("```python\nprint('took 17 s')\n```\n\n    took 3 s\n", tmp_path, shape=lambda _: "") == 1


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (DOCUMENT.replace("42", "43"), "the document says\n43"),
        (DOCUMENT.replace("one two\n", "one\n"), "and this was printed"),
        ("```python\nraise SystemExit(3)\n```\n", "exited with 3"),
    ],
)
def test_an_example_that_is_wrong(document: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        run_examples(document, tmp_path)
    assert said in str(caught.value)


def test_help_that_lacks_something() -> None:
    def main(_: argparse.Namespace) -> int:
        return 0

    program = Program("sample", "cloudboot-base", "Show it.", examples={"show a": "Fits.", "show a --odd": "Does not."})
    show = program.command("show", main, "Show it.")
    show.add_argument("image", metavar="IMAGE", help="the image")
    show.add_argument("--size", default=4096, help="How large it is.")
    show.add_argument("--kind")
    assert help_defects(program) == [
        "sample show IMAGE: the help is not a sentence: the image",
        "sample show --size: the help does not name the default 4096",
        "sample show --kind: no help",
        "sample show a --odd: unknown option --odd",
    ]
