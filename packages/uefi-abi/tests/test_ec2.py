"""Variable stores of EC2 instances: virt-firmware, whose code is another, writes them."""

import base64
import sys
import zlib
from pathlib import Path
from uuid import UUID

import pytest

from cloudboot_base import FormatError
from cloudboot_base.testing import flipped, run, truncations
from cloudboot_uefi_abi.__main__ import main
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_TIME
from cloudboot_uefi_abi.variables import (
    Signature,
    SignatureList,
    Variable,
    VariableStore,
    ec2,
    format_store,
    variables_from_dump,
    variables_from_ec2,
)

AUTHENTICATED = VariableAttribute(0x27)
KEPT = VariableAttribute(7)
TIME = EFI_TIME(Year=2024, Month=5, Day=6, Hour=7, Minute=8, Second=9)
DIGESTS = SignatureList(GUIDS["EFI_CERT_SHA256"], (Signature(UUID(int=1), bytes(range(32))),)).pack()
VARIABLES = (
    Variable("BootNext", GUIDS["EFI_GLOBAL_VARIABLE"], b"\7\0", KEPT),
    Variable("Gr\u00fc\u00dfe", UUID(int=5), bytes(range(256)) * 20, KEPT),
    Variable("db", GUIDS["EFI_IMAGE_SECURITY_DATABASE"], DIGESTS, AUTHENTICATED, TIME),
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in base64, which virt-fw-vars makes of a flash image."""
    folder = tmp_path_factory.mktemp("ec2")
    flash, output = folder / "vars.fd", folder / "uefi-data"
    flash.write_bytes(VariableStore.parse(format_store()).replace(VARIABLES))
    program = "from virt.firmware.vars import main; main()"
    run(sys.executable, "-c", program, "--input", flash, "--output-aws", output)
    return output


def test_what_virt_firmware_writes_is_read(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = stored.read_bytes()
    expected = sorted(VARIABLES, key=lambda variable: variable.name)
    for form in (text, b"\n" + text[:70] + b"\n" + text[70:] + b"\n", base64.b64decode(text)):
        assert sorted(variables_from_dump(form), key=lambda variable: variable.name) == expected
    assert main(["variables", str(stored)]) == 0
    shown = capsys.readouterr().out
    assert "EFI_GLOBAL_VARIABLE BootNext NV+BS+RT" in shown
    assert "EFI_IMAGE_SECURITY_DATABASE db NV+BS+RT+AT" in shown


def test_a_damaged_store_has_an_error_that_says_where(stored: Path) -> None:
    raw = base64.b64decode(stored.read_bytes())
    for part in truncations(raw, 7):
        with pytest.raises(FormatError):
            variables_from_ec2(part)
    for offset, field in ((0, "Magic"), (9, "Checksum"), (12, "Checksum"), (len(raw) - 1, "Checksum")):
        changed = flipped(raw, offset)
        form = changed if field != "Magic" else base64.b64encode(changed)
        with pytest.raises(VariableError) as caught:
            variables_from_ec2(form)
        assert caught.value.field == field
    with pytest.raises(VariableError, match="not base64"):
        variables_from_ec2(b"QU1aTlVFRk!")
    with pytest.raises(VariableError, match="too large"):
        variables_from_ec2(raw + bytes(1 << 20))


def store_of(content: bytes, version: int = 0, dictionary: bytes | None = None) -> bytes:
    """A store of other content, with a right checksum."""
    known = (Path(ec2.__file__).parent / "ec2_v0.bin").read_bytes()
    stream = zlib.compressobj(zdict=known if dictionary is None else dictionary)
    rest = version.to_bytes(4, "little") + stream.compress(content) + stream.flush()
    return b"AMZNUEFI" + ec2._crc32c(rest).to_bytes(4, "little") + rest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (store_of(bytes(8), version=1), "Version"),
        (store_of(bytes(8), dictionary=b"another"), "decompressed"),
        (store_of(bytes(9 << 20)), "too large"),
        (store_of((1).to_bytes(8, "little")), "reaches past the end"),
        (store_of(b"\xff" * 64), "reaches past the end"),
        (store_of((1).to_bytes(8, "little") + (1).to_bytes(8, "little") + b"\xff" + bytes(28)), "not UTF-8"),
    ],
)
def test_content_that_lies_ends_in_an_error(data: bytes, message: str) -> None:
    assert variables_from_ec2(store_of(bytes(8))) == ()
    with pytest.raises(FormatError) as caught:
        variables_from_ec2(data)
    assert message in str(caught.value)


def test_the_checksum_is_that_of_the_rfc() -> None:
    """RFC 3720 appendix B.4."""
    assert ec2._crc32c(bytes(32)) == 0x8A9136AA
    assert ec2._crc32c(b"\xff" * 32) == 0x62A8AB43
    assert ec2._crc32c(bytes(range(32))) == 0x46DD794E
