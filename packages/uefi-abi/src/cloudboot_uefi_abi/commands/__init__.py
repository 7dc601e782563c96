"""The commands: device paths, load options, variables, event logs, PE32+ images, GUIDs, tables."""

from __future__ import annotations

from cloudboot_base.program import Program

from . import devpath, eventlog, guid, loadoption, pe, table, variables

__all__ = ["program"]


def program() -> Program:
    """The command with all its sub-commands."""
    made = Program(
        "cloudboot-uefi-abi", "cloudboot-uefi-abi", "Read and convert what UEFI firmware stores, measures and loads."
    )
    for module in (devpath, loadoption, variables, eventlog, pe, guid, table):
        module.add(made)
    return made
