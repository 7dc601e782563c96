"""``python -m cloudboot_records MODULE``: regenerate the records beside a declaration module."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from .generate import generate


def main(arguments: list[str] | None = None) -> int:
    """Write ``records.py`` beside the module, or say with ``--check`` whether it is up to date."""
    parser = argparse.ArgumentParser(prog="python -m cloudboot_records", description=main.__doc__)
    parser.add_argument("module", help="declaration module, such as cloudboot_gpt.layout")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is out of date")
    options = parser.parse_args(arguments)
    module = importlib.import_module(options.module)
    if module.__file__ is None:
        parser.error(f"{options.module} has no source file")
    target = Path(module.__file__).with_name("records.py")
    source = generate(module)
    current = target.read_text(encoding="utf-8") if target.exists() else None
    if source == current:
        print(f"{target.name}: up to date", file=sys.stderr)
        return 0
    if options.check:
        print(f"{target.name}: out of date; run python -m cloudboot_records {options.module}", file=sys.stderr)
        return 1
    target.write_text(source, encoding="utf-8")
    print(f"{target.name}: written", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
