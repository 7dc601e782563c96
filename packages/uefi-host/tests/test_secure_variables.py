"""Authenticated variables: this firmware and OVMF's build for Secure Boot answer a long list of writes alike.

Debian's efitools and the PKCS #7 builder of cryptography sign the writes; OVMF, untouched in a QEMU machine, is the
judge of what they mean.
"""

import datetime
import hashlib
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudboot_base import MemoryStorage, MissingDependencyError
from cloudboot_base.testing import FOREIGN, judge, judge_file, ovmf, run
from cloudboot_uefi_abi.constants import CertificateType, ImageExecutionAction, VariableAttribute
from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.image_executions import pack_image_executions, parse_image_executions
from cloudboot_uefi_abi.layout.records import EFI_TIME
from cloudboot_uefi_abi.pe import Certificate as PeCertificate
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest, with_certificates
from cloudboot_uefi_abi.pkcs7 import Element
from cloudboot_uefi_abi.status import Status, status_name
from cloudboot_uefi_abi.variables import (
    AuthenticatedUpdate,
    Signature,
    SignatureList,
    pack_signature_lists,
    parse_signature_lists,
)
from cloudboot_uefi_abi.variables import Variable as AbiVariable
from cloudboot_uefi_abi.variables.authentication import signed_contents
from cloudboot_uefi_host import Budget, Firmware, boot_path, publish_block_io, start, vendor_path
from cloudboot_uefi_host.compiling import COMPILERS, compile_program
from cloudboot_uefi_host.core.authenticated import Authentication
from cloudboot_uefi_host.core.image_verification import refusal
from cloudboot_uefi_host.core.variable import Key, Variable
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.protocols.device_path_text import publish_device_path_text
from cloudboot_uefi_host.run import Ending
from cloudboot_uefi_host.testing import Answers, answers, boot_disk

SOURCE = Path(__file__).parent / "programs" / "variables.c"
GLOBAL, SECURITY = GUIDS["EFI_GLOBAL_VARIABLE"], GUIDS["EFI_IMAGE_SECURITY_DATABASE"]
MINE = UUID("44332211-0201-0403-0506-0708090a0b0c")
OWNER = UUID("c10ddb00-7e1a-4001-91b0-070cb1ec80b1")
AT = 0x27
APPEND = 0x40
NAMES = {"PK": GLOBAL, "KEK": GLOBAL, "db": SECURITY, "dbx": SECURITY, "dbt": SECURITY}


@dataclass(frozen=True)
class Identity:
    """A key and its certificate."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)

    def write(self, folder: Path, name: str) -> None:
        """Leave key and certificate in files, for other programs."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (folder / f"{name}.key").write_bytes(key)
        (folder / f"{name}.crt").write_bytes(self.certificate.public_bytes(Encoding.PEM))


def identity(
    name: str,
    issuer: Identity | None = None,
    *,
    authority: bool = True,
    curve: ec.EllipticCurve | None = None,
    stamps: bool = False,
    years: int = 0,
) -> Identity:
    """A new key with a certificate of its own, or of ``issuer``.

    The key is of RSA, or of a ``curve``. The certificate was valid for a day of 2001, or is from then on for ``years``;
    one that ``stamps`` belongs to a time stamping authority.
    """
    key = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if curve is None
        else ec.generate_private_key(curve)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=1 + 365 * years))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if stamps:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return Identity(key, made.sign(issuer.key if issuer else key, hashes.SHA256()))


def certificates(*identities: Identity) -> bytes:
    """A signature list for each certificate."""
    return pack_signature_lists(
        SignatureList(GUIDS["EFI_CERT_X509"], (Signature(OWNER, each.der),)) for each in identities
    )


def digests(*values: int) -> bytes:
    """A signature list of SHA-256 digests."""
    signatures = tuple(Signature(OWNER, bytes([value]) * 32) for value in values)
    return SignatureList(GUIDS["EFI_CERT_SHA256"], signatures).pack()


def moment(minute: int) -> EFI_TIME:
    """A minute of a day."""
    return EFI_TIME(Year=2024, Month=5, Day=6, Hour=7, Minute=minute)


def signature(
    signer: Identity,
    content: bytes,
    *more: Identity,
    wrapped: bool = False,
    signed_attributes: bool = False,
    digest: type[hashes.SHA256 | hashes.SHA512] = hashes.SHA256,
) -> bytes:
    """A detached SignedData, in a ContentInfo if ``wrapped``; ``more`` are certificates beside the signer's."""
    made = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(signer.certificate, signer.key, digest())
    for each in more:
        made = made.add_certificate(each.certificate)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    options += [] if signed_attributes else [pkcs7.PKCS7Options.NoAttributes]
    message = made.sign(Encoding.DER, options)
    return message if wrapped else next(iter(list(Element.read(message))[1])).raw


@dataclass(frozen=True)
class Step:
    """One SetVariable."""

    what: str
    name: str
    attributes: int
    data: bytes
    vendor: UUID | None = None

    def pack(self) -> bytes:
        """What the program reads."""
        vendor = self.vendor or NAMES.get(self.name, MINE)
        head = self.name.encode("utf-16-le").ljust(64, b"\0") + vendor.bytes_le
        made = head + struct.pack("<II", self.attributes, len(self.data)) + self.data
        return made + bytes(-len(made) % 8)


