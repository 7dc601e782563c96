"""The table of refused images: bytes that OVMF wrote (its digest and path are those of the test that asked it)."""

import struct
from uuid import UUID

import pytest

from cloudboot_base import FormatError
from cloudboot_base.testing import flipped, truncations
from cloudboot_uefi_abi.constants import ImageExecutionAction
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.errors import UefiFormatError
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.image_executions import (
    INITIALIZED,
    ImageExecution,
    pack_image_executions,
    parse_image_executions,
)
from cloudboot_uefi_abi.variables import Signature, SignatureList

TEXT = r"VenHw(44332211-0201-0403-0506-0708090A0B0C)/\i.efi"
PATH = bytes.fromhex("01041400112233440102030405060708090a0b0c040412005c0069002e0065006600690000007fff0400")
DIGEST = bytes.fromhex("99089beb13551598932039343449dbf5c801181bf9a3ccd6663f3c523ab691e8")
# SignatureListSize 76, no header, SignatureSize 48, an owner of zeros.
LIST = bytes.fromhex("2616c4c14c509240aca941f9369343284c0000000000000030000000") + bytes(16) + DIGEST
NAME = TEXT.encode("utf-16-le") + b"\0\0"
UNTESTED = struct.pack("<II", 0, 0x98) + NAME + PATH
FOUND = struct.pack("<II", 4, 0xE4) + NAME + PATH + LIST
TABLE = struct.pack("<Q", 2) + UNTESTED + FOUND


def test_the_table_of_ovmf_is_read_and_written() -> None:
    untested, found = parse_image_executions(TABLE + b"what follows")
    assert untested == ImageExecution(0, TEXT, DevicePath.from_text(TEXT))
    assert found.signatures == (SignatureList(GUIDS["EFI_CERT_SHA256"], (Signature(UUID(int=0), DIGEST),), b"", 48),)
    assert (untested.result, found.result) == (ImageExecutionAction.AUTH_UNTESTED, ImageExecutionAction.AUTH_SIG_FOUND)
    assert pack_image_executions([untested, found]) == TABLE
    assert pack_image_executions([]) == bytes(8)
    assert ImageExecution(INITIALIZED | 2, "", untested.path).result == ImageExecutionAction.AUTH_SIG_PASSED


def test_a_damaged_table_has_an_error() -> None:
    for part in truncations(TABLE, 3):
        with pytest.raises(FormatError):
            parse_image_executions(part)
    with pytest.raises(UefiFormatError) as caught:
        parse_image_executions(flipped(TABLE, 12, 0x98 ^ 7))
    assert (caught.value.field, caught.value.offset, caught.value.actual) == ("InfoSize", 12, 7)
    with pytest.raises(FormatError) as node:
        parse_image_executions(flipped(TABLE, 16 + len(NAME) + 2))
    assert node.value.offset is not None
