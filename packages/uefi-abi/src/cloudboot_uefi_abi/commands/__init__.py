"""The commands: device paths, load options, variables, event logs, PE32+ images, GUIDs, tables."""

from __future__ import annotations

from cloudboot_base.program import Program

from . import devpath, eventlog, guid, loadoption, pe, table, variables

__all__ = ["program"]


def program() -> Program:
    """The command with all its sub-commands."""
    made = Program(
        "cloudboot-uefi-abi", "cloudboot-uefi-abi", "Read and convert what UEFI firmware stores, measures and loads.",
        exit_codes={1: "eventlog --check found a digest that differs from its data."},
        examples={
            "devpath 'PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)'": "Convert a device path to bytes.",
            "variables OVMF_VARS.fd --boot": "List the boot entries of a variable store.",
            "eventlog binary_bios_measurements --check": "Verify the digests of an event log.",
            "pe BOOTX64.EFI": "Print the headers, sections and digest of an EFI program.",
            "table EFI_BOOT_SERVICES": "Print the offsets of the boot services.",
        },
    )  # fmt: skip
    for module in (devpath, loadoption, variables, eventlog, pe, guid, table):
        module.add(made)
    return made
