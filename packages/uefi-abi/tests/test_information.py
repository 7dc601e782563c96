"""Times, memory maps, file information."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import RangeError, TruncatedError
from cloudboot_uefi_abi.constants import FileAttribute, MemoryType
from cloudboot_uefi_abi.errors import UefiFormatError
from cloudboot_uefi_abi.information import (
    FileInfo,
    FileSystemInfo,
    datetime_of,
    efi_time,
    pack_memory_map,
    parse_memory_map,
)
from cloudboot_uefi_abi.layout.records import EFI_MEMORY_DESCRIPTOR, EFI_TIME


def test_times() -> None:
    # UEFI 2.10 section 8.3: LocalTime = UTC - TimeZone; Pacific standard time is 480 minutes.
    pacific = dt.timezone(dt.timedelta(hours=-8))
    moment = dt.datetime(2026, 11, 28, 10, 15, 30, 250000, pacific)
    time = efi_time(moment)
    assert (time.Year, time.Nanosecond, time.TimeZone) == (2026, 250_000_000, 480)
    assert time.pack().hex() == "ea070b1c0a0f1e00" + "80b2e60e" + "e0010000"
    assert datetime_of(time) == moment
    unzoned = moment.replace(tzinfo=None)
    assert efi_time(unzoned).TimeZone == 0x7FF
    assert datetime_of(efi_time(unzoned)) == unzoned
    assert datetime_of(EFI_TIME()) is None
    with pytest.raises(UefiFormatError):
        datetime_of(EFI_TIME(2026, 13, 1))
    with pytest.raises(RangeError, match="1900"):
        efi_time(moment.replace(year=1899))
    with pytest.raises(RangeError, match="minutes"):
        efi_time(moment.replace(tzinfo=dt.timezone(dt.timedelta(seconds=30))))


@given(st.datetimes(min_value=dt.datetime.min.replace(year=1900), timezones=st.just(dt.UTC)))  # noqa: DTZ901 -- Hypothesis adds the zone
def test_every_moment_survives(moment: dt.datetime) -> None:
    assert datetime_of(EFI_TIME.unpack_from(efi_time(moment).pack())) == moment


def test_memory_maps() -> None:
    rows = [
        EFI_MEMORY_DESCRIPTOR(MemoryType.CONVENTIONAL, PhysicalStart=0x1000, NumberOfPages=16, Attribute=0xF),
        EFI_MEMORY_DESCRIPTOR(MemoryType(0x80000001), PhysicalStart=0x100000, NumberOfPages=1),
    ]
    data = pack_memory_map(rows)
    assert len(data) == 96
    assert data[:8] == b"\7\0\0\0\0\0\0\0"
    assert parse_memory_map(data, 48) == rows
    assert parse_memory_map(data, 48)[1].Type == 0x80000001  # a type of a loader's own
    for stride in (32, 44):
        with pytest.raises(RangeError):
            pack_memory_map(rows, stride)
    with pytest.raises(UefiFormatError):
        parse_memory_map(data, 40)
    with pytest.raises(UefiFormatError):
        parse_memory_map(data, 0)


def test_file_information() -> None:
    info = FileInfo("ü.efi", 1234, 4096, FileAttribute.READ_ONLY, modified=EFI_TIME(2026, 1, 2))
    data = info.pack()
    assert len(data) == int.from_bytes(data[:8], "little") == 80 + 12
    assert FileInfo.parse(data) == info
    with pytest.raises(UefiFormatError, match="Size"):
        FileInfo.parse(data + b"\0\0")
    with pytest.raises(TruncatedError):
        FileInfo.parse(data[:40])
    with pytest.raises(RangeError):
        FileInfo("a\0", 0).pack()


def test_file_system_information() -> None:
    info = FileSystemInfo("ESP", 1 << 24, 1 << 20, 4096, read_only=True)
    data = info.pack()
    assert data[36:] == "ESP\0".encode("utf-16-le")  # the label follows at 36, without padding
    assert FileSystemInfo.parse(data) == info
    changed = bytearray(data)
    changed[-2:] = b"xx"
    with pytest.raises(TruncatedError, match="no NUL"):
        FileSystemInfo.parse(bytes(changed))