class Maker:
    """Makes steps with keys of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pk, self.kek, self.other = identity("Platform"), identity("Exchange"), identity("Other")
        self.below_pk = identity("Below the platform", self.pk)
        self.root = identity("Root")
        self.leaf = identity("Leaf", self.root, authority=False)
        self.below_leaf = identity("Below a leaf", self.leaf)
        self.third = identity("Third")
        for name in ("pk", "kek", "other", "third", "leaf"):
            getattr(self, name).write(folder, name)

    def signed(
        self,
        what: str,
        name: str,
        data: bytes,
        signer: Identity,
        minute: int,
        *more: Identity,
        attributes: int = AT,
        change: Callable[[AuthenticatedUpdate], AuthenticatedUpdate] = lambda update: update,
        **options: object,
    ) -> Step:
        """A write that cryptography signs."""
        when = moment(minute)
        vendor = NAMES.get(name, MINE)
        content = signed_contents(AbiVariable(name, vendor, data, VariableAttribute(attributes), when))
        made = signature(signer, content, *more, **options)  # type: ignore[arg-type]  # what signature() takes
        return Step(what, name, attributes, change(AuthenticatedUpdate(when, made, data)).pack())

    def efitools(self, what: str, name: str, data: bytes, signer: str, minute: int, *options: str) -> Step:
        """A write that efitools signs."""
        source, target = self.folder / "list.esl", self.folder / "list.auth"
        source.write_bytes(data)
        program = judge("sign-efi-sig-list", "efitools")
        run(
            program, *options, "-t", f"2024-05-06 07:{minute:02}:00", "-k", self.folder / f"{signer}.key",
            "-c", self.folder / f"{signer}.crt", "-g", str(NAMES.get(name, MINE)), name, source, target,
        )  # fmt: skip
        attributes = AT | (APPEND if "-a" in options else 0)
        return Step(what, name, attributes, target.read_bytes())


def all_steps(make: Maker) -> list[Step]:
    """Setup mode, platform key, updates, appends, private variables, and the platform key's end."""
    pk, kek, other, root, leaf = make.pk, make.kek, make.other, make.root, make.leaf

    def tampered(update: AuthenticatedUpdate) -> AuthenticatedUpdate:
        return AuthenticatedUpdate(update.timestamp, update.signature, update.data + digests(9))

    def zoned(update: AuthenticatedUpdate) -> AuthenticatedUpdate:
        time = EFI_TIME(Year=2024, Month=5, Day=6, Hour=7, Minute=59, TimeZone=60)
        return AuthenticatedUpdate(time, update.signature, update.data)

    def broken(update: AuthenticatedUpdate) -> AuthenticatedUpdate:
        return AuthenticatedUpdate(update.timestamp, update.signature[:-1] + b"\0", update.data)

    def by_openssl(what: str, minute: int, *options: str) -> Step:
        """A write of a private variable that ``openssl cms`` signs."""
        when, data = moment(minute), what.encode()
        content = make.folder / "content"
        content.write_bytes(signed_contents(AbiVariable("cms", MINE, data, VariableAttribute(AT), when)))
        command = [
            judge("openssl", "openssl"),
            "cms",
            "-sign",
            "-binary",
            "-noattr",
            "-md",
            "sha256",
            "-outform",
            "DER",
        ]
        files: list[str | Path] = [
            "-in",
            content,
            "-signer",
            make.folder / "other.crt",
            "-inkey",
            make.folder / "other.key",
        ]
        done = subprocess.run([*command, *files, *options], check=True, capture_output=True)
        message = next(iter(list(Element.read(done.stdout))[1])).raw
        return Step(what, "cms", AT, AuthenticatedUpdate(when, message, data).pack())

    empty = AuthenticatedUpdate(moment(1), b"", b"")
    modes = ("SetupMode", "AuditMode", "DeployedMode", "SecureBoot", "SignatureSupport", "VendorKeys")

    def of_modes(when: str) -> list[Step]:
        """The modes of Secure Boot, read and written."""
        reads = [Step(f"{when}: {name} read", name, 0, b"", GLOBAL) for name in modes]
        return reads + [
            Step(f"{when}: {name} written with {attributes}", name, attributes, b"\1", GLOBAL)
            for name in modes
            for attributes in (2, 6, 7, AT)
        ]

    others = (
        "BootOrder", "DriverOrder", "SysPrepOrder", "OsRecoveryOrder", "PlatformRecoveryOrder", "OsRecovery0001",
        "PlatformRecovery0001", "Driver0001", "SysPrep0001", "HwErrRec0001", "BootNext",
        "dbDefault", "PKDefault", "KEKDefault", "dbxDefault", "dbrDefault", "dbtDefault",
        "CryptoIndications", "CryptoIndicationsSupported", "CryptoIndicationsActivated", "devAuthBoot", "devdb",
    )  # fmt: skip

    path = DevicePath.from_text("PciRoot(0x0)/Pci(0x1,0x0)").pack()
    text = "name\0".encode("utf-16-le")
    head = struct.pack("<IH", 1, len(path))
    contents = {
        "Boot": {
            "whole": head + text + path, "with more": head + text + path + b"more", "no null": head + text[:-2],
            "no path": struct.pack("<IH", 1, 0) + text, "too long": struct.pack("<IH", 1, 99) + text + path,
            "two paths": struct.pack("<IH", 1, 2 * len(path)) + text + path * 2,
            "half a path": struct.pack("<IH", 1, len(path) - 4) + text + path,
            "a short node": struct.pack("<IH", 1, 8) + text + b"\1\1\3\0\x7f\xff\4\0",
            "a head": head, "no name": head + b"\0\0" + path,
        },
        "Key": {str(size): b"\1".ljust(size, b"\0") for size in (8, 10, 13, 14, 15, 18, 22, 26, 30)},
        "ErrOut": {
            "whole": path, "with more": path + b"more", "half": path[:-4], "end": path[-4:], "three": path[-4:-1],
        },
        "BootOrder": {"twice": b"\1\0\1\0", "odd": b"\1\0\2"},
        "PlatformLang": {
            "no null": b"en", "null": b"en\0", "null inside": b"e\0n\0", "null in front": b"\0en",
            "no null again": b"no", "high": b"\xe9\0", "nothing but null": b"\0",
        },
        "Timeout": {"three": bytes(3), "two": bytes(2)},
        "OsIndications": {"four": bytes(4), "eight": bytes(8)},
    }  # fmt: skip
    contained = [
        Step(f"content: {name} {what}", name + "0002" * (name in {"Boot", "Key"}), 7, data, GLOBAL)
        for name, cases in contents.items()
        for what, data in cases.items()
    ]
    return [
        *contained,
        *of_modes("setup"),
        *(Step(f"setup: {name}", name, 7, b"\1\0", GLOBAL) for name in others),
        Step("setup: nothing", "PK", 0, b""),
        Step("setup: a plain write of PK", "PK", 7, certificates(pk)),
        Step("setup: a plain write of db", "db", 7, certificates(pk)),
        Step("setup: db without a descriptor", "db", AT, b"short"),
        Step("setup: PK that is volatile", "PK", 0x26, empty.pack()),
        Step("setup: db without a signature", "db", AT, AuthenticatedUpdate(moment(1), b"", digests(1)).pack()),
        Step("setup: db again, older", "db", AT, AuthenticatedUpdate(moment(0), b"", digests(2)).pack()),
        Step("setup: db appended", "db", AT | APPEND, AuthenticatedUpdate(moment(2), b"", digests(1, 2, 3)).pack()),
        Step("setup: db that is no list", "db", AT, AuthenticatedUpdate(moment(3), b"", b"x" * 50).pack()),
        Step("setup: db deleted", "db", AT, AuthenticatedUpdate(moment(4), b"", b"").pack()),
        make.efitools("setup: KEK by another key", "KEK", certificates(kek), "other", 5),
        make.signed("setup: PK by another key", "PK", certificates(pk), other, 5),
        make.signed("setup: two PKs", "PK", certificates(pk, other), pk, 5),
        make.signed("setup: PK that is a digest", "PK", digests(1), pk, 5),
        make.signed("setup: PK changed after signing", "PK", certificates(pk), pk, 5, change=tampered),
        make.signed("setup: PK with a wrong signature", "PK", certificates(pk), pk, 5, change=broken),
        make.signed("setup: PK with a time zone", "PK", certificates(pk), pk, 5, change=zoned),
        make.signed("setup: PK by SHA-512", "PK", certificates(pk), pk, 5, digest=hashes.SHA512),
        make.efitools("setup: PK by itself", "PK", certificates(pk), "pk", 10),
        *of_modes("user"),
        make.signed("user: PK again at the same time", "PK", certificates(pk), pk, 10),
        make.signed("user: PK later", "PK", certificates(pk), pk, 11),
        make.signed("user: PK by another key", "PK", certificates(other), other, 12),
        Step("user: db without a signature", "db", AT, AuthenticatedUpdate(moment(12), b"", digests(1)).pack()),
        make.efitools("user: db by KEK", "db", digests(1, 2), "kek", 13),
        make.efitools("user: db by PK", "db", digests(1, 2), "pk", 14),
        make.efitools("user: db by another key", "db", digests(7), "other", 15),
        make.efitools("user: db appended by KEK, older", "db", digests(2, 3), "kek", 1, "-a"),
        make.efitools("user: db appended, nothing new", "db", digests(1, 2, 3), "kek", 16, "-a"),
        make.signed("user: db before the append", "db", digests(4), kek, 15),
        make.signed("user: db with more certificates", "db", digests(4, 5), kek, 17, other, root),
        make.signed("user: db with signed attributes", "db", digests(4, 5), kek, 18, signed_attributes=True),
        make.signed("user: db in a ContentInfo", "db", digests(4, 5), kek, 19, wrapped=True),
        make.signed("user: db signed for an append", "db", digests(6), kek, 20, attributes=AT | APPEND),
        make.signed("user: KEK by what PK issued", "KEK", certificates(kek, root), make.below_pk, 19, pk),
        make.signed("user: KEK by KEK", "KEK", certificates(kek, root), kek, 19),
        make.signed("user: KEK by PK", "KEK", certificates(kek, root), pk, 19),
        make.signed("user: dbx by a leaf of KEK's root", "dbx", digests(8), leaf, 20),
        make.signed("user: dbx by a leaf, with its root", "dbx", digests(8, 9), leaf, 21, root),
        make.signed("user: dbx by what a leaf issued", "dbx", digests(10), make.below_leaf, 22, leaf, root),
        make.signed("user: dbx empty append", "dbx", b"", kek, 23, attributes=AT | APPEND),
        make.signed("user: dbt new", "dbt", certificates(other), kek, 23),
        make.signed("user: dbt deleted", "dbt", b"", kek, 24),
        make.signed("user: dbt deleted again", "dbt", b"", kek, 25),
        Step("user: another name of that vendor", "dbq", 7, b"1234", SECURITY),
        make.signed("private: new", "mine", b"first", other, 30),
        make.signed("private: same time", "mine", b"again", other, 30),
        make.signed("private: later", "mine", b"second", other, 31),
        make.signed("private: by KEK", "mine", b"third", kek, 32),
        Step("private: plain write", "mine", 7, b"fourth"),
        Step("private: plain write with its attributes", "mine", AT, b"fourth"),
        Step("private: plain deletion", "mine", 7, b""),
        Step("private: plain deletion without attributes", "mine", 0, b"x"),
        make.signed("private: other attributes", "mine", b"fifth", other, 33, attributes=0x23),
        make.signed("private: append", "mine", b"+sixth", other, 1, attributes=AT | APPEND),
        make.signed("private: appended again", "mine", b"+sixth", other, 34, attributes=AT | APPEND),
        make.signed("private: between", "mine", b"seventh", other, 33),
        make.signed("private: deleted", "mine", b"", other, 35),
        make.signed("private: deleted again", "mine", b"", other, 36),
        make.signed("private: by KEK now", "mine", b"eighth", kek, 1),
        make.signed("private: by a leaf", "theirs", b"one", leaf, 1, root),
        make.signed("private: by a leaf without its root", "theirs", b"two", leaf, 2),
        make.signed("private: by the leaf again", "theirs", b"three", leaf, 3, root),
        make.signed("private: volatile", "volatile", b"one", other, 1, attributes=0x26),
        Step("private: a plain variable first", "plain", 7, b"plain"),
        make.signed("private: then authenticated", "plain", b"signed", other, 1),
        Step("plain: deletion with other attributes", "plain", 3, b""),
        Step("plain: append of nothing with other attributes", "plain", 3 | APPEND, b""),
        Step("plain: deletion", "plain", 7, b""),
        by_openssl("openssl: PKCS #7", 1),
        by_openssl("openssl: the signer named by its key", 2, "-keyid"),
        by_openssl("openssl: without certificates", 3, "-nocerts"),
        Step("counted", "counted", 0x17, b"x" * 400),
        make.signed("user: PK deleted by another key", "PK", b"", kek, 40),
        make.signed("user: PK deleted", "PK", b"", pk, 41),
        Step("setup again: db without a signature", "db", AT, AuthenticatedUpdate(moment(1), b"", digests(1)).pack()),
        make.signed("setup again: PK older than before", "PK", certificates(other), other, 1),
    ]


