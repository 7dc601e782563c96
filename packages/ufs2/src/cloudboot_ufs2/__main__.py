"""``python -m cloudboot_ufs2`` is the same as ``cloudboot-ufs2``."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from .commands import program

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    return program().run(arguments)


def console_script() -> int:
    """Run the command line of this process, which does nothing else, and give its exit code."""
    # One command makes hundreds of thousands of objects and no cycles; the collector would only walk them.
    gc.disable()
    code = main()
    gc.freeze()  # the interpreter collects once more when it ends, which would take a tenth of a short command's time
    return code


if __name__ == "__main__":
    sys.exit(console_script())
