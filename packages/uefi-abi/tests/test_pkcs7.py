"""SignedData: what openssl and sbsign write, what shim's signers wrote, and bytes that lie."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import FOREIGN, judge, judge_file, run
from cloudboot_uefi_abi.errors import SignedDataError
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest, certificates
from cloudboot_uefi_abi.pkcs7 import Element, SignedData

DATA = Path(__file__).parent / "data"
CONTENT = b"what is signed\n"
SHIM = FOREIGN / "usr/lib/shim/shimx64.efi.signed"
DATA_TYPE, SPC = "1.2.840.113549.1.7.1", "1.3.6.1.4.1.311.2.1.4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate, ``key.pem`` and ``cert.pem``."""
    made = tmp_path_factory.mktemp("pkcs7")
    run(
        judge("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cloudboot",
        "-keyout", str(made / "key.pem"), "-out", str(made / "cert.pem"),
    )  # fmt: skip
    (made / "content").write_bytes(CONTENT)
    return made


def signed(folder: Path, *options: str) -> bytes:
    """A ContentInfo that openssl makes."""
    command: list[str | Path] = [
        judge("openssl", "openssl"), "cms", "-sign", "-binary", "-in", folder / "content", "-signer",
        folder / "cert.pem", "-inkey", folder / "key.pem", "-outform", "DER", *options,
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("options", [(), ("-noattr",), ("-nodetach",), ("-keyid",), ("-nocerts",)])
def test_what_openssl_signed(digest: str, options: tuple[str, ...], folder: Path) -> None:
    certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    found = SignedData.parse(signed(folder, "-md", digest, *options))
    assert found.content_info
    assert found.digests == (digest,)
    assert found.content_type == DATA_TYPE
    assert found.content == (CONTENT if options == ("-nodetach",) else b"")
    assert len(found.certificates) == (options != ("-nocerts",))
    (signer,) = found.signers
    assert signer.digest == digest
    assert bool(signer.key_identifier) == (options == ("-keyid",))
    if not signer.key_identifier:
        assert (signer.issuer, signer.serial) == (certificate.issuer.public_bytes(), certificate.serial_number)
    assert bool(signer.attributes) == bool(signer.message_digest) == (options != ("-noattr",))
    assert len(signer.signature) == 256


def test_a_signed_data_without_a_content_info_is_the_same(folder: Path) -> None:
    message = signed(folder)
    inner = next(iter(list(Element.read(message))[1])).raw
    bare, wrapped = SignedData.parse(inner), SignedData.parse(message)
    assert not bare.content_info
    assert (bare.signers, bare.certificates) == (wrapped.signers, wrapped.certificates)
    assert SignedData.parse(message + b"what is behind it") == wrapped


def test_the_digest_that_microsoft_signed_is_shims() -> None:
    image = PEImage.parse(judge_file(SHIM, "shim-signed").read_bytes())
    entries = [SignedData.parse(entry.data) for entry in certificates(image)]
    assert entries
    for found in entries:
        assert found.content_type == SPC
        assert (found.algorithm, found.image_digest) == ("sha256", authenticode_digest(image))
        names = [x509.load_der_x509_certificate(each).subject.rfc4514_string() for each in found.certificates]
        assert any("Microsoft" in name for name in names)


def test_every_cut_is_an_error_of_its_own(folder: Path) -> None:
    message = signed(folder, "-noattr", "-nocerts")
    for size in range(len(message)):
        with pytest.raises(SignedDataError):
            SignedData.parse(message[:size])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x30\x80\x00\x00", "shortest definite form"),
        (b"\x30\x81\x05hello", "shortest definite form"),
        (b"\x30\x82\x00\xff", "shortest definite form"),
        (b"\x30\x05\x02", "leaves the data"),
        (b"\x1f\x81\x01\x00", "tag of several bytes"),
        (b"\x04\x00", "another kind"),
        (b"\x30\x00", "too few elements"),
        (b"\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x02\x30\x00", "no SignedData"),
        (b"\x30\x05\x06\x01\x80\xa0\x00", "has no end"),
    ],
)
def test_what_is_no_message_is_named(data: bytes, words: str) -> None:
    with pytest.raises(SignedDataError, match=words) as caught:
        SignedData.parse(data)
    assert caught.value.structure