def load(what: str, data: bytes, name: str = "path") -> Step:
    """An image to load, with a device path or without one."""
    return Step(f"load: {what}", name, 0xFFFFFFFF, bytes(data))


def sign_image(folder: Path, data: bytes, *signers: str) -> bytes:
    """An image with a signature of each key; sbsign makes them."""
    source = folder / "image.efi"
    source.write_bytes(data)
    for signer in signers:
        program = judge("sbsign", "sbsigntool")
        run(program, "--key", folder / f"{signer}.key", "--cert", folder / f"{signer}.crt", "--output", source, source)
    return source.read_bytes()


def image_steps(make: Maker, architecture: str) -> list[Step]:
    """Images that are loaded while Secure Boot is off, then on, with db and dbx of certificates and digests."""
    folder, plain = make.folder, standin(architecture)
    other, third, both = (
        sign_image(folder, plain, "other"),
        sign_image(folder, plain, "third"),
        sign_image(folder, plain, "third", "other"),
    )
    below = sign_image(folder, plain, "leaf")
    changed = bytearray(other)
    changed[0x200] ^= 0xFF
    digest = authenticode_digest(PEImage.parse(plain))
    of_plain = SignatureList(GUIDS["EFI_CERT_SHA256"], (Signature(OWNER, digest),)).pack()
    of_third = SignatureList(
        GUIDS["EFI_CERT_X509_SHA256"],
        (Signature(OWNER, hashlib.sha256(make.third.certificate.tbs_certificate_bytes).digest() + bytes(16)),),
    ).pack()
    unsigned_table = with_certificates(plain, [PeCertificate(CertificateType.EFI_PKCS115, b"x" * 64)])

    def all_of(when: str) -> list[Step]:
        images = {
            "unsigned": plain, "signed by other": other, "signed by third": third, "signed by both": both,
            "signed below root": below, "changed": bytes(changed), "with a certificate of no use": unsigned_table,
            "for another processor": standin("arm64" if architecture == "amd64" else "amd64"),
            "no image": b"MZ" + bytes(62),
        }  # fmt: skip
        steps = [load(f"{when}: {what}", data) for what, data in images.items()]
        return [*steps, load(f"{when}: without a path", plain, "none")]

    def without(name: str) -> Step:
        return make.signed(f"{name} deleted", name, b"", make.pk, 50)

    return [
        *all_of("setup mode"),
        Step("KEK", "KEK", AT, AuthenticatedUpdate(moment(1), b"", certificates(make.kek)).pack()),
        make.signed("PK", "PK", certificates(make.pk), make.pk, 1),
        *all_of("no db"),
        make.signed("db: other and root", "db", certificates(make.other, make.root), make.kek, 2),
        *all_of("db has other and root"),
        make.signed("db: a digest", "db", of_plain, make.kek, 3),
        *all_of("db has a digest"),
        make.signed("dbx: the same digest", "dbx", of_plain, make.kek, 4),
        *all_of("dbx has the digest"),
        without("dbx"),
        make.signed("db: other and third", "db", certificates(make.other, make.third), make.kek, 51),
        make.signed("dbx: third", "dbx", certificates(make.third), make.kek, 52),
        *all_of("dbx has third"),
        make.signed("dbx: third by digest", "dbx", of_third, make.kek, 53),
        *all_of("dbx has a digest of third"),
        make.signed("PK deleted", "PK", b"", make.pk, 54),
        *all_of("setup mode again"),
    ]


