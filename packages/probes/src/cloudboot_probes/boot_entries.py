"""Which boot entry starts from a disk, and why the others do not: what a boot manager does with its variables.

The boot manager tries BootNext, then the options of BootOrder (UEFI 2.10 section 3.1.2), and where none starts, the
removable path (section 3.5.1.1). What is decided here is what follows from the disk alone: partition, file, kind of
program. Controllers are the machine's: a path that names one and no partition may be this disk or another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cloudboot_fat as fat
import cloudboot_gpt as gpt
from cloudboot_base import FormatError
from cloudboot_gpt import partition_types
from cloudboot_uefi_abi.device_path import (
    Acpi,
    AcpiExtended,
    Bbs,
    DevicePath,
    FilePath,
    FirmwareFile,
    FirmwareVolume,
    HardDrive,
    MacAddress,
    Uri,
)
from cloudboot_uefi_abi.device_path.path import END_TYPE
from cloudboot_uefi_abi.load_option import LoadOptionAttribute
from cloudboot_uefi_abi.variables import boot_entries

from .file_nodes import file_of
from .loader import REMOVABLE, pe_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudboot_uefi_abi.device_path import Node
    from cloudboot_uefi_abi.variables import BootEntry, Variable

    from .disk import AnyPartition, Disk

__all__ = ["Verdict", "examine"]

_MBR_ESP: Final = 0xEF
_PRIMARY: Final = 4
"""The partitions that an MBR has room for; logical ones have higher numbers."""
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
    """A verdict on every boot entry, in the order the boot manager meets them, and on the removable path at the end."""
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
    if path.end_types[0] != END_TYPE:
        return False, f"the device path ends with a node of type {path.end_types[0]:#x}, which firmware does not take"
    nodes = path.nodes
    if not nodes:
        return False, "the device path is empty"
    found = next(((index, node) for index, node in enumerate(nodes) if isinstance(node, HardDrive)), None)
    if found is None:
        return _elsewhere(disk, nodes, architecture)
    place, drive = found
    # The node of a logical partition stands behind that of the extended one.
    rest = nodes[place + 1 :]
    inner = rest[0] if place and rest and isinstance(rest[0], HardDrive) else None
    partitions = _named(disk, drive, inner, exact=place > 0)
    if isinstance(partitions, str):
        return False, partitions
    rest = rest[1:] if inner is not None else rest
    file, problem = file_of(rest) if rest else (REMOVABLE[architecture], "")
    if file is None:
        return False, problem
    answers = [_program(disk, partition, file, architecture) for partition in partitions]
    boots, reason = next((answer for answer in answers if answer[0]), answers[0])
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
    if isinstance(nodes[0], FilePath):
        file, problem = file_of(nodes)
        if file is None:
            return False, problem
        boots, reason = _first(disk, file, architecture)
        return boots, f"{reason}; the firmware looks for it in every file system that it finds"
    if any(isinstance(node, FilePath) for node in nodes):
        return False, "the path names a file and no partition"
    if isinstance(nodes[-1], (Acpi, AcpiExtended)):
        return False, "the path names a bus and no device"
    boots, reason = _removable(disk, architecture)
    return boots, f"the path names a device and no partition; if that is this disk, {reason}"


def _named(disk: Disk, drive: HardDrive, inner: HardDrive | None, *, exact: bool) -> list[AnyPartition] | str:
    """The partitions that a node names, or why it names none of this disk.

    A path that begins with the node is matched by number, format and signature (UEFI 2.10 section 3.1.2), with the
    partition's own node and with that of the extended partition around it. Behind a controller the nodes have to be
    the partition's own, ``exact``: with first block and size; ``inner`` is the second of them.
    """
    named = drive.text(display=True)
    signed = [
        (partition, chain, own)
        for partition, chain in _partitions(disk)
        for own in (chain[:1] if exact else chain)
        if (own.signature_type, own.signature) == (drive.signature_type, drive.signature)
    ]
    if not signed:
        return f"the disk has no partition {named}"
    numbers = (drive.partition, drive.mbr_type)
    found = [each for each in signed if (each[2].partition, each[2].mbr_type) == numbers]
    if not found:
        others = " or ".join(dict.fromkeys(str(own.partition) for _, _, own in signed))
        return (
            f"{named} is partition {others} of the disk: the path says partition {drive.partition} of format "
            f"{drive.mbr_type}, and firmware compares these, too"
        )
    own = found[0][2]
    if exact and drive != own:
        return f"partition {own.partition} is {own.text()}, and the path has {drive.text()} behind a controller"
    if not exact:
        return [partition for partition, _, _ in found]
    wanted = (drive,) if inner is None else (drive, inner)
    exactly = [partition for partition, chain, _ in found if chain == wanted]
    return exactly or f"partition {own.partition} has no logical partition {inner.text() if inner else ''}"


def _partitions(disk: Disk) -> Iterator[tuple[AnyPartition, tuple[HardDrive, ...]]]:
    """The partitions that firmware sees, each with its nodes; those of a disklabel are not among them.

    A logical partition has the extended one's node and its own, with a number from 1 and no signature.
    """
    extended: HardDrive | None = None
    for partition in disk.table.partitions:
        if isinstance(partition, gpt.Partition):
            node = HardDrive.gpt(partition.number, partition.first_lba, partition.blocks, partition.guid)
            yield partition, (node,)
        elif isinstance(partition, gpt.MBRPartition) and isinstance(disk.table, gpt.MBRTable):
            if partition.number > _PRIMARY and extended is not None:
                number = partition.number - _PRIMARY
                yield partition, (extended, HardDrive.mbr(number, partition.first_lba, partition.blocks, 0))
                continue
            signature = disk.table.disk_signature
            node = HardDrive.mbr(partition.number, partition.first_lba, partition.blocks, signature)
            extended = node if partition.is_extended else extended
            yield partition, (node,)


def _removable(disk: Disk, architecture: str) -> tuple[bool, str]:
    """The removable path in the first file system that has it; EDK2 takes any, not only an EFI system partition."""
    return _first(disk, REMOVABLE[architecture], architecture)


def _first(disk: Disk, file: str, architecture: str) -> tuple[bool, str]:
    """The first partition with ``file``, an EFI system partition's reason before that of another."""
    reasons = []
    for partition in (disk.esp_partition,) if disk.is_cd else (each for each, _ in _partitions(disk)):
        is_esp = partition.type in {partition_types.ESP, _MBR_ESP}
        boots, reason = _program(disk, partition, file, architecture)
        if boots:
            return boots, reason
        reasons.append((not is_esp, reason))
    if all(other for other, _ in reasons):
        return False, f"the disk has no EFI system partition, and no other file system has {file}"
    return False, min(reasons)[1]


def _program(disk: Disk, partition: AnyPartition, file: str, architecture: str) -> tuple[bool, str]:
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
