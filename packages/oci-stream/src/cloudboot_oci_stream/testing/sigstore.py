"""A Sigstore of one's own: certificate authority, certificate log, transparency log and timestamp authority.

It makes bundles that any verifier accepts under its :meth:`LocalSigstore.trusted_root`, without a network; each of its
keys can be taken from another one, to make bundles in which just that part is wrong. :mod:`.sigstore_services` lets it
answer on loopback. Time stamps are made by the ``openssl`` program.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import json
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from cloudboot_oci_stream.signatures.bundle import BUNDLE_TYPE
from cloudboot_oci_stream.signatures.payloads import IN_TOTO_TYPE, pre_authentication_encoding
from cloudboot_oci_stream.spec.manifest import canonical
from cloudboot_oci_stream.testing.servers import find_program

_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_LOG_NAME = "log.invalid"
_TSA_CONFIGURATION = """\
[tsa]
default_tsa = this
[this]
serial = {folder}/serial
default_policy = 1.2.3.4
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
accuracy = secs:1
"""


@dataclasses.dataclass
class Authority:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


class MerkleTree:
    """A log's tree (RFC 6962 section 2.1)."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []

    def append(self, data: bytes) -> int:
        """Add an entry; its index."""
        self.leaves.append(hashlib.sha256(b"\0" + data).digest())
        return len(self.leaves) - 1

    def root(self) -> bytes:
        """The tree's hash."""
        return _root(self.leaves)

    def path(self, index: int) -> list[bytes]:
        """The audit path of an entry, from its own level up."""
        return _path(index, self.leaves)