def curve_steps(make: Maker, architecture: str) -> list[Step]:
    """Keys of elliptic curves: in every variable of Secure Boot, and as signers of writes and images."""
    folder, plain = make.folder, standin(architecture)
    p256, p384 = identity("P-256", curve=ec.SECP256R1()), identity("P-384", curve=ec.SECP384R1())
    below_rsa = identity("P-256 below RSA", make.root, curve=ec.SECP256R1(), authority=False)
    below_curve = identity("RSA below P-256", p256, authority=False)
    for name, each in {"p256": p256, "p384": p384, "below_rsa": below_rsa, "below_curve": below_curve}.items():
        each.write(folder, name)

    def all_of(when: str) -> list[Step]:
        images = {name: sign_image(folder, plain, name) for name in ("p256", "p384", "below_rsa", "below_curve")}
        images["other and p256"] = sign_image(folder, plain, "other", "p256")
        images["p256 and other"] = sign_image(folder, plain, "p256", "other")
        return [load(f"{when}: {what}", data) for what, data in images.items()]

    def plainly(name: str, who: Identity) -> Step:
        return Step(f"setup: {name}", name, AT, AuthenticatedUpdate(moment(1), b"", certificates(who)).pack())

    of_p256 = SignatureList(
        GUIDS["EFI_CERT_X509_SHA256"],
        (Signature(OWNER, hashlib.sha256(p256.certificate.tbs_certificate_bytes).digest() + bytes(16)),),
    ).pack()
    return [
        plainly("db", p256),
        plainly("KEK", p256),
        make.signed("setup: PK of a curve", "PK", certificates(p256), p256, 1),
        Step("KEK", "KEK", AT, AuthenticatedUpdate(moment(1), b"", certificates(make.kek)).pack()),
        make.signed("PK", "PK", certificates(make.pk), make.pk, 2),
        make.signed("db of curves", "db", certificates(p256, p384, make.root, make.other), make.kek, 3),
        make.signed("db of one curve", "db", certificates(p256), make.kek, 4),
        *all_of("db of curves"),
        make.signed("db", "db", certificates(make.root, make.other), make.kek, 5),
        *all_of("db"),
        make.signed("dbx of a curve", "dbx", certificates(p256), make.kek, 6),
        *all_of("dbx of a curve"),
        make.signed("dbx by digest", "dbx", of_p256, make.kek, 7),
        *all_of("dbx by digest"),
        make.signed("private: by a curve", "mine", b"one", p256, 1),
        make.signed("db by what RSA issued to a curve", "db", digests(1), below_rsa, 8, make.root),
    ]


