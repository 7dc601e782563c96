"""The gates of Windows under QEMU: the boot manager's screens come over the serial line, its reads from the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_probes.errors import BootError
from cloudboot_probes.probe import windows

from .session import SILENT, session_of

if TYPE_CHECKING:
    from cloudboot_probes.probe.context import Probe

#: An error screen's code, or the last line of the stand-in where it comes to the loader.
_END = r":\s{0,80}0x[cC][0-9a-fA-F]{7}|\nOK\n|reads NTFS itself\n"
_SETTLED = "boot manager"


def settle(probe: Probe) -> None:
    """Wait until the boot manager shows an error, ends, or has nothing more to say.

    Windows' own says nothing where it succeeds. So a machine that fell silent is no failure here: what was read from
    the disk is for the verdict.
    """
    session = session_of(probe)
    if {_SETTLED, SILENT} & probe.marks.keys():
        return
    try:
        session.mark(_SETTLED, session.expect(_END, "the end of the boot manager's run").time)
    except BootError as error:
        session.mark(_SETTLED, session.machine.elapsed)
        probe.notices.append(f"the boot manager's run ended so: {error.message}")


STAGES = windows.stages(settle)
