"""Volumes with one rule broken: each damage names the kind of the finding that a check must give."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.layout.records import AttributeHeader
from cloudboot_ntfs.reader.index import Index
from cloudboot_ntfs.reader.volume import NTFS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_ntfs.layout.attribute import Attribute
    from cloudboot_ntfs.reader.mft import Record


class Patient:
    """A volume in memory whose records can be changed; fixups are undone and put back around a change."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.volume = NTFS(bytes(data))
        self.geometry = self.volume.geometry

    def record_offset(self, number: int) -> int:
        """Where a record stands, in bytes."""
        offset = self.volume.mft.offset(number)
        assert offset is not None  # noqa: S101 -- the MFT of the sample has no holes
        return offset

    def change(self, offset: int, size: int, action: Callable[[bytearray], None]) -> None:
        """Change a record or an index block of ``size`` bytes; the mirror follows its records."""
        block = bytearray(self.data[offset : offset + size])
        fixup.restore(block, "block")
        action(block)
        fixup.protect(block, 9)
        self.data[offset : offset + size] = block
        first = self.record_offset(0)
        if first <= offset < first + 4 * self.geometry.record_size:
            place = self.geometry.mftmirr_lcn * self.geometry.cluster_size + offset - first
            self.data[place : place + size] = block

    def record(self, number: int, action: Callable[[bytearray], None]) -> None:
        """Change a record."""
        self.change(self.record_offset(number), self.geometry.record_size, action)

    def patch(self, number: int, offset: int, data: bytes) -> None:
        """Replace bytes in a record."""

        def action(block: bytearray) -> None:
            block[offset : offset + len(data)] = data

        self.record(number, action)

    def attribute(self, number: int, kind: int, name: str = "") -> Attribute:
        """An attribute of a record, to know where it stands."""
        found: Record = self.volume.mft.record(number)
        return next(each for each in found.attributes if each.type == kind and each.name == name)

    def value_offset(self, number: int, kind: int, name: str = "") -> int:
        """Where the value of a resident attribute starts in its record."""
        each = self.attribute(number, kind, name)
        raw = self.data[self.record_offset(number) + each.offset :]
        return each.offset + int(struct.unpack_from("<H", raw, AttributeHeader.SIZE + 4)[0])

    def stream_offset(self, number: int, kind: int, name: str = "") -> int:
        """Where the first byte of an attribute in clusters stands in the volume."""
        stream = self.volume.mft.stream(self.volume.mft.file(number), kind, name)
        return next(place for _, place, _ in stream.places())

    def block(self, number: int, vcn: int, action: Callable[[bytearray], None]) -> None:
        """Change the index block of a directory at ``vcn``."""
        index = Index(self.volume.mft, self.volume.mft.file(number), "$I30")
        first = self.stream_offset(number, Type.INDEX_ALLOCATION, "$I30")
        self.change(first + vcn * index.vcn_size, index.block_size, action)

    def find(self, path: str) -> int:
        """The record of a path."""
        return self.volume.find(path, follow_symlinks=False)


def sample() -> dict[str, object]:
    """The tree that the damages are for: use it with :func:`cloudboot_ntfs.build` and 8 MiB."""
    from cloudboot_ntfs.builder.source import File, HardLink, Symlink

    tree: dict[str, object] = {f"/large/name {number:03}": b"x" for number in range(100)}
    tree |= {
        "/file": bytes(range(256)) * 40,
        "/other": bytes(20_000),
        "/sub/below/file": b"1",
        "/link": Symlink("file"),
    }
    tree |= {f"/names/{number:02}": HardLink("/file") for number in range(20)}
    tree |= {"/secret": File(b"s", security="O:SYG:SYD:(A;;FA;;;SY)")}
    return tree


def _add(block: bytearray, offset: int, code: str, amount: int) -> None:
    value = struct.unpack_from(code, block, offset)[0]
    mask = (1 << 8 * struct.calcsize(code)) - 1
    struct.pack_into(code, block, offset, value + amount & mask)


def _swap_entries(block: bytearray) -> None:
    """Exchange the first letter of the first entry of an index block."""
    position = 24 + struct.unpack_from("<I", block, 24)[0]
    block[position + 16 + 66] = ord("z")


