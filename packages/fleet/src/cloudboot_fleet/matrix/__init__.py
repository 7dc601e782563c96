"""What a campaign is made of: a file of tables with axes, expanded lazily into cells that are pinned to digests."""

from .blocks import Block, Matrix
from .cells import Cell, Limits, Pinned
from .document import load, parse
from .globs import expanded
from .kinds import KINDS, Kind, Parameter
from .pins import Pins

__all__ = [
    "KINDS",
    "Block",
    "Cell",
    "Kind",
    "Limits",
    "Matrix",
    "Parameter",
    "Pinned",
    "Pins",
    "expanded",
    "load",
    "parse",
]