def stamped_image(folder: Path, data: bytes, signer: str, authority: str, when: int, *options: str | Path) -> bytes:
    """An image that osslsigncode signs and stamps with a time in seconds since 1970."""
    source, target = folder / "plain.efi", folder / "stamped.efi"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    run(
        judge("osslsigncode", "osslsigncode"), "sign", "-h", "sha256", "-certs", folder / f"{signer}.crt",
        "-key", folder / f"{signer}.key", "-TSA-certs", folder / f"{authority}.crt", "-TSA-key",
        folder / f"{authority}.key", "-TSA-time", str(when), *options, "-in", source, "-out", target,
    )  # fmt: skip
    return target.read_bytes()


def stamp_steps(make: Maker, architecture: str) -> list[Step]:
    """Certificates that are revoked from a time on, and images with time stamps before and after it."""
    folder, plain = make.folder, standin(architecture)
    root = identity("Stamp root", years=60)
    authorities = {
        "stamp": identity("Stamps", authority=False, stamps=True, years=60),
        "ended": identity("Stamped", authority=False, stamps=True),
        "below": identity("Stamps below", root, authority=False, stamps=True, years=60),
    }
    for name, each in authorities.items():
        each.write(folder, name)
    revoked = int(datetime.datetime(2020, 5, 6, 7, 8, 9, tzinfo=datetime.UTC).timestamp())
    times = {"before": revoked - 1, "then": revoked, "after": revoked + 1}
    images = {
        f"{authority} {when}": stamped_image(folder, plain, "third", authority, second)
        for authority in authorities
        for when, second in times.items()
    }
    images |= {"unstamped": sign_image(folder, plain, "third")}
    changed = bytearray(images["stamp before"])
    stamped = changed.rindex(b"20200506")
    changed[stamped : stamped + 4] = b"2019"
    images |= {"changed stamp": bytes(changed), "and unstamped": sign_image(folder, images["stamp before"], "third")}
    make.root.write(folder, "root")
    with_root = ("-ac", folder / "root.crt")
    for when, second in times.items():
        images[f"leaf {when}"] = stamped_image(folder, plain, "leaf", "stamp", second)
        images[f"leaf with its root {when}"] = stamped_image(folder, plain, "leaf", "stamp", second, *with_root)

    def all_of(when: str) -> list[Step]:
        return [load(f"{when}: {what}", data) for what, data in images.items()]

    def of(when: EFI_TIME, *identities: Identity) -> bytes:
        signatures = tuple(
            Signature(OWNER, hashlib.sha256(each.certificate.tbs_certificate_bytes).digest() + when.pack())
            for each in identities
        )
        return SignatureList(GUIDS["EFI_CERT_X509_SHA256"], signatures).pack()

    then = EFI_TIME(Year=2020, Month=5, Day=6, Hour=7, Minute=8, Second=9)
    return [
        Step("KEK", "KEK", AT, AuthenticatedUpdate(moment(1), b"", certificates(make.kek)).pack()),
        make.signed("PK", "PK", certificates(make.pk), make.pk, 1),
        make.signed("db: third and root", "db", certificates(make.third, make.root), make.kek, 2),
        make.signed("dbx: third from a time on", "dbx", of(then, make.third), make.kek, 3),
        *all_of("no dbt"),
        make.signed("dbt", "dbt", certificates(*authorities.values(), root), make.kek, 4),
        *all_of("dbt"),
        make.signed("dbt of the issuer", "dbt", certificates(root), make.kek, 5),
        *all_of("dbt of the issuer"),
        make.signed("dbt again", "dbt", certificates(authorities["stamp"]), make.kek, 6),
        make.signed("dbx: root from a time on", "dbx", of(then, make.root), make.kek, 7),
        *all_of("the root is revoked"),
        make.signed("db: leaf", "db", certificates(make.third, make.leaf), make.kek, 7),
        *all_of("the root is revoked, db has the leaf"),
        make.signed("dbx: leaf from a time on", "dbx", of(then, make.leaf), make.kek, 8),
        *all_of("the leaf is revoked"),
        make.signed("dbx: third at no time", "dbx", of(EFI_TIME(), make.third), make.kek, 9),
        *all_of("revoked for ever"),
        make.signed("dbx: third too", "dbx", certificates(make.third) + of(then, make.third), make.kek, 10),
        *all_of("revoked as a certificate too"),
    ]