def damages() -> Iterator[tuple[str, Callable[[Patient], None]]]:
    """Every damage as ``(kind of the finding, what it does)``."""

    def sds(patient: Patient) -> int:
        return patient.stream_offset(Number.SECURE, Type.DATA, "$SDS")

    def bit(patient: Patient, kind: int, number: int, position: int, *, name: str = "") -> None:
        place = patient.stream_offset(number, kind, name) + position // 8
        patient.data[place] ^= 1 << position % 8

    def file_data(patient: Patient) -> Attribute:
        return patient.attribute(patient.find("/other"), Type.DATA)

    def runs_of(patient: Patient, number: int) -> int:
        each = patient.attribute(number, Type.DATA)
        return each.offset + int(
            struct.unpack_from("<H", patient.data, patient.record_offset(number) + each.offset + 32)[0]
        )

    def in_other(patient: Patient, field: int, code: str, amount: int) -> None:
        number, each = patient.find("/other"), file_data(patient)
        patient.record(number, lambda block: _add(block, each.offset + field, code, amount))

    def share(patient: Patient) -> None:
        source, target = patient.find("/file"), patient.find("/other")
        place = runs_of(patient, target)
        own = patient.volume.mft.stream(patient.volume.mft.file(source), Type.DATA).runs[0].lcn or 0
        raw = b"\x31\x05" + own.to_bytes(3, "little") + b"\0"
        patient.patch(target, place, raw)

    def mirror(patient: Patient) -> None:
        patient.data[patient.geometry.mftmirr_lcn * patient.geometry.cluster_size + 1024 + 100] ^= 1

    def flip(offset: Callable[[Patient], int], mask: int = 1) -> Callable[[Patient], None]:
        def action(patient: Patient) -> None:
            patient.data[offset(patient)] ^= mask

        return action

    def unlist(patient: Patient) -> None:
        """Take the last entry out of the attribute list of a file."""
        number = patient.find("/file")
        each = patient.attribute(number, Type.ATTRIBUTE_LIST)
        value = patient.value_offset(number, Type.ATTRIBUTE_LIST)
        patient.record(
            number, lambda block: _add(block, each.offset + 16, "<I", -(len(each.value) - 32)) if value else None
        )

    def twice(patient: Patient) -> None:
        number = patient.find("/file")
        place = patient.value_offset(number, Type.ATTRIBUTE_LIST)

        def action(block: bytearray) -> None:
            block[place + 96 : place + 128] = block[place + 64 : place + 96]

        patient.record(number, action)

    yield "boot-sector", flip(lambda _: 510)
    yield "backup-boot", flip(lambda patient: patient.geometry.backup_offset + 100)
    yield "mft-mirror", mirror
    yield "fixup", flip(lambda patient: patient.record_offset(patient.find("/sub")) + 510)
    yield "record", flip(lambda patient: patient.record_offset(patient.find("/sub")) + 20, 0xFF)
    yield "record-number", lambda patient: patient.patch(patient.find("/sub"), 44, b"\xff")
    yield "record-sequence", lambda patient: patient.patch(patient.find("/sub"), 16, b"\0\0")
    yield "record-used", lambda patient: patient.record(patient.find("/sub"), lambda block: _add(block, 24, "<I", 8))
    yield "record-bitmap-free", lambda patient: bit(patient, Type.BITMAP, Number.MFT, patient.find("/sub"))
    yield "record-bitmap-leak", lambda patient: bit(patient, Type.BITMAP, Number.MFT, 30)
    yield "cluster-bitmap-free", lambda patient: bit(patient, Type.DATA, Number.BITMAP, 3)
    yield "cluster-bitmap-end", lambda patient: bit(patient, Type.DATA, Number.BITMAP, patient.geometry.clusters)
    yield "cluster-bitmap-leak", lambda patient: bit(patient, Type.DATA, Number.BITMAP, patient.geometry.clusters - 2)
    yield "cluster-shared", share
    yield (
        "attribute-format",
        lambda patient: patient.record(patient.find("/sub"), lambda block: _add(block, 56 + 4, "<I", 3)),
    )
    yield "attribute-order", lambda patient: patient.patch(patient.find("/sub"), 56, b"\x40")
    yield "attribute-missing", lambda patient: patient.patch(patient.find("/sub"), 56, b"\x08")
    yield "attribute-instance", lambda patient: patient.patch(patient.find("/sub"), 56 + 14, b"\x09")
    yield (
        "attribute-twice",
        lambda patient: patient.patch(
            Number.VOLUME, patient.attribute(Number.VOLUME, Type.VOLUME_INFORMATION).offset, b"\x10\0\0\0"
        ),
    )
    yield (
        "run-list",
        lambda patient: patient.patch(
            patient.find("/other"), runs_of(patient, patient.find("/other")), b"\x31\x05\xff\xff\x7f\0"
        ),
    )
    yield "run-list", lambda patient: in_other(patient, 24, "<q", 1)  # highest VCN
    yield "run-list", lambda patient: in_other(patient, 40, "<Q", 4096)  # allocated size
    yield "attribute-format", lambda patient: in_other(patient, 48, "<Q", 1 << 30)  # data size
    yield "attribute-format", lambda patient: in_other(patient, 56, "<Q", 1)  # initialized size
    yield "index-repeats", lambda patient: in_other(patient, 48, "<Q", -1)  # only the index knows the old size
    yield "link-count", lambda patient: patient.patch(patient.find("/sub"), 18, b"\x02")
    yield "index-sequence", lambda patient: patient.patch(patient.find("/sub"), 16, b"\x07")
    yield "index-dangling", lambda patient: patient.patch(patient.find("/secret"), 22, b"\0")
    yield (
        "orphan",
        lambda patient: patient.patch(
            patient.find("/secret"), patient.value_offset(patient.find("/secret"), Type.FILE_NAME) + 66, b"Z"
        ),
    )
    yield (
        "index-name",
        lambda patient: patient.patch(
            patient.find("/secret"), patient.value_offset(patient.find("/secret"), Type.FILE_NAME) + 66, b"Z"
        ),
    )
    yield (
        "name-pair",
        lambda patient: patient.patch(
            patient.find("/secret"), patient.value_offset(patient.find("/secret"), Type.FILE_NAME) + 65, b"\2"
        ),
    )
    yield "index-order", lambda patient: patient.block(patient.find("/large"), 0, _swap_entries)
    yield (
        "index-bitmap",
        lambda patient: patient.patch(
            patient.find("/large"), patient.value_offset(patient.find("/large"), Type.BITMAP, "$I30"), b"\0"
        ),
    )
    yield (
        "index-block-unreachable",  # the root leads to a leaf instead of the node above the leaves
        lambda patient: patient.patch(
            patient.find("/large"), patient.value_offset(patient.find("/large"), Type.INDEX_ROOT, "$I30") + 48, b"\0"
        ),
    )
    yield (
        "index-format",
        lambda patient: patient.block(patient.find("/large"), 0, lambda block: _add(block, 28, "<I", 1 << 20)),
    )
    yield (
        "index-format",
        lambda patient: patient.block(patient.find("/large"), 0, lambda block: _add(block, 16, "<Q", 1)),
    )
    yield (
        "fixup",
        flip(lambda patient: patient.stream_offset(patient.find("/large"), Type.INDEX_ALLOCATION, "$I30") + 1022),
    )
    yield "directory-cycle", _cycle
    yield "attr-def", flip(lambda patient: patient.stream_offset(Number.ATTR_DEF, Type.DATA) + 160 + 140, 0x80)
    yield "upcase", flip(lambda patient: patient.stream_offset(Number.UP_CASE, Type.DATA) + 2 * 0x416)
    yield "log-file", flip(lambda patient: patient.stream_offset(Number.LOG_FILE, Type.DATA) + 70_000)
    yield "log-file", flip(lambda patient: patient.stream_offset(Number.LOG_FILE, Type.DATA), 0xFF)
    yield (
        "volume-dirty",
        lambda patient: patient.patch(
            Number.VOLUME, patient.value_offset(Number.VOLUME, Type.VOLUME_INFORMATION) + 10, b"\x01"
        ),
    )
    yield (
        "volume-version",
        lambda patient: patient.patch(
            Number.VOLUME, patient.value_offset(Number.VOLUME, Type.VOLUME_INFORMATION) + 8, b"\x07"
        ),
    )
    yield "sds-mirror", flip(lambda patient: sds(patient) + 0x40000 + 30)
    yield "sds-hash", flip(sds)
    yield (
        "sii-entry",
        lambda patient: patient.patch(
            Number.SECURE, patient.value_offset(Number.SECURE, Type.INDEX_ROOT, "$SII") + 32 + 16, b"\x77"
        ),
    )
    yield (
        "sdh-entry",
        lambda patient: patient.patch(
            Number.SECURE, patient.value_offset(Number.SECURE, Type.INDEX_ROOT, "$SDH") + 32 + 24, b"\x77"
        ),
    )
    yield (
        "security-id",
        lambda patient: patient.patch(
            patient.find("/secret"),
            patient.value_offset(patient.find("/secret"), Type.STANDARD_INFORMATION) + 52,
            b"\x99\x09",
        ),
    )
    yield "attribute-list", unlist
    yield "attribute-list", twice
    yield "extension-orphan", lambda patient: patient.patch(patient.find("/file"), 22, b"\0")
    yield (
        "reparse-index",
        lambda patient: patient.patch(
            patient.find("/link"), patient.value_offset(patient.find("/link"), Type.REPARSE_POINT), b"\x03"
        ),
    )
    yield (
        "reparse-index",
        lambda patient: patient.patch(
            Number.REPARSE, patient.value_offset(Number.REPARSE, Type.INDEX_ROOT, "$R") + 32 + 16 + 4, b"\x01"
        ),
    )
    yield (
        "bad-clusters",
        lambda patient: patient.record(
            Number.BAD_CLUS,
            lambda block: _add(block, patient.attribute(Number.BAD_CLUS, Type.DATA, "$Bad").offset + 48, "<Q", -4096),
        ),
    )


def _cycle(patient: Patient) -> None:
    """Put a directory into its own child: nothing leads to the two any more."""
    upper, lower = patient.find("/sub"), patient.find("/sub/below")
    place = patient.value_offset(upper, Type.FILE_NAME)
    patient.patch(upper, place, (1 << 48 | lower).to_bytes(8, "little"))
