"""How much the commands read."""

from __future__ import annotations

from typing import Final

__all__ = ["LIMIT"]

#: Bytes of a file; nothing that these commands read has as many.
LIMIT: Final = 256 << 20