def disk_of(architecture: str, steps: list[Step]) -> bytes:
    """A disk with the program and its steps."""
    for program in COMPILERS[architecture][:2]:
        judge(program, COMPILERS[architecture][2])
    program_bytes = compile_program(architecture, SOURCE)
    return boot_disk(architecture, program_bytes, {"/steps.bin": b"".join(step.pack() for step in steps)})


def hosted(architecture: str, steps: list[Step]) -> tuple[Answers, Firmware]:
    """What this firmware answers, and the firmware."""
    with Firmware(architecture, memory=64 << 20, budget=Budget(seconds=120)) as firmware:
        device = publish_block_io(firmware, MemoryStorage(disk_of(architecture, steps)), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        assert start(firmware, image).status == Status.SUCCESS
        return answers(firmware.console.text), firmware


def real(folder: Path, steps: list[Step]) -> Answers:
    """What OVMF answers that was built with Secure Boot."""
    disk = folder / "disk"
    disk.write_bytes(disk_of("amd64", steps))
    return answers(ovmf(folder, disk, lambda text: ("end", 0) in answers(text), secure=True))


def by_step(steps: list[Step], found: Answers) -> dict[str, list[str]]:
    """The answers to each step, in words."""
    groups: list[list[str]] = []
    waiting = True
    for name, value in found:
        if name in {"set", "get", "load"} and waiting:
            groups.append([])
            waiting = False
        waiting = waiting or name == "secure-boot"
        shown = status_name(value) if value >> 62 or name in {"set", "load"} else f"{value:#x}"
        groups[-1].append(f"{name} {shown}")
    assert len(groups) == len(steps)
    return {step.what: group for step, group in zip(steps, groups, strict=True)}


#: Debian 12's OVMF is of 2022; EDK2 takes the message inside a ContentInfo since 2023, and programs write it so.
DIFFERENCES = {"user: db in a ContentInfo"}


@pytest.mark.live
def test_ovmf_answers_the_same(tmp_path: Path) -> None:
    steps = all_steps(Maker(tmp_path))
    ours, firmware = hosted("amd64", steps)
    expected, found = by_step(steps, real(tmp_path, steps)), by_step(steps, ours)
    different = {what for what in found if found[what] != expected[what]}
    assert different == DIFFERENCES, {what: (found[what], expected[what]) for what in different - DIFFERENCES}
    statuses = [lines[0] for lines in found.values()]
    assert statuses.count("set EFI_SUCCESS") > 25
    assert statuses.count("set EFI_SECURITY_VIOLATION") >= 20
    assert firmware.variables.get("SecureBoot") is not None


@pytest.mark.live
def test_ovmf_loads_the_same_images(tmp_path: Path) -> None:
    steps = image_steps(Maker(tmp_path), "amd64")
    ours, _ = hosted("amd64", steps)
    expected, found = by_step(steps, real(tmp_path, steps)), by_step(steps, ours)
    different = {what: (found[what], expected[what]) for what in found if found[what] != expected[what]}
    assert different == {}
    statuses = [lines[0] for lines in found.values()]
    assert statuses.count("load EFI_SUCCESS") > 20
    assert statuses.count("load EFI_ACCESS_DENIED") > 20


@pytest.mark.live
def test_ovmf_refuses_keys_of_elliptic_curves_alike(tmp_path: Path) -> None:
    steps = curve_steps(Maker(tmp_path), "amd64")
    ours, firmware = hosted("amd64", steps)
    expected, found = by_step(steps, real(tmp_path, steps)), by_step(steps, ours)
    assert found == expected
    assert found["load: db: other and p256"][0] == "load EFI_SUCCESS"
    assert found["db of one curve"][0] == "set EFI_INVALID_PARAMETER"
    assert any("the curve secp384r1, and OVMF verifies RSA alone" in problem for problem in firmware.problems)


@pytest.mark.live
def test_ovmf_takes_the_same_time_stamps(tmp_path: Path) -> None:
    steps = stamp_steps(Maker(tmp_path), "amd64")
    ours, firmware = hosted("amd64", steps)
    expected, found = by_step(steps, real(tmp_path, steps)), by_step(steps, ours)
    assert found == expected
    for when, verdict in (("before", "SUCCESS"), ("then", "SUCCESS"), ("after", "ACCESS_DENIED")):
        assert found[f"load: dbt: stamp {when}"][0] == f"load EFI_{verdict}"
        assert found[f"load: no dbt: stamp {when}"][0] == "load EFI_ACCESS_DENIED"
    table = firmware.refused_images
    packed = pack_image_executions(table)
    assert pack_image_executions(parse_image_executions(packed)) == packed
    assert {each.name for each in table} == {r"VenHw(44332211-0201-0403-0506-0708090A0B0C)/\i.efi"}
    assert {each.result for each in table} == {
        ImageExecutionAction.AUTH_UNTESTED, ImageExecutionAction.AUTH_SIG_FAILED,
    }  # fmt: skip


@pytest.mark.parametrize("architecture", ["arm64", "riscv64"])
def test_other_processors_answer_the_same(architecture: str, tmp_path: Path) -> None:
    steps = all_steps(Maker(tmp_path))
    assert hosted(architecture, steps)[0] == hosted("amd64", steps)[0]


@pytest.mark.parametrize("make_steps", [image_steps, curve_steps, stamp_steps])
def test_other_processors_load_the_same_images(make_steps: Callable[[Maker, str], list[Step]], tmp_path: Path) -> None:
    """What OVMF judges on amd64 holds on the others: statuses, and the actions that are recorded."""
    seen = {}
    for architecture in ("amd64", "arm64", "riscv64"):
        steps = make_steps(Maker(tmp_path), architecture)
        ours, firmware = hosted(architecture, steps)
        statuses = {what: lines[0] for what, lines in by_step(steps, ours).items()}
        seen[architecture] = statuses, [each.action for each in firmware.refused_images]
    assert seen["arm64"] == seen["riscv64"] == seen["amd64"]
    statuses, actions = seen["amd64"]
    refused = [what for what, status in statuses.items() if status == "load EFI_ACCESS_DENIED"]
    assert len(actions) == sum(not what.endswith("without a path") for what in refused) > 10
    assert set(actions) > {0} or make_steps is curve_steps


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_images_have_an_answer(stamped: tuple[bytes, dict[Key, Variable]], data: st.DataObject) -> None:
    """An image that may run because of its time stamp: no changed byte that counts leaves it so, none raises."""
    image, databases = stamped
    table = image.rindex(b"\x00\x02\x02\x00") - 4  # wRevision and wCertificateType of the only certificate
    at = data.draw(st.integers(0, len(image) - 1))
    changed = bytearray(image)
    changed[at] ^= data.draw(st.integers(1, 255))
    found = refusal(bytes(changed), databases.get)
    assert found is None or found.reason
    if 0x200 <= at < table:
        assert found is not None, "the digest covers the code"


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[Key, Variable]]:
    """An image, and databases that let it run because it was stamped before its certificate was revoked."""
    make = Maker(tmp_path_factory.mktemp("stamped"))
    authority = identity("Stamps", authority=False, stamps=True, years=60)
    authority.write(make.folder, "stamp")
    image = stamped_image(make.folder, standin("amd64"), "third", "stamp", 1_500_000_000)
    digest = hashlib.sha256(make.third.certificate.tbs_certificate_bytes).digest() + EFI_TIME(Year=2020, Month=1).pack()
    revoked = SignatureList(GUIDS["EFI_CERT_X509_SHA256"], (Signature(OWNER, digest),)).pack()
    contents = {"db": certificates(make.third), "dbx": revoked, "dbt": certificates(authority)}
    databases = {(SECURITY.bytes_le, name): Variable(AT, content) for name, content in contents.items()}
    assert refusal(image, databases.get) is None
    without_stamps = {key: value for key, value in databases.items() if key[1] != "dbt"}
    assert refusal(image, without_stamps.get) is not None
    return image, databases


