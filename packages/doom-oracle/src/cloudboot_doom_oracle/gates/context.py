"""What the gates of one verification share, and how they run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from cloudboot_base import Gate, Stage, Verdict, run_stages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudboot_doom_oracle.audio.wav import Wav
    from cloudboot_doom_oracle.oracle import FrameRecord, Harvest, Oracle
    from cloudboot_doom_oracle.script import Script
    from cloudboot_doom_oracle.wad import Wad

Shared = TypeVar("Shared")


@dataclasses.dataclass(frozen=True)
class Difference:
    """A frame that is not what it must be, for the report: ``before`` and ``after`` are pictures of one size.

    ``meaning`` says what the two are; ``events`` are the sound events around ``tic``.
    """

    tic: int
    meaning: str
    before: Any
    after: Any
    events: Sequence[dict[str, object]]


@dataclasses.dataclass
class GuestRun:
    """An engine run whose frames and keys went through devices.

    ``shown`` holds what screendumps showed: frame number (from 1), digest, whether the border was black. ``ring`` is
    the layout of the virtqueues that was negotiated.
    """

    frames: list[FrameRecord] = dataclasses.field(default_factory=list)
    shown: list[tuple[int, str, bool]] = dataclasses.field(default_factory=list)
    checkpoints: dict[int, str] = dataclasses.field(default_factory=dict)
    keys_sent: list[tuple[int, int, bool]] = dataclasses.field(default_factory=list)
    keys_received: list[tuple[int, int, bool]] = dataclasses.field(default_factory=list)
    flushes: int = 0
    scanout: str = ""
    ring: str = ""


@dataclasses.dataclass
class Context:
    """An oracle, what it is compared with, and what the gates found so far.

    ``fresh`` is the harvest of this verification, ``guest`` what came through the devices. ``pictures`` and ``played``
    are for the report: a tic with expected and actual pixels, and what the sound card's back end recorded. ``ring`` is
    the layout of the devices' virtqueues, ``"split"`` or ``"packed"``.
    """

    oracle: Oracle
    wad: Wad
    script: Script
    pin: bool = True
    architecture: str = "amd64"
    ring: str = "split"
    sample_every: int = 0
    fresh: Harvest | None = None
    guest: GuestRun | None = None
    played: Wav | None = None
    pictures: dict[int, tuple[Any, Any]] = dataclasses.field(default_factory=dict)
    differences: list[Difference] = dataclasses.field(default_factory=list)

    @property
    def run(self) -> Harvest:
        """The fresh harvest; the first stage made it."""
        if self.fresh is None:
            raise RuntimeError("the engine stage has not run")
        return self.fresh


def run_gates(first: Stage[Shared], others: Sequence[Stage[Shared]], context: Shared) -> Iterator[Gate]:
    """Run ``first``; if it passes, run each of the others, whatever becomes of the ones before it.

    A failure of one comparison says nothing about another. Without the run that is compared there is nothing to do.
    """
    gate = next(iter(run_stages([first], context)))
    yield gate
    for stage in others:
        if gate.verdict is not Verdict.PASS:
            yield Gate(stage.name, stage.claim, Verdict.NOT_REACHED)
        else:
            yield from run_stages([stage], context)
