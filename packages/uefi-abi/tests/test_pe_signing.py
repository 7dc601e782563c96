"""Authenticode digests, certificate tables and SBAT: sbsigntool, pesign and objdump are the judges."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_uefi_abi.__main__ import main
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
        with pytest.raises(PEError, match="table leaves the file"):
            PEImage.parse(damaged)
    for length in (7, 17, 0xFFFFFFFF):
        with pytest.raises(PEError, match="shorter than its header"):
            certificates(PEImage.parse(patched(data, table.address, length)))
    with pytest.raises(PEError, match="not the end of the file"):
        without_certificates(data + bytes(8))
    with pytest.raises(PEError, match="larger than what follows"):
        authenticode_digest(PEImage.parse(patched(data, entry, 1024, len(data) - 1024)))
    with pytest.raises(PEError, match="no room"):
        with_certificates(two_directories(small_image()), [Certificate(CertificateType(2), b"")])


def two_directories(data: bytes) -> bytes:
    """The image with two data directories in place of sixteen."""
    start = PEImage.parse(data).optional_offset
    head = patched(data[: start + 112], start + 108, 2)
    head = head[: start - 4] + struct.pack("<H", 112 + 16) + head[start - 2 :]
    return (
        head + data[start + 112 : start + 128] + data[start + 240 : 1024].ljust(1024 - start - 128, b"\0") + data[1024:]
    )


SIGNATURE = Certificate(CertificateType.PKCS_SIGNED_DATA, b"12345678")


@pytest.mark.parametrize(
    ("tail", "certificate_count", "message"),
    [
        (b"", 1, None),
        (b"<?xml version=1?><junk/>", 1, "shorter than its header"),
        (bytes(24), 1, "shorter than its header"),
        (SIGNATURE.pack(), 2, None),
        (SIGNATURE.pack()[:-1], 1, "leaves the table"),
        (b"1234", 1, "behind the last"),
    ],
    ids=["nothing", "text", "zeros", "second", "cut", "four bytes"],
)
def test_the_certificates_before_damage_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tail: bytes, certificate_count: int, message: str | None
) -> None:
    data = with_certificates(small_image(), [SIGNATURE])
    image = PEImage.parse(data)
    table = image.directory(Directory.CERTIFICATE)
    assert table is not None
    path = tmp_path / "image.efi"
    path.write_bytes(patched(data, image.optional_offset + 112 + 32, table.address, table.size + len(tail)) + tail)
    assert main(["pe", str(path)]) == (3 if message else 0)
    printed = capsys.readouterr()
    assert printed.out.count("certificate ") == certificate_count
    assert "sbat:           loader,3" in printed.out
    digest = re.search(r"sha256: +([0-9a-f]{64})", printed.out)
    assert digest is not None
    assert digest[1] in run(judge("pesign", "pesign"), "-h", "-i", str(path))
    assert (message or "") in printed.err


def test_an_unaligned_certificate_table_is_read(tmp_path: Path) -> None:
    data = small_image()
    image = PEImage.parse(data)
    table = Certificate(CertificateType.PKCS_SIGNED_DATA, b"12345678").pack()
    moved = patched(data + bytes(4), image.optional_offset + 112 + 32, len(data) + 4, len(table)) + table
    assert certificates(PEImage.parse(moved)) == (SIGNATURE,)
    path = tmp_path / "image.efi"
    path.write_bytes(moved)
    text = run(judge("pesign", "pesign"), "-h", "-i", str(path))
    assert authenticode_digest(PEImage.parse(moved)).hex() in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\xef\xbb\xbfsbat,1,a,b,c,d\n", [("sbat", "d")]),  # a byte order mark
        (b"sbat,1,a,b,c,d\r\n\r\nloader,1,a,b,c,d\r\n", [("sbat", "d"), ("loader", "d")]),
        (b'sbat,1,"a,b,c,d"\nloader,1,a,b,c,d', [("sbat", 'd"'), ("loader", "d")]),  # no quotation
        (b"sbat,1,a,b,c,d,e,f\n", [("sbat", "d")]),
        ("sbat,1,a\x85b\x0bc,\u2028,c,d\n".encode(), [("sbat", "d")]),  # line ends of Unicode are none
        (b"sbat,1,,,,\n\0\0\0junk", [("sbat", "")]),
        (b"\0" * 64, []),
    ],
)
def test_sbat_is_read_as_shim_reads_it(text: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(entry.component, entry.url) for entry in parse_sbat(text)] == expected


def test_malformed_sbat_hides_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = SectionFlag.INITIALIZED_DATA | SectionFlag.READ
    five = b"sbat,1,SBAT Version,sbat,1,https://example.org\nloader,1,Loader,6.0,https://example.org\n"
    code = NewSection(".text", 0x1000, b"\xc3", SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ)
    path = tmp_path / "image.efi"
    path.write_bytes(write_image(Machine.AMD64, [code, NewSection(".sbat", 0x2000, five, flags)], 0x1000))
    assert main(["pe", str(path)]) == 3
    printed = capsys.readouterr()
    assert "sha256: " in printed.out
    assert "section .sbat:" in printed.out
    assert "not an SBAT entry" in printed.err
    assert main(["pe", "--json", str(path)]) == 3
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem.startswith(".sbat.loader")


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