def test_efitools_and_virt_firmware_read_what_was_enrolled(tmp_path: Path) -> None:
    """The lists that this firmware holds after appends without duplicates are those that others understand."""
    make = Maker(tmp_path)
    steps = [
        make.efitools("KEK", "KEK", certificates(make.kek), "other", 1),
        make.efitools("db", "db", certificates(make.kek, make.root), "other", 1),
        make.efitools("PK", "PK", certificates(make.pk), "pk", 2),
        make.efitools("more", "db", certificates(make.root, make.other) + digests(1), "kek", 3, "-a"),
    ]
    _, firmware = hosted("amd64", steps)
    assert [firmware.variables.get(name).data for name in ("SetupMode", "SecureBoot")] == [b"\0", b"\1"]  # type: ignore[union-attr]
    stored = firmware.variables.get("db", SECURITY.bytes_le)
    assert stored is not None
    lists = parse_signature_lists(stored.data)
    assert [each.type for each in lists] == [GUIDS["EFI_CERT_X509"]] * 3 + [GUIDS["EFI_CERT_SHA256"]]
    assert [each.signatures[0].data for each in lists[:3]] == [each.der for each in (make.kek, make.root, make.other)]
    path = tmp_path / "db.esl"
    path.write_bytes(stored.data)
    run(judge("sig-list-to-certs", "efitools"), path, tmp_path / "db")
    assert [(tmp_path / f"db-{index}.der").read_bytes() for index in range(3)] == [
        each.der for each in (make.kek, make.root, make.other)
    ]
    assert (tmp_path / "db-3.hash").exists()


