"""Exit codes that every cloudboot command shares. Packages add codes of their own above them."""

from __future__ import annotations

from typing import Final

OK: Final = 0
#: A check found something, or a gate failed.
CHECK_FAILED: Final = 1
#: Wrong usage, the value of an option included.
USAGE: Final = 2
#: The input is damaged, or is not of this format.
BAD_INPUT: Final = 3
#: There is not enough room.
NO_SPACE: Final = 4
#: The operating system refused, or a program or package is missing.
SYSTEM: Final = 5
INTERRUPTED: Final = 130
