"""FAT12, FAT16 and FAT32 with long names: format, write, read and check, with deterministic bytes."""

from .builder import build, format, required_size  # noqa: A004 -- the trade's word for it
from .filesystem import FatFileSystem
from .plan import FormatOptions

__all__ = ["FatFileSystem", "FormatOptions", "build", "format", "required_size"]