def test_systemd_boot_enrolls_keys(tmp_path: Path) -> None:
    """A real program of others: it sets db, KEK and PK from files that efitools signed, and restarts the machine."""
    loader = judge_file(FOREIGN / "usr/lib/systemd/boot/efi/systemd-bootx64.efi", "systemd-boot-efi").read_bytes()
    make = Maker(tmp_path)
    lists = {"PK": (certificates(make.pk), "pk"), "KEK": (certificates(make.kek), "pk"), "db": (digests(1), "kek")}
    files = {"/loader/loader.conf": b"timeout 5\nsecure-boot-enroll force\n"}
    files |= {
        f"/loader/keys/auto/{name}.auth": make.efitools(name, name, data, signer, 1).data
        for name, (data, signer) in lists.items()
    }
    with Firmware("amd64", budget=Budget(seconds=60)) as firmware:
        publish_device_path_text(firmware)
        device = publish_block_io(firmware, MemoryStorage(boot_disk("amd64", loader, files)), vendor_path())
        firmware.drivers.connect(device.handle)
        image = firmware.images.load_from(boot_path(firmware, device), parent=firmware.handle)
        assert start(firmware, image).ending is Ending.RESET
        assert "Custom Secure Boot keys successfully enrolled" in firmware.console.text
        for name, (data, _) in lists.items():
            stored = firmware.variables.get(name, NAMES[name].bytes_le)
            assert stored is not None
            assert (stored.data, stored.attributes) == (data, AT)
        assert firmware.variables.get("SecureBoot").data == b"\1"  # type: ignore[union-attr]


def test_a_firmware_takes_keys_from_python() -> None:
    platform = identity("Platform")
    with Firmware("amd64", memory=64 << 20) as firmware:
        firmware.variables.enroll("PK", [SignatureList(GUIDS["EFI_CERT_X509"], (Signature(OWNER, platform.der),))])
        assert firmware.variables.get("SecureBoot").data == b"\1"  # type: ignore[union-attr]
        assert firmware.variables.get("PK").data == certificates(platform)  # type: ignore[union-attr]


def test_without_cryptography_a_signature_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Maker(tmp_path)
    unsigned = Step("db", "db", AT, AuthenticatedUpdate(moment(1), b"", digests(1)).pack())
    steps = [unsigned, make.signed("PK", "PK", certificates(make.pk), make.pk, 1)]
    monkeypatch.setitem(sys.modules, "cryptography.x509", None)
    assert ("set", Status.SUCCESS) in hosted("amd64", [unsigned])[0]  # setup mode: nothing is to be verified
    with pytest.raises(MissingDependencyError, match="cryptography") as caught:
        hosted("amd64", steps)
    assert caught.value.hint == "pip install 'cloudboot-uefi-host[secureboot]'"


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Keys for several tests."""
    return Maker(tmp_path_factory.mktemp("keys"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=4), st.sampled_from(["PK", "KEK", "db", "mine"]))
def test_damaged_writes_have_an_answer(maker: Maker, at: int, patch: bytes, name: str) -> None:
    """Whatever a program gives to SetVariable, nothing but a status comes back; a changed write is not taken."""
    held: dict[Key, Variable] = {}
    vendor = NAMES.get(name, MINE).bytes_le

    def store(key: Key, attributes: int, data: bytes, timestamp: EFI_TIME, signer: bytes) -> int:
        held[key] = Variable(attributes, data, timestamp, signer)
        return Status.SUCCESS

    authentication = Authentication(held.get, store)
    if name != "PK":
        held[GLOBAL.bytes_le, "PK"] = Variable(AT, certificates(maker.pk))
        held[GLOBAL.bytes_le, "KEK"] = Variable(AT, certificates(maker.pk, maker.root))
    data = bytearray(_WRITES.setdefault(name, maker.signed("", name, certificates(maker.pk), maker.pk, 1).data))
    assert authentication.write((vendor, name), AT, bytes(data)) == Status.SUCCESS
    del held[vendor, name]
    at %= len(data)
    before = bytes(data)
    data[at : at + len(patch)] = patch
    status = authentication.write((vendor, name), AT, bytes(data))
    assert status in {Status.SUCCESS, Status.SECURITY_VIOLATION, Status.INVALID_PARAMETER}
    payload = len(before) - len(certificates(maker.pk))
    if at >= payload and bytes(data) != before and len(data) == len(before):
        assert status != Status.SUCCESS, "what is signed was changed"


_WRITES: dict[str, bytes] = {}