@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 255))
def test_nothing_else_is_raised(junk: bytes, at: int, value: int) -> None:
    for data in (junk, _flipped(at, value)):
        try:
            SignedData.parse(data)
        except SignedDataError as error:
            assert error.structure  # noqa: PT017 - an input may be read as well


def _flipped(at: int, value: int) -> bytes:
    image = PEImage.parse(SHIM.read_bytes()) if SHIM.exists() else None
    data = bytearray(certificates(image)[0].data) if image is not None else bytearray(b"\x30\x00")
    data[at % len(data)] = value
    return bytes(data)


def der(tag: int, *parts: bytes) -> bytes:
    """An element of at most 127 bytes."""
    body = b"".join(parts)
    assert len(body) < 128
    return bytes([tag, len(body)]) + body


def sequence(*parts: bytes) -> bytes:
    return der(0x30, *parts)


VERSION, SHA256 = der(2, b"\1"), sequence(der(6, bytes.fromhex("608648016503040201")))
PLAIN = sequence(der(6, bytes.fromhex("2a864886f70d010701")))
NAMED = sequence(sequence(), der(2, b"\5"))
SPC_ID = der(6, bytes.fromhex("2b060104018237020104"))


def message(
    content: bytes = PLAIN, digests: bytes = SHA256, signer: tuple[bytes, ...] | None = None, *more: bytes
) -> bytes:
    """A small SignedData."""
    signers = () if signer is None else (sequence(*signer),)
    return sequence(VERSION, der(0x31, digests), content, *more, der(0x31, *signers))


def test_a_small_message_is_read() -> None:
    found = SignedData.parse(message(signer=(VERSION, NAMED, SHA256, SHA256, der(4, b"signature"))))
    assert (found.digests, found.content_type, found.certificates) == (("sha256",), DATA_TYPE, ())
    assert found.signers[0].signature == b"signature"
    assert found.signers[0].serial == 5
    unknown = SignedData.parse(message(digests=sequence(der(6, b"\x2a\x03"))))
    assert unknown.digests == ("1.2.3",)
    crls = SignedData.parse(message(PLAIN, SHA256, None, der(0xA1, sequence())))
    assert crls.signers == ()


@pytest.mark.parametrize(
    ("data", "structure", "words"),
    [
        (message(sequence()), "ContentInfo", "no content type"),
        (message(digests=sequence()), "AlgorithmIdentifier", "no algorithm"),
        (message(PLAIN, SHA256, None, der(0xA5)), "SignedData", "another kind"),
        (message(signer=(VERSION, NAMED, SHA256)), "SignerInfo", "too few"),
        (
            message(signer=(VERSION, sequence(sequence()), SHA256, SHA256, der(4))),
            "IssuerAndSerialNumber",
            "not an issuer",
        ),
        (message(sequence(SPC_ID, der(0xA0, sequence()))), "SpcIndirectDataContent", "no digest"),
        (message(sequence(SPC_ID, der(0xA0, sequence(), sequence()))), "ContentInfo", "not one element"),
        (sequence(VERSION, VERSION), "SignedData", "too few"),
    ],
)
def test_what_is_wrong_in_a_message_is_named(data: bytes, structure: str, words: str) -> None:
    with pytest.raises(SignedDataError, match=words) as caught:
        SignedData.parse(data)
    assert caught.value.structure == structure
    assert caught.value.offset is not None


def test_attributes_without_values_are_passed_over() -> None:
    attributes = der(0xA0, sequence(der(6, b"\x2a\x03")), sequence(der(6, b"\x2a\x04"), der(0x31)))
    found = SignedData.parse(message(signer=(VERSION, NAMED, SHA256, attributes, SHA256, der(4, b"s"))))
    assert found.signers[0].message_digest == b""
    assert found.signers[0].attributes == b"\x31" + attributes[1:]
