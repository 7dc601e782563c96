"""What the check of a PE image finds; sbsigntool and osslsigncode say the same of gaps and checksums."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Final

import pytest

from cloudboot_base.testing import FOREIGN, judge, judge_file, run
from cloudboot_uefi_abi.__main__ import main
from cloudboot_uefi_abi.constants import CertificateType, Machine, SectionFlag
from cloudboot_uefi_abi.pe import Certificate, NewSection, PEImage, check, checksum, with_certificates, write_image

TEXT = SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ
DATA = SectionFlag.INITIALIZED_DATA | SectionFlag.READ | SectionFlag.WRITE
IMAGE: Final = write_image(
    Machine.AMD64,
    [NewSection(".text", 0x1000, b"\xc3" + bytes(15), TEXT), NewSection(".data", 0x2000, b"x" * 700, DATA)],
    0x1000,
    relocations=[0x1008],
)
PARSED: Final = PEImage.parse(IMAGE)
OPTIONAL: Final = PARSED.optional_offset
SECOND: Final = PARSED.sections[1].header_offset
SIGNED: Final = with_certificates(IMAGE, [Certificate(CertificateType.PKCS_SIGNED_DATA, b"12345678")])
TABLE: Final = OPTIONAL + 112 + 32


def changed(data: bytes, *changes: tuple[str, int, int], tail: bytes = b"") -> bytes:
    """The image with other values, and the checksum that goes with them."""
    out = bytearray(data + tail)
    for form, offset, value in changes:
        struct.pack_into(form, out, offset, value)
    struct.pack_into("<I", out, OPTIONAL + 64, checksum(PEImage.parse(out)))
    return bytes(out)


def gap(size: int) -> bytes:
    """Bytes between the data of the first section and those of the others."""
    cut = PARSED.sections[1].header.PointerToRawData
    places = [(section.header_offset + 20, section.header.PointerToRawData) for section in PARSED.sections[1:]]
    data = IMAGE[:cut] + b"g" * size + IMAGE[cut:]
    return changed(data, *(("<I", offset, start + size) for offset, start in places))


CASES: Final[dict[str, tuple[bytes, list[str]]]] = {
    "plain": (IMAGE, []),
    "signed": (changed(SIGNED), []),
    "bytes behind the sections": (changed(IMAGE, tail=b"tail"), []),
    "no checksum": (IMAGE[: OPTIONAL + 64] + bytes(4) + IMAGE[OPTIONAL + 68 :], []),
    "another checksum": (IMAGE[: OPTIONAL + 64] + b"\1\2\3\4" + IMAGE[OPTIONAL + 68 :], ["pe-checksum"]),
    "a gap": (gap(512), ["section-gap"]),
    "an odd gap": (gap(100), ["section-file-alignment", "section-file-alignment", "section-gap"]),
    "an unaligned section": (changed(IMAGE, ("<I", SECOND + 12, 0x2200)), ["section-alignment"]),
    "overlapping sections": (changed(IMAGE, ("<I", SECOND + 12, 0x1000)), ["section-overlap"]),
    "overlapping data": (changed(IMAGE, ("<I", SECOND + 20, 512)), ["section-gap", "section-gap"]),
    "an unaligned certificate table": (
        changed(IMAGE, ("<I", TABLE, len(IMAGE) + 4), ("<I", TABLE + 4, 16), tail=bytes(4) + SIGNED[-16:]),
        ["certificate-alignment"],
    ),
    "bytes behind the certificates": (changed(SIGNED, tail=bytes(8)), ["certificate-end"]),
    "a certificate that is cut": (changed(SIGNED, ("<I", len(SIGNED) - 16, 17)), ["pe-image"]),
    "a relocation beyond the image": (
        changed(IMAGE, ("<I", PARSED.sections[2].header.PointerToRawData, 0x9000)), ["pe-image"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_findings(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, kinds = CASES[name]
    assert sorted(finding.kind for finding in check(PEImage.parse(data))) == kinds
    path = tmp_path / "image.efi"
    path.write_bytes(data)
    assert main(["pe", "--check", str(path)]) == bool(kinds)
    assert ("no problems found" in capsys.readouterr().out) == (not kinds)


@pytest.mark.parametrize("name", CASES)
def test_sbverify_warns_of_the_same_gaps(name: str, tmp_path: Path) -> None:
    data, kinds = CASES[name]
    path = tmp_path / "image.efi"
    path.write_bytes(data)
    program = judge("sbverify", "sbsigntool")
    text = subprocess.run([program, "--list", path], capture_output=True, text=True, check=False).stderr
    assert ("gap in section table" in text) == ("section-gap" in kinds), text


@pytest.mark.parametrize("name", [name for name in CASES if "certificate" not in name and name != "no checksum"])
def test_osslsigncode_computes_the_same_checksum(name: str, tmp_path: Path) -> None:
    data, kinds = CASES[name]
    path = tmp_path / "image.efi"
    path.write_bytes(data)
    program = judge("osslsigncode", "osslsigncode")
    done = subprocess.run([program, "verify", "-in", path], capture_output=True, text=True, check=False)
    assert ("invalid PE checksum" in done.stdout + done.stderr) == ("pe-checksum" in kinds), done.stdout


def test_a_loader_that_debian_signs_has_no_findings() -> None:
    path = judge_file(FOREIGN / "usr/lib/shim/shimx64.efi.signed", "shim-signed")
    assert check(PEImage.parse(path.read_bytes())) == []
    assert run(judge("sbverify", "sbsigntool"), "--list", str(path))
