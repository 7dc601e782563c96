"""Certificates and keys that people have: bundles with comments, other encodings, pairs that do not belong together."""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Access, RetryPolicy, fetch_image, push_image
from cloudboot_oci_stream.errors import CertificateError, CredentialError, StatusError, TransportError
from cloudboot_oci_stream.testing import docker_registry

DISK = bytes(1024)
ONCE = RetryPolicy(attempts=0)
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Certificates ``NAME.pem`` of one authority, each with its key in ``NAME.key``."""
    authority = ec.generate_private_key(ec.SECP256R1())

    def write(name: str, *, host: str = "localhost", days: tuple[int, int] = (-1, 2)) -> Path:
        is_authority = name == "authority"
        key = authority if is_authority else ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days[0]))
            .not_valid_after(now + datetime.timedelta(days[1]))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        )
        certificate = builder.sign(authority, hashes.SHA256())
        path = tmp_path / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = serialization.PrivateFormat.PKCS8
        for suffix, sealing in (
            ("key", serialization.NoEncryption()),
            ("sealed", serialization.BestAvailableEncryption(b"secret")),
        ):
            path.with_suffix(f".{suffix}").write_bytes(key.private_bytes(serialization.Encoding.PEM, private, sealing))
        return path

    write("authority")
    return write


def test_a_bundle_with_names_in_other_letters(make: Make, tmp_path: Path) -> None:
    """As certifi's and Debian's bundles have them; skopeo takes the same file."""
    server, bundle = make("server"), tmp_path / "bundle.pem"
    comment = "# NetLock Arany (Class Gold) Főtanúsítvány\n".encode()
    bundle.write_bytes(comment + (tmp_path / "authority.pem").read_bytes() + comment)
    with docker_registry(certificate=(server, server.with_suffix(".key"))) as running:
        reference = f"localhost:{running.host.partition(':')[2]}/a:v1"
        push_image(DISK, reference, access=Access(ca_file=bundle))
        with fetch_image(reference, access=Access(ca_file=bundle)) as image:
            assert image.size == len(DISK)
        theirs = [judge("skopeo", "skopeo"), "inspect", "--raw", f"docker://{reference}"]
        subprocess.run(theirs, env=os.environ | {"SSL_CERT_FILE": str(bundle)}, check=True, capture_output=True)
        with pytest.raises(StatusError) as plain:  # HEAD comes first, and its answer has no words
            push_image(DISK, reference, retry=ONCE)
        assert "--ca-file" in (plain.value.hint or "")


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ({"days": (-9, -2)}, "clock is wrong"),
        ({"days": (2, 9)}, "clock is wrong"),
        ({"host": "other.example"}, "name the registry as its certificate does"),
    ],
)
def test_a_certificate_that_no_authority_could_save(
    make: Make, tmp_path: Path, certificate: dict[str, object], words: str
) -> None:
    server = make("server", **certificate)
    with docker_registry(certificate=(server, server.with_suffix(".key"))) as running:
        reference = f"localhost:{running.host.partition(':')[2]}/a:v1"
        with pytest.raises(CertificateError, match="does not verify") as caught:
            fetch_image(reference, access=Access(ca_file=tmp_path / "authority.pem"), retry=ONCE)
        assert words in (caught.value.hint or "")
        with pytest.raises(CertificateError) as unknown:
            fetch_image(reference, access=Access(insecure=False), retry=ONCE)
        assert "--ca-file" in (unknown.value.hint or "")


def test_a_registry_that_wants_a_client_certificate_says_so(make: Make, tmp_path: Path) -> None:
    server, authority = make("server"), tmp_path / "authority.pem"
    pair = (server, server.with_suffix(".key"))
    with docker_registry(certificate=pair, client_authority=authority) as running:
        reference = f"localhost:{running.host.partition(':')[2]}/a:v1"
        with pytest.raises(TransportError) as caught:
            fetch_image(reference, access=Access(ca_file=authority), retry=ONCE)
        assert "--client-certificate" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca_file": "authority.der"}, "authority.der cannot be used: it holds no certificate in PEM form"),
        ({"ca_file": "authority.key"}, "authority.key cannot be used: it holds no certificate in PEM form"),
        ({"ca_file": "none.pem"}, "none.pem cannot be used: No such file or directory"),
        ({"client_certificate": "client.der"}, "client.der cannot be used: it holds no certificate in PEM form"),
        ({"client_certificate": "client.pem"}, "client.pem cannot be used: it holds no private key in PEM form"),
        (
            {"client_certificate": "client.pem", "client_key": "server.key"},
            "server.key cannot be used: its private key belongs to another certificate",
        ),
        (
            {"client_certificate": "client.pem", "client_key": "client.sealed"},
            "client.sealed cannot be used: its private key is encrypted",
        ),
        ({"client_certificate": "client.pem", "client_key": "cut.key"}, "cut.key cannot be used: it is damaged"),
    ],
)
def test_what_cannot_be_used_is_named(make: Make, tmp_path: Path, given: dict[str, str], message: str) -> None:
    for name in ("server", "client"):
        make(name)
    for name in ("authority", "client"):
        certificate = x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes())
        (tmp_path / f"{name}.der").write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    (tmp_path / "cut.key").write_bytes((tmp_path / "client.key").read_bytes().replace(b"M", b"N", 1))
    access = Access(**{name: tmp_path / path for name, path in given.items()})  # type: ignore[arg-type]
    with pytest.raises(CredentialError) as caught:
        access.tls_context(is_trusted=True)
    assert message in str(caught.value)
    if message.startswith("authority.der"):
        assert "openssl x509 -inform der" in (caught.value.hint or "")