class LocalSigstore:
    """All the keys, and what is signed with them. ``now`` is when everything happens."""

    def __init__(self, now: dt.datetime | None = None) -> None:
        self.now = (now or dt.datetime.now(dt.UTC)).replace(microsecond=0)
        self.ca = self._root_authority("certificates")
        self.ct_key, self.log_key, self.oidc_key = new_key(), new_key(), new_key()
        self.tsa_root = self._root_authority("time stamps")
        self.tsa = self._timestamp_authority()
        self.tree = MerkleTree()
        for filler in range(5):
            self.tree.append(b"somebody else's entry %d" % filler)

    # What verifiers are given

    def trusted_root(self) -> dict[str, Any]:
        """The trusted root in Sigstore's JSON (``sigstore_trustroot.proto``)."""
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log_instance(self.log_key, f"https://{_LOG_NAME}")],
            "certificateAuthorities": [self._authority("certificates", self.ca.certificate)],
            "ctlogs": [self._log_instance(self.ct_key, "https://ct.invalid")],
            "timestampAuthorities": [self._authority("time stamps", self.tsa.certificate, self.tsa_root.certificate)],
        }

    def trust_config(self, url: str, *, rekor: int = 2) -> dict[str, Any]:
        """A client's trust configuration whose services are below ``url``, with a Rekor of that version."""

        def service(path: str, version: int) -> dict[str, Any]:
            start = _rfc3339(self.now - dt.timedelta(days=1))
            return {"url": url + path, "majorApiVersion": version, "validFor": {"start": start}, "operator": "local"}

        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root(),
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service("", 1)],
                "oidcUrls": [service("", 1)],
                "rekorTlogUrls": [service("", rekor)],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaUrls": [service("/timestamp", 1)],
                "tsaConfig": {"selector": "ANY"},
            },
        }

    # What services do

    def identity_token(self, subject: str, issuer: str = "https://issuer.invalid", *, seconds: int = 300) -> str:
        """A token that says that ``issuer`` knows the caller as ``subject`` (a JWT, RFC 7519)."""
        now = int(self.now.timestamp())
        claims = {"iss": issuer, "sub": subject, "aud": "sigstore", "iat": now, "exp": now + seconds}
        text = b".".join(_base64url(canonical(part)) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
        r, s = decode_dss_signature(_sign(self.oidc_key, text))
        return (text + b"." + _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()

    def claims(self, token: str) -> dict[str, str]:
        """What a token of :meth:`identity_token` says.

        Raises:
            cryptography.exceptions.InvalidSignature: it is somebody else's.
        """
        text, _, signature = token.encode().rpartition(b".")
        raw = _unbase64url(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        self.oidc_key.public_key().verify(der, text, ec.ECDSA(hashes.SHA256()))
        claims: dict[str, str] = json.loads(_unbase64url(text.partition(b".")[2]))
        return claims

    def certify(
        self,
        subject: str,
        issuer: str,
        key: ec.EllipticCurvePublicKey,
        *,
        at: dt.datetime | None = None,
        minutes: int = 10,
        usage: ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        logged: bool = True,
    ) -> x509.Certificate:
        """A certificate as Fulcio issues them, with the certificate log's promise in it unless ``logged`` is false."""
        start = at or self.now
        name: x509.GeneralName = x509.RFC822Name(subject) if "@" in subject else x509.UniformResourceIdentifier(subject)
        text = issuer.encode()
        utf8_string = bytes([0x0C, len(text)]) + text
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.ca.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(minutes=minutes))
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca.key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, text), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2, utf8_string), critical=False)
        )
        if not logged:
            return builder.sign(self.ca.key, hashes.SHA256())
        promise = self._certificate_promise(builder.sign(self.ca.key, hashes.SHA256()), start)
        return builder.add_extension(x509.UnrecognizedExtension(_SCT_LIST, promise), critical=False).sign(
            self.ca.key, hashes.SHA256()
        )

    def log(self, body: dict[str, Any], *, rekor: int) -> dict[str, Any]:
        """Log an entry; what a bundle says of it (``sigstore_rekor.proto``, ``TransparencyLogEntry``)."""
        data = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
        index = self.tree.append(data)
        self.tree.append(b"a later entry")
        root, size = self.tree.root(), len(self.tree.leaves)
        note = f"{_LOG_NAME}{' - 1' if rekor == 1 else ''}\n{size}\n{_base64(root)}\n"
        identifier = key_id(self.log_key)
        signed = _base64(identifier[:4] + _sign(self.log_key, note.encode()))
        entry: dict[str, Any] = {
            "logIndex": str(index),
            "logId": {"keyId": _base64(identifier)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": _base64(root),
                "treeSize": str(size),
                "hashes": [_base64(node) for node in self.tree.path(index)],
                "checkpoint": {"envelope": f"{note}\n\N{EM DASH} {_LOG_NAME} {signed}\n"},
            },
            "canonicalizedBody": _base64(data),
        }
        if rekor == 1:
            moment = int(self.now.timestamp())
            promised = {"body": _base64(data), "integratedTime": moment, "logID": identifier.hex(), "logIndex": index}
            signature = _sign(self.log_key, json.dumps(promised, sort_keys=True, separators=(",", ":")).encode())
            entry["integratedTime"] = str(moment)
            entry["inclusionPromise"] = {"signedEntryTimestamp": _base64(signature)}
        return entry

    def timestamp(self, data: bytes | None = None, *, query: bytes | None = None) -> bytes:
        """A time stamp of ``data``, or the reply to a ``query`` (RFC 3161); the time is this machine's.

        Raises:
            FileNotFoundError: openssl is not installed.
        """
        openssl = find_program("openssl")
        if openssl is None:
            raise FileNotFoundError(2, "not installed (Debian package openssl)", "openssl")
        with tempfile.TemporaryDirectory(prefix="cloudboot-tsa-") as name:
            folder = Path(name)
            (folder / "serial").write_text("01")
            (folder / "configuration").write_text(_TSA_CONFIGURATION.format(folder=folder))
            (folder / "key").write_bytes(private_pem(self.tsa.key))
            (folder / "certificate").write_bytes(_pem(self.tsa.certificate))
            if query is None:
                (folder / "data").write_bytes(data or b"")
                _openssl(openssl, folder, "-query", "-data", "data", "-sha256", "-cert", "-out", "query")
            else:
                (folder / "query").write_bytes(query)
            # Without -chain: rfc3161-client wants no other order of certificates than the one this makes.
            _openssl(
                openssl, folder, "-reply", "-config", "configuration", "-queryfile", "query",
                "-inkey", "key", "-signer", "certificate", "-out", "reply",
            )  # fmt: skip
            return (folder / "reply").read_bytes()

    # Bundles

    def sign_statement(
        self, statement: bytes, subject: str, issuer: str = "https://issuer.invalid", *, rekor: int = 1, **certify: Any
    ) -> dict[str, Any]:
        """A bundle with a statement in a DSSE envelope; ``certify`` goes to :meth:`certify`."""
        key = new_key()
        certificate = self.certify(subject, issuer, key.public_key(), **certify)
        encoded = pre_authentication_encoding(IN_TOTO_TYPE, statement)
        signature = _sign(key, encoded)
        envelope = {
            "payload": _base64(statement),
            "payloadType": IN_TOTO_TYPE,
            "signatures": [{"sig": _base64(signature)}],
        }
        if rekor == 1:
            spec = {
                "envelopeHash": _hash_v1(json.dumps(envelope).encode()),
                "payloadHash": _hash_v1(statement),
                "signatures": [{"signature": _base64(signature), "verifier": _base64(_pem(certificate))}],
            }
            body = {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}
        else:
            body = hashed_v2(hashlib.sha256(encoded).digest(), signature, certificate)
        return self._bundle(body, certificate, signature, rekor) | {"dsseEnvelope": envelope}

    def sign_manifest(
        self, manifest: bytes, subject: str, issuer: str = "https://issuer.invalid", *, rekor: int = 1, **certify: Any
    ) -> dict[str, Any]:
        """A bundle with a signature over the manifest itself; ``certify`` goes to :meth:`certify`."""
        key = new_key()
        certificate = self.certify(subject, issuer, key.public_key(), **certify)
        digest = hashlib.sha256(manifest).digest()
        signature = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        if rekor == 1:
            public = {"content": _base64(_pem(certificate))}
            spec = {
                "data": {"hash": _hash_v1(manifest)},
                "signature": {"content": _base64(signature), "publicKey": public},
            }
            body = {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}
        else:
            body = hashed_v2(digest, signature, certificate)
        stated = {"algorithm": "SHA2_256", "digest": _base64(digest)}
        message = {"messageDigest": stated, "signature": _base64(signature)}
        return self._bundle(body, certificate, signature, rekor) | {"messageSignature": message}

    def _bundle(
        self, body: dict[str, Any], certificate: x509.Certificate, signature: bytes, rekor: int
    ) -> dict[str, Any]:
        material: dict[str, Any] = {
            "certificate": {"rawBytes": _base64(_der(certificate))},
            "tlogEntries": [self.log(body, rekor=rekor)],
        }
        if rekor == 2:
            stamped = [{"signedTimestamp": _base64(self.timestamp(signature))}]
            material["timestampVerificationData"] = {"rfc3161Timestamps": stamped}
        return {"mediaType": BUNDLE_TYPE, "verificationMaterial": material}

    # Certificates

    def _root_authority(self, name: str) -> Authority:
        key = new_key()
        return Authority(
            key,
            self._long_lived(name, key)
            .issuer_name(_name(name))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, hashes.SHA256()),
        )

    def _timestamp_authority(self) -> Authority:
        key, root = new_key(), self.tsa_root
        issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
        return Authority(
            key,
            self._long_lived("a clock", key)
            .issuer_name(root.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .add_extension(issued_by, critical=False)
            .sign(root.key, hashes.SHA256()),
        )

    def _long_lived(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - dt.timedelta(days=1))
            .not_valid_after(self.now + dt.timedelta(days=3650))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _certificate_promise(self, certificate: x509.Certificate, moment: dt.datetime) -> bytes:
        """A list of one signed certificate timestamp, as the extension holds it (RFC 6962 sections 3.2 and 3.3)."""
        tbs = certificate.tbs_certificate_bytes
        milliseconds = int(moment.timestamp() * 1000)
        signed = (
            struct.pack("!BBQH", 0, 0, milliseconds, 1)
            + key_id(self.ca.key)
            + len(tbs).to_bytes(3, "big")
            + tbs
            + struct.pack("!H", 0)
        )
        signature = _sign(self.ct_key, signed)
        # Version, log, time, no extensions; then SHA-256 with ECDSA (RFC 5246 section 7.4.1.4.1).
        sct = struct.pack("!B32sQHBBH", 0, key_id(self.ct_key), milliseconds, 0, 4, 3, len(signature)) + signature
        entries = struct.pack("!HH", len(sct) + 2, len(sct)) + sct
        length = bytes([len(entries)]) if len(entries) < 0x80 else bytes([0x81, len(entries)])
        return b"\x04" + length + entries

    def _log_instance(self, key: ec.EllipticCurvePrivateKey, url: str) -> dict[str, Any]:
        public = {
            "rawBytes": _base64(_spki(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": _rfc3339(self.now - dt.timedelta(days=1))},
        }
        identifier = {"keyId": _base64(key_id(key))}
        return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": public, "logId": identifier}

    def _authority(self, name: str, *chain: x509.Certificate) -> dict[str, Any]:
        return {
            "subject": {"organization": "local", "commonName": name},
            "uri": "https://authority.invalid",
            "certChain": {"certificates": [{"rawBytes": _base64(_der(certificate))} for certificate in chain]},
            "validFor": {"start": _rfc3339(self.now - dt.timedelta(days=1))},
        }


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS #8 in PEM form."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    """What logs are named by: the hash of the SubjectPublicKeyInfo."""
    return hashlib.sha256(_spki(key)).digest()


def hashed_v2(digest: bytes, signature: bytes, certificate: x509.Certificate) -> dict[str, Any]:
    """The body of a Rekor v2 entry."""
    verifier = {
        "x509Certificate": {"rawBytes": _base64(_der(certificate))},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    spec = {
        "data": {"algorithm": "SHA2_256", "digest": _base64(digest)},
        "signature": {"content": _base64(signature), "verifier": verifier},
    }
    return {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}}


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = _split(len(leaves))
    return hashlib.sha256(b"\1" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*_path(index, leaves[:half]), _root(leaves[half:])]
    return [*_path(index - half, leaves[half:]), _root(leaves[:half])]


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _openssl(program: str, folder: Path, *arguments: str) -> None:
    subprocess.run([program, "ts", *arguments], check=True, capture_output=True, cwd=folder)


def _hash_v1(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _key_usage(**uses: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: uses.get(name, False) for name in names})


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "local"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unbase64url(data: bytes) -> bytes:
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))


def _rfc3339(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
