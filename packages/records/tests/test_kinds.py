"""GUIDs, open enumerations, bit ranges, natural alignment, and the byte order of a declaration.

The expected values are gcc's: it lays out and fills the same structures.
"""

from __future__ import annotations

import importlib
import sys
import uuid
from pathlib import Path
from types import ModuleType

import pytest
from construct import Array, Int8ul, Int16ub, Int32ub, Int32ul, Struct

from cloudboot_base import RangeError
from cloudboot_base.testing import judge, run
from cloudboot_records import OpenEnum, Record
from cloudboot_records.__main__ import main
from cloudboot_records.declaration import BitRanges, DeclarationError, Enumerated, NaturalStruct, layout_of

DECLARATIONS = """
from construct import Array, Bytes, Int8ul, Int16ul, Int32ul, Int64ul, Struct
from cloudboot_records import OpenEnum
from cloudboot_records.declaration import BitRanges, Enumerated, Guid, NaturalStruct

class MemoryType(OpenEnum):
    RESERVED = 0
    LOADER_CODE = 1

Descriptor = NaturalStruct(
    "Type" / Enumerated(Int32ul, MemoryType),
    "PhysicalStart" / Int64ul,
    "Kinds" / Array(3, Enumerated(Int8ul, MemoryType)),
    "Owner" / Guid,
    "Flag" / Int8ul,
)
Outer = NaturalStruct("Small" / Int16ul, "Inner" / Descriptor, "Last" / Int8ul)
Reference = Struct("base" / BitRanges(Int64ul, record=48, sequence=16), "tail" / Int16ul)
"""
C = r"""
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
typedef struct { uint32_t a; uint16_t b, c; uint8_t d[8]; } Guid;
typedef struct { uint32_t Type; uint64_t PhysicalStart; uint8_t Kinds[3]; Guid Owner; uint8_t Flag; } Descriptor;
typedef struct { uint16_t Small; Descriptor Inner; uint8_t Last; } Outer;
int main(void) {
    Outer o; memset(&o, 0, sizeof o);
    o.Small = 0x1234; o.Last = 9;
    o.Inner.Type = 0x80000001u; o.Inner.PhysicalStart = 0x1122334455667788; o.Inner.Kinds[1] = 1; o.Inner.Flag = 7;
    o.Inner.Owner = (Guid){0xc12a7328, 0xf81f, 0x11d2, {0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}};
    for (size_t i = 0; i < sizeof o; i++) printf("%02x", ((unsigned char *)&o)[i]);
    printf(" %zu %zu %zu\n", offsetof(Outer, Inner), offsetof(Descriptor, Owner), offsetof(Descriptor, PhysicalStart));
}
"""


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "kinds.py").write_text(DECLARATIONS)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("kinds", "records"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["kinds"]) == 0
    importlib.invalidate_caches()
    return importlib.import_module("records")


def test_natural_alignment_is_a_c_compilers(records: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(C)
    run(judge("gcc", "gcc"), "-o", tmp_path / "a", tmp_path / "a.c")
    octets, *offsets = run(tmp_path / "a").split()
    inner = records.Descriptor(
        Type=0x80000001,
        PhysicalStart=0x1122334455667788,
        Kinds=(0, 1, 0),
        Owner=uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
        Flag=7,
    )
    outer = records.Outer(Small=0x1234, Inner=inner, Last=9)
    assert outer.pack().hex() == octets
    assert records.Outer.unpack_from(outer.pack()) == outer
    descriptor, whole = records.Descriptor.LAYOUT.offsets, records.Outer.LAYOUT.offsets
    assert [whole["Inner"], descriptor["Owner"], descriptor["PhysicalStart"]] == [int(each) for each in offsets]
    assert [name for name in descriptor if name.startswith("Padding")] == ["Padding1", "Padding2", "Padding3"]


def test_unknown_values_of_an_enumeration_survive(records: ModuleType) -> None:
    data = records.Descriptor(Type=7, Kinds=(1, 0xFE, 0)).pack()
    found = records.Descriptor.unpack_from(data)
    assert (found.Type, found.Type.known, found.Type.name) == (7, False, "UNKNOWN_0x7")
    assert [each.name for each in found.Kinds] == ["LOADER_CODE", "UNKNOWN_0xfe", "RESERVED"]
    assert found.Kinds[0].known
    assert found.pack() == data
    assert [member.name for member in type(found.Type)] == ["RESERVED", "LOADER_CODE"]


def test_bit_ranges_have_names(records: ModuleType) -> None:
    reference = records.Reference(records.Reference.join_base(record=5, sequence=0xABCD))
    assert reference.pack() == bytes.fromhex("050000000000cdab0000")
    assert (reference.base_record, reference.base_sequence) == (5, 0xABCD)
    with pytest.raises(RangeError) as caught:
        records.Reference.join_base(record=1 << 48)
    assert (caught.value.structure, caught.value.field) == ("Reference", "base.record")


def test_a_guid_field_takes_guids_only(records: ModuleType) -> None:
    with pytest.raises(RangeError, match="not a GUID"):
        records.Descriptor(Owner=bytes(16)).pack()


def test_the_byte_order_is_the_declarations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ordered.py").write_text('from construct import Int32ub, Struct\nNumber = Struct("value" / Int32ub)\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "records", raising=False)
    assert main(["ordered"]) == 0
    importlib.invalidate_caches()
    number: type[Record] = importlib.import_module("records").Number
    assert number.unpack_from(bytes.fromhex("00001000")).value == 4096  # type: ignore[attr-defined]  # made here
    with pytest.raises(TypeError):
        number.unpack_from(bytes(4), 0, "little")  # type: ignore[call-arg,arg-type]  # wrong on purpose


class Colour(OpenEnum):
    RED = 1


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        (Struct("a" / Int16ub, "b" / Int32ul), "both byte orders"),
        (NaturalStruct("a" / Array(2, Int16ub), "b" / Enumerated(Int32ul, Colour)), "both byte orders"),
        (Struct("a" / BitRanges(Int32ul, low=8, high=23)), "do not add up to the 32 bits"),
        (Struct("a" / Array(2, BitRanges(Int8ul, low=4, high=4))), "do not add up to the 8 bits"),
        (Struct("a" / Enumerated(Array(2, Int32ub), Colour)), "is about an integer"),
    ],
)
def test_what_contradicts_itself_is_refused(declaration: Struct, reason: str) -> None:
    with pytest.raises(DeclarationError, match=reason):
        layout_of(declaration, "X")
