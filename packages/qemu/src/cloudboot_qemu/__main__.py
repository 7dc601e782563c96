"""``python -m cloudboot_qemu`` is the same as ``cloudboot-qemu``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .commands import program

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    return program().run(arguments)


if __name__ == "__main__":
    sys.exit(main())
