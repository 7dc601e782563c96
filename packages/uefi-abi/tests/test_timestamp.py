"""Time stamps of RFC 3161: openssl and osslsigncode write them."""

import datetime
import hashlib
from pathlib import Path

import pytest

from cloudboot_base.testing import flipped, judge, run, truncations
from cloudboot_uefi_abi.constants import Machine, SectionFlag
from cloudboot_uefi_abi.errors import SignedDataError
from cloudboot_uefi_abi.pe import NewSection, PEImage, certificates, write_image
from cloudboot_uefi_abi.pkcs7 import SignedData, TimestampInfo
from cloudboot_uefi_abi.pkcs7.signed_data import TIMESTAMP_INFO

CONFIGURATION = """[tsa]
default_tsa = authority
[authority]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = {digits}
ordering = yes
tsa_name = yes
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key and a certificate of a time stamping authority."""
    folder = tmp_path_factory.mktemp("authority")
    run(
        judge("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key", "-out",
        folder / "crt", "-subj", "/CN=Stamps", "-addext", "extendedKeyUsage=critical,timeStamping",
    )  # fmt: skip
    return folder


def token(folder: Path, data: bytes, algorithm: str, digits: int) -> bytes:
    """A token of ``openssl ts`` for some bytes."""
    openssl = judge("openssl", "openssl")
    (folder / "data").write_bytes(data)
    (folder / "conf").write_text(CONFIGURATION.format(digits=digits).replace("= serial", f"= {folder / 'serial'}"))
    run(openssl, "ts", "-query", "-data", folder / "data", f"-{algorithm}", "-cert", "-out", folder / "query")
    run(
        openssl, "ts", "-reply", "-config", folder / "conf", "-queryfile", folder / "query", "-inkey", folder / "key",
        "-signer", folder / "crt", "-token_out", "-out", folder / "token",
    )  # fmt: skip
    return (folder / "token").read_bytes()


@pytest.mark.parametrize(("algorithm", "digits"), [("sha256", 0), ("sha512", 3)])
def test_what_openssl_stamps_is_read(authority: Path, algorithm: str, digits: int) -> None:
    data = bytes(range(100))
    message = SignedData.parse(token(authority, data, algorithm, digits))
    assert message.content_type == TIMESTAMP_INFO
    info = TimestampInfo.parse(message.content)
    assert (info.version, info.policy, info.algorithm) == (1, "1.2.3.4.1", algorithm)
    assert info.digest == hashlib.new(algorithm, data).digest()
    shown = run(
        judge("openssl", "openssl"), "ts", "-reply", "-in", authority / "token", "-token_in", "-token_out", "-text"
    )
    stated = next(line for line in shown.splitlines() if line.startswith("Time stamp: "))[12:]
    whole = " ".join(stated.split()).replace(" GMT", "")
    form = "%b %d %H:%M:%S.%f %Y" if digits else "%b %d %H:%M:%S %Y"
    assert info.time == datetime.datetime.strptime(whole, form).replace(microsecond=0, tzinfo=datetime.UTC)


def test_the_stamp_of_an_image_is_that_of_its_signature(authority: Path, tmp_path: Path) -> None:
    image, signed = tmp_path / "image.efi", tmp_path / "signed.efi"
    code = NewSection(".text", 0x1000, b"\xc3", SectionFlag.CODE | SectionFlag.EXECUTE | SectionFlag.READ)
    image.write_bytes(write_image(Machine.AMD64, [code], 0x1000))
    when = 4_000_000_000
    run(
        judge("osslsigncode", "osslsigncode"), "sign", "-h", "sha256", "-certs", authority / "crt", "-key",
        authority / "key", "-TSA-certs", authority / "crt", "-TSA-key", authority / "key", "-TSA-time", str(when),
        "-in", image, "-out", signed,
    )  # fmt: skip
    (entry,) = certificates(PEImage.parse(signed.read_bytes()))
    (signer,) = SignedData.parse(entry.data).signers
    info = TimestampInfo.parse(SignedData.parse(signer.timestamp).content)
    assert info.digest == hashlib.new(info.algorithm, signer.signature).digest()
    assert info.time.timestamp() == when


def test_damaged_stamps_have_an_error(authority: Path) -> None:
    content = SignedData.parse(token(authority, b"x", "sha256", 0)).content
    for part in truncations(content, 1):
        with pytest.raises(SignedDataError):
            TimestampInfo.parse(part)
    time = content.index(b"\x18\x0f") + 2
    for offset, mask in ((time + 4, 0x0F), (time + 14, 0x01), (time - 2, 0x01), (2, 0x01), (7, 0x01)):
        with pytest.raises(SignedDataError) as caught:
            TimestampInfo.parse(flipped(content, offset, mask))
        assert caught.value.structure
    for changed in (b"\x30\x00", b"\x30\x03\x02\x01\x01"):
        with pytest.raises(SignedDataError, match="too few"):
            TimestampInfo.parse(changed)
