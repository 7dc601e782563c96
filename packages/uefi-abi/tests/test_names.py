"""Status codes and GUIDs under the specification's names."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest

from cloudboot_base import UsageError
from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi import GUIDS, Status, guid_name, is_error, named_guid, status_name, status_text
from cloudboot_uefi_abi.guids import CATEGORIES


def test_status_codes_are_gnu_efi_s() -> None:
    header = Path("/usr/include/efi/efierr.h")
    if not header.exists():
        judge("gnu-efi's headers", "gnu-efi")
    found = re.findall(r"#define (EFI_\w+)\s+(EFIERR|EFIWARN)\s*\((\d+)\)", header.read_text())
    assert len(found) > 30
    for name, kind, number in found:
        status = Status[name.removeprefix("EFI_").replace("UNKOWN", "UNKNOWN")]
        assert status == int(number) | (1 << 63 if kind == "EFIERR" else 0)
        assert is_error(status) == (kind == "EFIERR")


def test_texts() -> None:
    assert status_text(0x800000000000000E) == "EFI_NOT_FOUND: the item was not found"
    assert status_text(0) == "EFI_SUCCESS: success"
    assert status_text(1 << 63 | 99) == "0x8000000000000063: an unassigned error code"
    assert status_text(3 << 62 | 1) == "0xc000000000000001: an OEM's error code"
    assert status_name(5) == "EFI_WARN_STALE_DATA"
    assert status_name(77) == "0x4d"
    assert all(": " in status_text(status) for status in Status)


def test_names_and_guids_are_one_to_one() -> None:
    assert len(set(GUIDS.values())) == len(GUIDS) == sum(map(len, CATEGORIES.values()))
    for name, guid in GUIDS.items():
        assert guid_name(guid) == name
        assert named_guid(name) == named_guid(f"{name.lower()}_guid") == named_guid(str(guid)) == guid
    assert guid_name(UUID(int=0)) is None
    with pytest.raises(UsageError, match="neither a GUID nor"):
        named_guid("EFI_NOTHING_PROTOCOL")


def test_the_guids_efivar_knows() -> None:
    text = run(judge("efivar", "efivar"), "-L")
    theirs = {UUID(guid): name for guid, name in re.findall(r"^\{([0-9a-f-]{36})\}\s+\{(\w+)\}", text, re.MULTILINE)}
    known = {name: guid_name(guid) for guid, name in theirs.items() if guid_name(guid)}
    assert known["global"] == "EFI_GLOBAL_VARIABLE"
    assert known["security"] == "EFI_IMAGE_SECURITY_DATABASE"
    assert known["x509_cert"] == "EFI_CERT_X509"
    assert known["sha256"] == "EFI_CERT_SHA256"
    assert known["x509_sha384"] == "EFI_CERT_X509_SHA384"
    assert known["pkcs7_cert"] == "EFI_CERT_TYPE_PKCS7"
    assert known["external_management"] == "EFI_CERT_EXTERNAL_MANAGEMENT"
    assert len(known) >= 18
