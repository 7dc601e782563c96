"""The files of the volume that hold one thing: $Boot, $MFTMirr, $Volume, $AttrDef, $UpCase, $LogFile, $BadClus."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_ntfs import upcase
from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.layout import attrdef
from cloudboot_ntfs.layout.constants import VOLUME_DIRTY, Number, Type
from cloudboot_ntfs.layout.records import AttrDefEntry, BootSector
from cloudboot_ntfs.reader.logfile import SETTLED, LogState, read_log

if TYPE_CHECKING:
    from .context import Context


def check_boot(context: Context) -> None:
    """The fields of the boot sector that readers pass over, its backup, and $Boot."""
    storage, geometry = context.volume.storage, context.volume.geometry
    head = BootSector.unpack_from(storage.read_at(0, BootSector.SIZE))
    for field, offset, expected, actual in (
        ("end_signature", 510, 0xAA55, head.end_signature),
        ("zero0", 14, bytes(7), head.zero0),
        ("media", 21, 0xF8, head.media),
        ("zero1", 22, 0, head.zero1),
        ("zero2", 32, 0, head.zero2),
    ):
        if expected != actual:
            context.report(
                "boot-sector",
                "the value is another",
                structure="BootSector",
                field=field,
                offset=offset,
                expected=expected,
                actual=actual,
            )
    if head.jump[:1] not in (b"\xeb", b"\xe9"):
        context.report(
            "boot-sector",
            "no jump over the parameters",
            structure="BootSector",
            field="jump",
            offset=0,
            actual=head.jump,
        )
    sector, place = geometry.sector_size, geometry.backup_offset
    if place + sector > storage.size:
        context.report(
            "backup-boot", "the volume ends before its backup boot sector", structure="backup BootSector", offset=place
        )
    elif storage.read_at(place, BootSector.SIZE) != storage.read_at(0, BootSector.SIZE):
        context.report(
            "backup-boot",
            "the backup boot sector differs from the boot sector",
            structure="backup BootSector",
            offset=place,
        )
    stream = context.mft.stream(context.mft.file(Number.BOOT), Type.DATA)
    if not stream.runs or stream.runs[0].lcn != 0:
        context.report("boot-file", "$Boot does not hold the boot sector", structure="$Boot", expected="cluster 0")
    for number, field, lcn in (
        (Number.MFT, "mft_lcn", geometry.mft_lcn),
        (Number.MFT_MIRR, "mftmirr_lcn", geometry.mftmirr_lcn),
    ):
        stream = context.mft.stream(context.mft.file(number), Type.DATA)
        if not stream.runs or stream.runs[0].lcn != lcn:
            first = stream.runs[0].lcn if stream.runs else None
            context.report(
                "boot-sector",
                "the file starts elsewhere",
                structure="BootSector",
                field=field,
                expected=first,
                actual=lcn,
            )


def check_mirror(context: Context) -> None:
    """$MFTMirr repeats the first records byte for byte."""
    geometry = context.volume.geometry
    stream = context.mft.stream(context.mft.file(Number.MFT_MIRR), Type.DATA)
    size = geometry.record_size
    if stream.size < 4 * size:
        context.report(
            "mft-mirror", "$MFTMirr is too short", structure="$MFTMirr", expected=4 * size, actual=stream.size
        )
    for number in range(min(4, stream.size // size)):
        if stream.read_at(number * size, size) != context.mft.raw(number):
            context.report(
                "mft-mirror", "a record differs from its copy in $MFTMirr", structure="$MFTMirr", record=number
            )


def check_volume(context: Context) -> None:
    """Version and flags of $Volume."""
    information = context.volume.information
    version = information.major_version, information.minor_version
    if version not in ((1, 2), (3, 0), (3, 1)):
        context.report(
            "volume-version", "a version of NTFS that there is not", structure="VolumeInformation",
            field="major_version", expected="1.2, 3.0 or 3.1", actual="{}.{}".format(*version),
        )  # fmt: skip
    if information.flags & VOLUME_DIRTY:
        context.report(
            "volume-dirty", "the volume was not unmounted, or is to be checked", structure="VolumeInformation",
            field="flags", expected=0, actual=information.flags,
        )  # fmt: skip


def check_attr_def(context: Context) -> None:
    """$AttrDef has the types that Windows knows, as it knows them; others may be there."""
    stream = context.mft.stream(context.mft.file(Number.ATTR_DEF), Type.DATA)
    data = stream.read_at(0, min(stream.size, 1 << 20))
    known = {entry.type: entry for entry in AttrDefEntry.iter_unpack(attrdef.table()) if entry.type}
    previous, found = 0, set()
    for start in range(0, len(data) - AttrDefEntry.SIZE + 1, AttrDefEntry.SIZE):
        entry = AttrDefEntry.unpack_from(data, start)
        if not entry.type:
            break
        if entry.type <= previous:
            context.report(
                "attr-def",
                "the types are not in order",
                structure="AttrDefEntry",
                field="type",
                offset=start,
                actual=entry.type,
            )
        previous = entry.type
        found.add(entry.type)
        expected = known.get(entry.type)
        # Windows XP has other limits for two types; names and flags are the same in every version.
        if expected is not None and (expected.label, expected.flags) != (entry.label, entry.flags):
            context.report(
                "attr-def",
                "a type is defined in another way",
                structure="AttrDefEntry",
                offset=start,
                expected=expected.flags,
                actual=entry.flags,
            )
    for kind in known.keys() - found:
        context.report("attr-def", "a type is missing", structure="AttrDefEntry", expected=f"{kind:#x}")


def check_upcase(context: Context) -> None:
    """$UpCase has all units, and keeps what is upper case; one that says it is today's table is it."""
    record = context.mft.file(Number.UP_CASE)
    stream = context.mft.stream(record, Type.DATA)
    if stream.size != upcase.SIZE:
        context.report(
            "upcase", "the table has another size", structure="$UpCase", expected=upcase.SIZE, actual=stream.size
        )
        return
    data = stream.read_at(0, upcase.SIZE)
    if data == upcase.default_bytes():
        return
    table = struct.unpack("<65536H", data)
    info = [each.value for each in record.attributes if each.type == Type.DATA and each.name == "$Info"]
    if info and info[0][8:16] == _TABLE_CHECKSUM:
        unit = next(unit for unit, upper in enumerate(upcase.default_table()) if table[unit] != upper)
        context.report(
            "upcase", "the table is not the one that its $Info describes", structure="$UpCase", offset=2 * unit,
            expected=upcase.default_table()[unit], actual=table[unit],
        )  # fmt: skip
    for unit in range(128):
        expected = ord(chr(unit).upper())
        if table[unit] != expected:
            context.report(
                "upcase",
                "the upper case of an ASCII character is another",
                structure="$UpCase",
                offset=2 * unit,
                expected=expected,
                actual=table[unit],
            )
            break


#: What $Info has of the table of Windows 7 and later.
_TABLE_CHECKSUM = bytes.fromhex("0c691b6b777edcda")


def check_log_file(context: Context) -> None:
    """$LogFile is empty (all ones), or its restart area says that nothing is left to be replayed."""
    found = read_log(context.mft)
    if found.state in SETTLED:
        return
    context.report(
        "log-file" if found.state == LogState.DAMAGED else "log-file-dirty", found.message, structure="$LogFile",
        field=found.field or None, offset=found.offset, expected=found.expected, actual=found.actual,
    )  # fmt: skip


def check_bad_clusters(context: Context) -> None:
    """$BadClus:$Bad is as large as the volume."""
    geometry = context.volume.geometry
    try:
        stream = context.mft.stream(context.mft.file(Number.BAD_CLUS), Type.DATA, "$Bad")
    except NtfsError as error:
        context.caught(error)
        return
    expected = geometry.clusters * geometry.cluster_size
    if stream.size not in (expected, geometry.backup_offset):
        context.report(
            "bad-clusters",
            "$Bad is not as large as the volume",
            structure="$BadClus",
            expected=expected,
            actual=stream.size,
        )
