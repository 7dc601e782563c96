"""Fuzz what strangers sign, and what policies say: ``python fuzz_signatures.py -max_total_time=60`` (needs atheris).

An input is a mode byte, and then a bundle, one of the two payloads, a policy, or a key. Only errors derived from
``OciError`` may come out, and nothing that is fuzzed may ever count as a signature.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from cloudboot_oci_stream import KeySigner, OciError, Policy, PublicKey, Trust
from cloudboot_oci_stream.errors import BadSignatureError
from cloudboot_oci_stream.signatures.bundle import Message, parse_bundle
from cloudboot_oci_stream.signatures.keyless import KeylessVerifier
from cloudboot_oci_stream.signatures.payloads import (
    build_simple_signing,
    build_statement,
    parse_simple_signing,
    parse_statement,
)
from cloudboot_oci_stream.testing.sigstore import LocalSigstore, new_key, private_pem

BUNDLE, SIMPLE, STATEMENT, POLICY, KEY = range(5)
MODES = 5
DIGEST = "sha256:" + "0" * 64
MANIFEST = b'{"schemaVersion":2}'
LOCAL = LocalSigstore()
SIGNER = KeySigner.from_pem(private_pem(new_key()))
VERIFIED = build_statement(DIGEST, "registry.example/disk")


def _verifier() -> KeylessVerifier:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(LOCAL.trusted_root(), file)
        file.flush()
        return KeylessVerifier(Trust(file=file.name))


VERIFIER = _verifier()
SEEDS = (
    bytes([BUNDLE]) + json.dumps(LOCAL.sign_statement(VERIFIED, "joe@example.org")).encode(),
    bytes([BUNDLE]) + json.dumps(LOCAL.sign_manifest(MANIFEST, "https://example.org/x")).encode(),
    bytes([BUNDLE]) + SIGNER.bundle(VERIFIED),
    bytes([SIMPLE]) + build_simple_signing(DIGEST, "registry.example/disk"),
    bytes([STATEMENT]) + VERIFIED,
    bytes([POLICY]) + b'version = 1\ndefault = "accept"\n[trust.a]\ntuf = "staging"\n[[rule]]\nimages = ["a.b/**"]\n'
    b'identities = [{ issuer = "x", subject = "y*" }]\nthreshold = 2\nsigned_as = ["**"]\n',
    bytes([KEY]) + private_pem(new_key()),
)


def one_input(data: bytes) -> None:
    """Take one input as far as it can be taken."""
    mode, rest = (data[0] if data else 0) % MODES, data[1:]
    try:
        if mode == BUNDLE:
            _bundle(rest)
        elif mode == SIMPLE:
            parse_simple_signing(rest).check(DIGEST, lambda _: True, accepted=frozenset())
        elif mode == STATEMENT:
            parse_statement(rest).check(DIGEST, lambda _: True, accepted=frozenset({"x"}))
        elif mode == POLICY:
            Policy.parse(rest, "/nowhere")
        else:
            PublicKey.from_pem(KeySigner.from_pem(rest, password=b"x" if b"ENCRYPTED" in rest else None).public.spki)
    except OciError as error:
        assert str(error).isprintable()  # noqa: PT017 -- whatever the error is
    except FileNotFoundError:
        assert mode == POLICY


def _bundle(data: bytes) -> None:
    bundle = parse_bundle(data)
    if bundle.has_certificate:
        try:
            _, _, payload = VERIFIER.verify(bundle, MANIFEST, lambda _issuer, _subject: True)
        except BadSignatureError:
            return
        assert payload in {None, VERIFIED}
    else:
        content = bundle.content
        signed = MANIFEST if isinstance(content, Message) else content.signed
        if SIGNER.public.verifies(content.signature, signed):
            assert not isinstance(content, Message)
            assert content.payload == VERIFIED


def main() -> None:
    """Run atheris; a folder named on the command line keeps what it finds."""
    import atheris

    with tempfile.TemporaryDirectory() as seeds:
        for number, seed in enumerate(SEEDS):
            (Path(seeds) / str(number)).write_bytes(seed)
        atheris.instrument_all()
        atheris.Setup([*sys.argv, seeds], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
