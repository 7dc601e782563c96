"""``python -m cloudboot_ufs2`` is the same as ``cloudboot-ufs2``."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from cloudboot_base import MissingDependencyError, command

from .commands import PROGRAM, program

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    try:
        return program().run(arguments)
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
    missing = MissingDependencyError(
        "checking, repairing and changing a file system need numpy", hint="pip install 'cloudboot-ufs2[fast]'"
    )
    words = sys.argv[1:] if arguments is None else arguments
    return command.failed(PROGRAM, missing, as_json="--json" in words)


def console_script() -> int:
    """Run the command line of this process, which does nothing else, and give its exit code."""
    # One command makes hundreds of thousands of objects and no cycles; the collector would only walk them.
    gc.disable()
    return main()


if __name__ == "__main__":
    sys.exit(console_script())
