"""FAT12, FAT16 and FAT32 with long names: format, write, read and check, with deterministic bytes."""

from .builder import build, format, required_size  # noqa: A004 -- the usual word for it
from .check import check
from .entries import Attribute, DirEntry
from .errors import (
    BootSectorError,
    ChainError,
    DirectoryError,
    DirectoryNotEmptyError,
    FatError,
    FileTooLargeError,
    InvalidNameError,
    NoSpaceError,
    OptionError,
    PathTooLongError,
)
from .extents import Extent, ExtentStorage
from .filesystem import FatFileSystem
from .geometry import FatType, Geometry
from .plan import FormatOptions
from .reader import FatReader, Region

__all__ = [
    "Attribute",
    "BootSectorError",
    "ChainError",
    "DirEntry",
    "DirectoryError",
    "DirectoryNotEmptyError",
    "Extent",
    "ExtentStorage",
    "FatError",
    "FatFileSystem",
    "FatReader",
    "FatType",
    "FileTooLargeError",
    "FormatOptions",
    "Geometry",
    "InvalidNameError",
    "NoSpaceError",
    "OptionError",
    "PathTooLongError",
    "Region",
    "build",
    "check",
    "format",
    "required_size",
]
