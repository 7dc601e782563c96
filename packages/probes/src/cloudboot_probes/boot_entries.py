"""Which boot entry starts from a disk, and why the others do not: what a boot manager does with its variables.

The boot manager tries BootNext, then the options of BootOrder (UEFI 2.10 section 3.1.2), and where none starts, the
removable path (section 3.5.1.1). What is decided here is what follows from the disk alone: partition, file, kind of
program. Controllers are the machine's: a path that names one and no partition may be this disk or another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cloudboot_fat as fat
from cloudboot_base import FormatError
from cloudboot_gpt import partition_types
from cloudboot_uefi_abi.device_path import (
    Bbs,
    DevicePath,
    FilePath,
    FirmwareFile,
    FirmwareVolume,
    HardDrive,
    MacAddress,
    Uri,
)
from cloudboot_uefi_abi.load_option import LoadOptionAttribute
from cloudboot_uefi_abi.variables import boot_entries

from .loader import REMOVABLE, pe_problems

if TYPE_CHECKING:
    from collections.abc import Iterable

    import cloudboot_gpt as gpt
    from cloudboot_uefi_abi.device_path import Node
    from cloudboot_uefi_abi.variables import BootEntry, Variable

    from .disk import Disk

__all__ = ["Verdict", "examine"]

FALLBACK: Final = "removable path"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one boot entry: whether it starts from the disk, and the reason.

    ``order`` is its place among those the boot manager tries, from 1, or ``None`` where it is never tried.
    """

    name: str
    description: str
    path: str
    order: int | None
    boots: bool
    reason: str

    def as_dict(self) -> dict[str, object]:
        """The verdict, ready for JSON."""
        return {
            "name": self.name,
            "description": self.description,
            "path": self.path,
            "order": self.order,
            "boots": self.boots,
            "reason": self.reason,
        }


def examine(disk: Disk, variables: Iterable[Variable], architecture: str) -> list[Verdict]:
    """A verdict on every boot entry, in the order the boot manager meets them, and on the removable path at the end.

    Raises:
        VariableError: BootOrder is malformed.
    """
    verdicts = []
    order = 0
    for entry in boot_entries(variables):
        tried = entry.is_next or entry.position is not None
        order += tried
        boots, reason = _decide(disk, entry, architecture, tried=tried)
        description = entry.option.description if entry.option else ""
        path = str(entry.option.paths[0]) if entry.option and entry.option.paths else ""
        verdicts.append(Verdict(entry.name, description, path, order if tried else None, boots, reason))
    removable = REMOVABLE[architecture]
    boots, reason = _removable(disk, architecture)
    verdicts.append(Verdict(FALLBACK, "", removable.replace("/", "\\"), order + 1, boots, reason))
    return verdicts


def _decide(disk: Disk, entry: BootEntry, architecture: str, *, tried: bool) -> tuple[bool, str]:
    option = entry.option
    if option is None:
        return False, entry.problem or "the option cannot be read"
    if not tried:
        return False, "BootOrder does not name it"
    if not option.active:
        return False, "the option is not active"
    if option.attributes & LoadOptionAttribute.CATEGORY:
        return False, "the option is an application that is started from a menu only"
    if not option.paths:
        return False, "the option has no device path"
    return _follow(disk, option.paths[0], architecture)


def _follow(disk: Disk, path: DevicePath, architecture: str) -> tuple[bool, str]:
    if len(path.instances) != 1:
        return False, "the device path has several instances"
    nodes = path.nodes
    place = next((index for index, node in enumerate(nodes) if isinstance(node, HardDrive)), None)
    if place is None:
        return _elsewhere(disk, nodes, architecture)
    partition = _partition(disk, nodes[place])
    if partition is None:
        return False, f"the disk has no partition {nodes[place].text(display=True)}"
    file = _file(nodes[place + 1 :])
    if file is None:
        return False, "behind the partition are other nodes than a file's path"
    boots, reason = _program(disk, partition, file or REMOVABLE[architecture], architecture)
    if boots and place:
        reason += "; the firmware has to find this disk at the controller that the path names"
    return boots, reason


def _elsewhere(disk: Disk, nodes: tuple[Node, ...], architecture: str) -> tuple[bool, str]:
    kinds: tuple[tuple[tuple[type[Node], ...], str], ...] = (
        ((FirmwareVolume, FirmwareFile), "the program is in the firmware, not on the disk"),
        ((MacAddress, Uri), "the program comes from the network"),
        ((Bbs,), "the path is for a BIOS"),
    )
    for types, reason in kinds:
        if any(isinstance(node, types) for node in nodes):
            return False, reason
    if any(isinstance(node, FilePath) for node in nodes):
        return False, "the path names a file and no partition"
    boots, reason = _removable(disk, architecture)
    return boots, f"the path names a device and no partition; if that is this disk, {reason}"


def _partition(disk: Disk, drive: Node) -> gpt.Partition | None:
    guid = drive.guid if isinstance(drive, HardDrive) else None
    return next((each for each in disk.table.partitions if guid is not None and each.guid == guid), None)


def _file(nodes: tuple[Node, ...]) -> str | None:
    """The path that file nodes make, which is empty without nodes; ``None`` where there are other nodes."""
    names = []
    for node in nodes:
        if not isinstance(node, FilePath):
            return None
        names += [name for name in node.path.split("\\") if name]
    return "/" + "/".join(names) if names else ""


def _removable(disk: Disk, architecture: str) -> tuple[bool, str]:
    found = disk.table.find(partition_types.ESP)
    if found is None:
        return False, "the disk has no EFI system partition"
    return _program(disk, found, REMOVABLE[architecture], architecture)


def _program(disk: Disk, partition: gpt.Partition, file: str, architecture: str) -> tuple[bool, str]:
    try:
        volume = fat.FatFileSystem(partition.window(disk.storage))
        if not volume.exists(file):
            return False, f"partition {partition.number} has no {file}"
        data = volume.read_file(file)
    except FormatError as error:
        return False, f"partition {partition.number} cannot be read: {error}"
    except OSError as error:
        return False, f"partition {partition.number}: {file}: {error.strerror or error}"
    problems = pe_problems(data, architecture)
    if problems:
        return False, f"{file} {problems[0]}"
    return True, f"{file} on partition {partition.number}"
