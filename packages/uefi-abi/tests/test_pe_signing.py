"""Authenticode digests, certificate tables and SBAT: sbsigntool, pesign and objdump are the judges."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi.constants import CertificateType, Machine, SectionFlag
from cloudboot_uefi_abi.errors import PEError
from cloudboot_uefi_abi.pe import (
    Certificate,
    Directory,
    NewSection,
    PEImage,
    SbatEntry,
    authenticode_digest,
    certificates,
    checksum,
    pack_sbat,
    parse_sbat,
    sbat,
    with_certificates,
    without_certificates,
    write_image,
)

ENTRIES = (
    SbatEntry("sbat", 1, "SBAT Version", "sbat", "1", "https://github.com/rhboot/shim/blob/main/SBAT.md"),
    SbatEntry("loader", 3, "Somebody", "loader", "1.2", "https://example.org"),
)


def small_image(tail: bytes = b"") -> bytes:
    """An image that returns EFI_SUCCESS, with SBAT metadata and a relocation."""
    code = bytes.fromhex("31c0c3") + bytes(5) + struct.pack("<Q", 0x1000)
    sections = [
        NewSection(".text", 0x1000, code, SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ),
        NewSection(".data", 0x2000, b"data", SectionFlag.INITIALIZED_DATA | SectionFlag.READ, 0x1800),
        NewSection(".sbat", 0x4000, pack_sbat(ENTRIES), SectionFlag.INITIALIZED_DATA | SectionFlag.READ),
    ]
    return write_image(Machine.AMD64, sections, 0x1000, relocations=[0x1008]) + tail


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``small.efi``, and ``signed.efi`` made of it by sbsign with the key of ``cert.pem``."""
    folder = tmp_path_factory.mktemp("signing")
    (folder / "small.efi").write_bytes(small_image())
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    subject = ["-subj", "/CN=cloudboot test", "-days", "3650"]
    run(
        judge("openssl", "openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        cert,
        *subject,
    )
    sign = [judge("sbsign", "sbsigntool"), "--key", key, "--cert", cert]
    run(*sign, "--output", str(folder / "signed.efi"), str(folder / "small.efi"))
    return folder


@pytest.mark.parametrize("tail", [b"", b"x" * 8, b"y" * 24])
def test_the_digest_is_pesign_s(tmp_path: Path, tail: bytes) -> None:
    data = small_image(tail)
    path = tmp_path / "small.efi"
    path.write_bytes(data)
    text = run(judge("pesign", "pesign"), "-h", "-i", str(path))
    assert authenticode_digest(PEImage.parse(data)).hex() in text


def test_the_digest_is_what_sbsign_signs(signed: Path) -> None:
    image = PEImage.parse((signed / "signed.efi").read_bytes())
    (entry,) = certificates(image)
    assert entry.type is CertificateType.PKCS_SIGNED_DATA
    assert authenticode_digest(image) in entry.data
    assert authenticode_digest(image) == authenticode_digest(PEImage.parse((signed / "small.efi").read_bytes()))
    listed = run(judge("openssl", "openssl"), "pkcs7", "-inform", "DER", "-print_certs", stdin=entry.data)
    assert "cloudboot test" in listed


def test_a_table_put_back_is_verified_by_sbverify(signed: Path, tmp_path: Path) -> None:
    data = (signed / "signed.efi").read_bytes()
    bare = without_certificates(data)
    assert certificates(PEImage.parse(bare)) == ()
    again = with_certificates(bare, certificates(PEImage.parse(data)))
    path = tmp_path / "again.efi"
    path.write_bytes(again)
    verify = [judge("sbverify", "sbsigntool"), "--cert", str(signed / "cert.pem")]
    assert "Signature verification OK" in run(*verify, str(path))
    changed = bytearray(again)
    changed[0x200] ^= 1
    path.write_bytes(bytes(changed))
    assert "Signature verification OK" not in run(*verify, str(path), codes=(1,))


def test_several_certificates_survive() -> None:
    entries = (
        Certificate(CertificateType.PKCS_SIGNED_DATA, b"one"),
        Certificate(CertificateType(0x1234), b"unknown type"),
        Certificate(CertificateType.EFI_GUID, bytes(16) + b"x"),
    )
    data = with_certificates(small_image(b"odd"), entries)
    assert certificates(PEImage.parse(data)) == entries
    assert without_certificates(data).rstrip(b"\0") == small_image(b"odd").rstrip(b"\0")
    assert with_certificates(data, ()) == without_certificates(data)


def patched(data: bytes, offset: int, *values: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(f"<{len(values)}I", out, offset, *values)
    return bytes(out)


def test_certificate_tables_that_lie() -> None:
    data = with_certificates(small_image(), [Certificate(CertificateType.PKCS_SIGNED_DATA, b"12345678")])
    image = PEImage.parse(data)
    table = image.directory(Directory.CERTIFICATE)
    assert table is not None
    entry = image.optional_offset + 112 + 32
    for damaged in (patched(data, entry, table.address + 1, table.size), patched(data, entry, table.address, 1 << 30)):
        with pytest.raises(PEError, match="not aligned"):
            certificates(PEImage.parse(damaged))
    for length in (7, 17, 0xFFFFFFFF):
        with pytest.raises(PEError, match="shorter than its header"):
            certificates(PEImage.parse(patched(data, table.address, length)))
    with pytest.raises(PEError, match="not the end of the file"):
        without_certificates(data + bytes(8))
    with pytest.raises(PEError, match="larger than what follows"):
        authenticode_digest(PEImage.parse(patched(data, entry, table.address, len(data) - 8)))
    with pytest.raises(PEError, match="no room"):
        with_certificates(
            patched(small_image(), image.optional_offset + 108, 2), [Certificate(CertificateType(2), b"")]
        )


def test_sbat_is_objcopy_s(tmp_path: Path) -> None:
    path, section = tmp_path / "small.efi", tmp_path / "sbat.csv"
    path.write_bytes(small_image())
    run(judge("objcopy", "binutils"), "-O", "binary", "-j", ".sbat", str(path), str(section))
    assert parse_sbat(section.read_bytes()) == sbat(PEImage.parse(small_image())) == ENTRIES
    with pytest.raises(PEError, match="not an SBAT entry"):
        parse_sbat(b"loader,zero,a,b,c,d\n")
    with pytest.raises(PEError, match="not an SBAT entry"):
        parse_sbat(b"loader,1\n")
    with pytest.raises(PEError, match="mark of its own"):
        pack_sbat([SbatEntry("a,b", 1, "", "", "", "")])


def test_what_is_written_is_what_objdump_reads(tmp_path: Path) -> None:
    data = small_image()
    assert small_image() == data
    path = tmp_path / "small.efi"
    path.write_bytes(data)
    text = run(judge("objdump", "binutils"), "-x", str(path))
    assert "pei-x86-64" in text
    assert re.search(r"Subsystem\s+0000000a\s+\(EFI application\)", text)
    rows = re.findall(r"^\s+\d+ (\S+)\s+([0-9a-f]{8})  ([0-9a-f]{16})", text, re.MULTILINE)
    assert [(name, int(rva, 16)) for name, _, rva in rows] == [
        (".text", 0x1000),
        (".data", 0x2000),
        (".sbat", 0x4000),
        (".reloc", 0x5000),
    ]
    assert re.search(r"reloc\s+0 offset\s+8 \[1008\] DIR64", text)
    stated = re.search(r"^CheckSum\s+([0-9a-f]{8})", text, re.MULTILINE)
    assert stated is not None
    assert int(stated[1], 16) == checksum(PEImage.parse(data))
    loaded = PEImage.parse(data).load(0x40000000)
    assert struct.unpack_from("<Q", loaded, 0x1008) == (0x40001000,)
    assert len(loaded) == 0x6000


def test_images_that_cannot_be_written() -> None:
    text = NewSection(".text", 0x1000, b"\xc3", SectionFlag.CODE)
    for sections, entry, message in (
        ([NewSection(".text", 0x1001, b"\xc3", SectionFlag.CODE)], 0x1001, "not aligned"),
        ([text, NewSection(".data", 0x1000, b"x", SectionFlag.READ)], 0x1000, "overlaps"),
        ([NewSection(".too-long-a-name", 0x1000, b"x", SectionFlag.READ)], 0x1000, "name"),
        ([NewSection(".empty", 0x1000, b"", SectionFlag.READ)], 0x1000, "nothing in it"),
        ([text], 0x2000, "in no section"),
    ):
        with pytest.raises(PEError, match=message):
            write_image(Machine.AMD64, sections, entry)
