"""A boot that was begun, and what it left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudboot_probes.blockmap import BlockMap, Read


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line of the console and when it began, in seconds since power-on."""

    time: float
    text: str


@dataclass(frozen=True)
class Boot:
    """What a boot left behind, for reports: as much of it as there was.

    Times are in seconds since power-on. ``dropped`` counts bytes of console text that are kept no more,
    ``reads_dropped`` reads of the disk; ``marks`` are the moments at which phases began ("loader", "kernel",
    "finished"). ``files`` are logs and traces of the firmware's own, by file name.
    """

    block_map: BlockMap | None = None
    reads: Sequence[Read] = ()
    marks: Mapping[str, float] = field(default_factory=dict)
    screenshot: bytes | None = None
    console: str = ""
    lines: Sequence[ConsoleLine] = ()
    dropped: int = 0
    reads_dropped: int = 0
    files: Mapping[str, bytes] = field(default_factory=dict)


class Session(Protocol):
    """A boot that was begun: a machine, or an interpreter of machine code in this process."""

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware, for the record's header: names, versions, sizes."""
        ...

    def boot(self) -> Boot:
        """What was seen so far; called once, before :meth:`close`."""
        ...

    def close(self) -> None:
        """End it, and give everything back. Safe to call more than once."""
        ...
