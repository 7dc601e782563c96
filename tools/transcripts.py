"""Renew the transcripts of ``make probe`` that the documentation quotes, from a run of it.

    python tools/transcripts.py build/transcript.txt

A block that begins with ``$ make probe`` is replaced whole. In a block with lines of ``...`` only the lines that it
quotes are replaced, each by the next line of the run that begins with the same word: a gate by its name, evidence by
its key.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/getting-started.md")
BLOCK = re.compile(r"```console\n(\$ make probe\n.*?)```", re.DOTALL)
LEFT_OUT = "..."


def key(line: str) -> str:
    """What a line of one run has in common with that of another."""
    if line.startswith("$ "):
        return re.sub(r":\d+/", ":PORT/", line)
    if re.match(r"\d+ of \d+ gates", line):
        return "summary"
    words = re.sub(r":\d+/", ":PORT/", line).split("@")[0].split()
    if words and words[0] in {"PASS", "FAIL", "n/a", "----"}:
        return f"gate {words[1]}"
    return f"{line[: len(line) - len(line.lstrip())]}{words[0]}" if words else ""


def excerpt(quoted: list[str], run: list[str]) -> list[str]:
    """The quoted lines as ``run`` has them.

    Raises:
        SystemExit: one of them is not in the run.
    """
    made, at = [], 0
    for line in quoted:
        if line == LEFT_OUT:
            made.append(line)
            continue
        while at < len(run) and key(run[at]) != key(line):
            at += 1
        if at == len(run):
            raise SystemExit(f"transcripts: the run has no line like {line!r}")
        made.append(run[at])
        at += 1
    return made


def main() -> int:
    """Rewrite the pages."""
    run = ["$ make probe", *Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    for name in PAGES:
        page = ROOT / name

        def renewed(found: re.Match[str]) -> str:
            quoted = found[1].splitlines()
            lines = excerpt(quoted, run) if LEFT_OUT in quoted else run
            return "```console\n" + "\n".join(lines) + "\n```"

        text, count = BLOCK.subn(renewed, page.read_text(encoding="utf-8"))
        if not count:
            raise SystemExit(f"transcripts: {name} quotes no run of make probe")
        page.write_text(text, encoding="utf-8")
        print(f"transcripts: {name}: {count}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
