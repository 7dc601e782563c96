"""Volumes with one rule broken: each damage names the kind of the finding that a check must give."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from cloudboot_ntfs.layout import fixup
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.layout.records import AttributeHeader
from cloudboot_ntfs.reader.index import Index
from cloudboot_ntfs.reader.volume import NTFS

if TYPE_CHECKING:
    from collections.abc import Iterator

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


#: What breaks a rule, and where in a record or in the volume something stands.
Damage: TypeAlias = Callable[[Patient], None]
Place: TypeAlias = Callable[[Patient], int]
Damages: TypeAlias = tuple[tuple[str, Damage], ...]


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


# What breaks a rule, made of what it changes. ``where`` is a path, or the number of a record.


def _number(patient: Patient, where: str | int) -> int:
    return patient.find(where) if isinstance(where, str) else where


def _value(where: str | int, kind: int, plus: int = 0, name: str = "") -> Place:
    """A byte of the value of a resident attribute, in the record."""
    return lambda patient: patient.value_offset(_number(patient, where), kind, name) + plus


def _head(where: str | int, kind: int, plus: int = 0, name: str = "") -> Place:
    """A byte of an attribute, in the record."""
    return lambda patient: patient.attribute(_number(patient, where), kind, name).offset + plus


def _stream(where: str | int, kind: int, plus: int = 0, name: str = "") -> Place:
    """A byte of an attribute in clusters, in the volume."""
    return lambda patient: patient.stream_offset(_number(patient, where), kind, name) + plus


def _runs(patient: Patient) -> int:
    """The mapping pairs of ``/other``, in its record."""
    number = patient.find("/other")
    each = patient.attribute(number, Type.DATA)
    head = patient.record_offset(number) + each.offset
    return each.offset + int(struct.unpack_from("<H", patient.data, head + 32)[0])


def _placed(patient: Patient, place: Place | int) -> int:
    return place if isinstance(place, int) else place(patient)


def _patch(where: str | int, place: Place | int, data: bytes) -> Damage:
    """Other bytes in a record."""
    return lambda patient: patient.patch(_number(patient, where), _placed(patient, place), data)


def _more(where: str | int, place: Place | int, code: str, amount: int) -> Damage:
    """Another number in a record."""

    def action(patient: Patient) -> None:
        offset = _placed(patient, place)
        patient.record(_number(patient, where), lambda block: _add(block, offset, code, amount))

    return action


def _flip(place: Place, mask: int = 1) -> Damage:
    """Other bits in the volume."""

    def action(patient: Patient) -> None:
        patient.data[place(patient)] ^= mask

    return action


def _bit(where: int, kind: int, position: Place | int) -> Damage:
    """Another bit in a bitmap."""

    def action(patient: Patient) -> None:
        bit = _placed(patient, position)
        patient.data[patient.stream_offset(where, kind) + bit // 8] ^= 1 << bit % 8

    return action


def _in_block(action: Callable[[bytearray], None]) -> Damage:
    """Another first index block of ``/large``."""
    return lambda patient: patient.block(patient.find("/large"), 0, action)


def _share(patient: Patient) -> None:
    """Let a file have the clusters of another."""
    source = patient.volume.mft.file(patient.find("/file"))
    own = patient.volume.mft.stream(source, Type.DATA).runs[0].lcn or 0
    patient.patch(patient.find("/other"), _runs(patient), b"\x31\x05" + own.to_bytes(3, "little") + b"\0")


def _unlist(patient: Patient) -> None:
    """Let the attribute list of a file end after its first entry."""
    number = patient.find("/file")
    each = patient.attribute(number, Type.ATTRIBUTE_LIST)
    patient.record(number, lambda block: _add(block, each.offset + 16, "<I", -(len(each.value) - 32)))


def _list_twice(patient: Patient) -> None:
    """Let an attribute list repeat an entry in place of the next."""
    number = patient.find("/file")
    place = patient.value_offset(number, Type.ATTRIBUTE_LIST)

    def action(block: bytearray) -> None:
        block[place + 96 : place + 128] = block[place + 64 : place + 96]

    patient.record(number, action)


def _cycle(patient: Patient) -> None:
    """Put a directory into its own child: nothing leads to the two any more."""
    upper, lower = patient.find("/sub"), patient.find("/sub/below")
    place = patient.value_offset(upper, Type.FILE_NAME)
    patient.patch(upper, place, (1 << 48 | lower).to_bytes(8, "little"))


_BOOT: Final[Damages] = (
    ("boot-sector", _flip(lambda _: 510)),
    ("backup-boot", _flip(lambda patient: patient.geometry.backup_offset + 100)),
)
_RECORDS: Final[Damages] = (
    ("mft-mirror", _flip(lambda patient: patient.geometry.mftmirr_lcn * patient.geometry.cluster_size + 1024 + 100)),
    ("fixup", _flip(lambda patient: patient.record_offset(patient.find("/sub")) + 510)),
    ("record", _flip(lambda patient: patient.record_offset(patient.find("/sub")) + 20, 0xFF)),
    ("record-number", _patch("/sub", 44, b"\xff")),
    ("record-sequence", _patch("/sub", 16, b"\0\0")),
    ("record-usa", _patch("/sub", 4, b"\x82")),
    ("record-used", _more("/sub", 24, "<I", 8)),
    ("link-count", _patch("/sub", 18, b"\x02")),
    ("extension-orphan", _patch("/file", 22, b"\0")),
)
_SPACE: Final[Damages] = (
    ("record-bitmap-free", _bit(Number.MFT, Type.BITMAP, lambda patient: patient.find("/sub"))),
    ("record-bitmap-leak", _bit(Number.MFT, Type.BITMAP, 30)),
    ("cluster-bitmap-free", _bit(Number.BITMAP, Type.DATA, 3)),
    ("cluster-bitmap-end", _bit(Number.BITMAP, Type.DATA, lambda patient: patient.geometry.clusters)),
    ("cluster-bitmap-leak", _bit(Number.BITMAP, Type.DATA, lambda patient: patient.geometry.clusters - 2)),
    ("cluster-shared", _share),
)
_ATTRIBUTES: Final[Damages] = (
    ("attribute-format", _more("/sub", 56 + 4, "<I", 3)),
    ("attribute-order", _patch("/sub", 56, b"\x40")),
    ("attribute-missing", _patch("/sub", 56, b"\x08")),
    ("attribute-size", _patch("/sub", _head("/sub", Type.STANDARD_INFORMATION, 16), b"\x01")),
    ("attribute-instance", _patch("/sub", 56 + 14, b"\x09")),
    ("attribute-twice", _patch(Number.VOLUME, _head(Number.VOLUME, Type.VOLUME_INFORMATION), b"\x10\0\0\0")),
    ("run-list", _patch("/other", _runs, b"\x31\x05\xff\xff\x7f\0")),
    ("run-list", _more("/other", _head("/other", Type.DATA, 24), "<q", 1)),  # highest VCN
    ("run-list", _more("/other", _head("/other", Type.DATA, 40), "<Q", 4096)),  # allocated size
    ("attribute-format", _more("/other", _head("/other", Type.DATA, 48), "<Q", 1 << 30)),  # data size
    ("attribute-format", _more("/other", _head("/other", Type.DATA, 56), "<Q", 1)),  # initialized size
    ("attribute-list", _unlist),
    ("attribute-list", _list_twice),
)
_DIRECTORIES: Final[Damages] = (
    ("index-repeats", _more("/other", _head("/other", Type.DATA, 48), "<Q", -1)),  # only the index knows the old size
    ("index-sequence", _patch("/sub", 16, b"\x07")),
    ("index-dangling", _patch("/secret", 22, b"\0")),
    ("orphan", _patch("/secret", _value("/secret", Type.FILE_NAME, 66), b"Z")),
    ("index-name", _patch("/secret", _value("/secret", Type.FILE_NAME, 66), b"Z")),
    ("name-pair", _patch("/secret", _value("/secret", Type.FILE_NAME, 65), b"\2")),
    ("index-order", _in_block(_swap_entries)),
    ("index-bitmap", _patch("/large", _value("/large", Type.BITMAP, name="$I30"), b"\0")),
    # the root leads to a leaf instead of the node above the leaves
    ("index-block-unreachable", _patch("/large", _value("/large", Type.INDEX_ROOT, 48, "$I30"), b"\0")),
    ("index-format", _in_block(lambda block: _add(block, 28, "<I", 1 << 20))),
    ("index-format", _in_block(lambda block: _add(block, 16, "<Q", 1))),
    ("fixup", _flip(_stream("/large", Type.INDEX_ALLOCATION, 1022, "$I30"))),
    ("directory-cycle", _cycle),
)
_SYSTEM: Final[Damages] = (
    ("attr-def", _flip(_stream(Number.ATTR_DEF, Type.DATA, 160 + 140), 0x80)),
    ("upcase", _flip(_stream(Number.UP_CASE, Type.DATA, 2 * 0x416))),
    ("log-file", _flip(_stream(Number.LOG_FILE, Type.DATA, 70_000))),
    ("log-file", _flip(_stream(Number.LOG_FILE, Type.DATA), 0xFF)),
    ("volume-dirty", _patch(Number.VOLUME, _value(Number.VOLUME, Type.VOLUME_INFORMATION, 10), b"\x01")),
    ("volume-version", _patch(Number.VOLUME, _value(Number.VOLUME, Type.VOLUME_INFORMATION, 8), b"\x07")),
    ("reparse-index", _patch("/link", _value("/link", Type.REPARSE_POINT), b"\x03")),
    ("reparse-index", _patch(Number.REPARSE, _value(Number.REPARSE, Type.INDEX_ROOT, 32 + 16 + 4, "$R"), b"\x01")),
    ("index-format", _patch(Number.REPARSE, _value(Number.REPARSE, Type.INDEX_ROOT, 32, "$R"), b"\xff")),
    ("bad-clusters", _more(Number.BAD_CLUS, _head(Number.BAD_CLUS, Type.DATA, 48, "$Bad"), "<Q", -4096)),
)
_SECURITY: Final[Damages] = (
    ("sds-mirror", _flip(_stream(Number.SECURE, Type.DATA, 0x40000 + 30, "$SDS"))),
    ("sds-hash", _flip(_stream(Number.SECURE, Type.DATA, name="$SDS"))),
    ("sii-entry", _patch(Number.SECURE, _value(Number.SECURE, Type.INDEX_ROOT, 32 + 16, "$SII"), b"\x77")),
    ("sdh-entry", _patch(Number.SECURE, _value(Number.SECURE, Type.INDEX_ROOT, 32 + 24, "$SDH"), b"\x77")),
    ("security-id", _patch("/secret", _value("/secret", Type.STANDARD_INFORMATION, 52), b"\x99\x09")),
)


def damages() -> Iterator[tuple[str, Damage]]:
    """Every damage as ``(kind of the finding, what it does)``."""
    for table in (_BOOT, _RECORDS, _SPACE, _ATTRIBUTES, _DIRECTORIES, _SYSTEM, _SECURITY):
        yield from table
